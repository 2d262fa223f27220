import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderMarkdown } from '../../src/shape/render/markdown.js'

/** What Python-Markdown 3.4.1 makes of each text. */
const CASES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  'paragraphs and line ends': [
    ['good evening', '<p>good evening</p>'],
    ['  first line keeps no blanks\nnor does  the  text lose them', '<p>first line keeps no blanks\nnor does  the  text lose them</p>'],
    ['one\n\ntwo\n\n\n\nthree', '<p>one</p>\n<p>two</p>\n<p>three</p>'],
    ['one\r\ntwo\r\rthree', '<p>one\ntwo</p>\n<p>three</p>'],
    ['one\n   \ntwo', '<p>one</p>\n<p>two</p>'],
    ['\n\n late \n\n', '<p>late </p>'],
    ['a  \nb', '<p>a<br />\nb</p>'],
    ['a   \nb', '<p>a <br />\nb</p>'],
    ['a \nb\\\nc', '<p>a \nb\\\nc</p>'],
    ['a  ', '<p>a  </p>'],
    ['\u0002klzzwxh:0000\u0003 and \u0002wzxhzdk:0\u0003', '<p>klzzwxh:0000 and wzxhzdk:0</p>'],
    ['\u000b a \u001c\u0085b\u2003', '<p>a \u001c\u0085b\u2003</p>'],
    ['\ufeffx', '<p>\ufeffx</p>'],
  ],
  'nothing': [
    ['', ''],
    [' ', ''],
    ['\t\n', ''],
    ['\u3000\u0085\u001f', ''],
    ['\u0002', ''],
  ],
  'headings': [
    ['# One', '<h1>One</h1>'],
    ['#One', '<h1>One</h1>'],
    ['###### Six', '<h6>Six</h6>'],
    ['####### Seven', '<h6># Seven</h6>'],
    ['## Closed ##', '<h2>Closed</h2>'],
    ['## Kept \\##', '<h2>Kept #</h2>'],
    ['## Ends with a backslash\\', '<p>## Ends with a backslash\\</p>'],
    ['text\n# Heading\nmore', '<p>text</p>\n<h1>Heading</h1>\n<p>more</p>'],
    ['### ', '<h3></h3>'],
    ['Top\n===\nSub\n---\nrest', '<h1>Top</h1>\n<h2>Sub</h2>\n<p>rest</p>'],
    ['Top\n=-=-  ', '<h1>Top</h1>'],
    ['Top\n= =', '<p>Top\n= =</p>'],
    ['a\nb\n===', '<p>a\nb\n===</p>'],
    ['# *em* `c`', '<h1><em>em</em> <code>c</code></h1>'],
  ],
  'rules': [
    ['---', '<hr />'],
    ['* *  *', '<hr />'],
    ['_  _ _', '<hr />'],
    ['***\n___', '<hr />\n<hr />'],
    ['--', '<p>--</p>'],
    ['-  -  -', '<hr />'],
    ['-   -   -', '<ul>\n<li>\n<ul>\n<li>-</li>\n</ul>\n</li>\n</ul>'],
    ['   ***', '<hr />'],
    ['text\n***\nmore', '<p>text</p>\n<hr />\n<p>more</p>'],
    ['-_-', '<p>-_-</p>'],
    ['*\t*\t*', '<ul>\n<li>\n<ul>\n<li>*</li>\n</ul>\n</li>\n</ul>'],
  ],
  'emphasis': [
    ['*a* _b_ **c** __d__', '<p><em>a</em> <em>b</em> <strong>c</strong> <strong>d</strong></p>'],
    ['***a*** ___b___', '<p><strong><em>a</em></strong> <strong><em>b</em></strong></p>'],
    ['in*side* of_a_word and __of__it', '<p>in<em>side</em> of_a_word and __of__it</p>'],
    ['*a **b** c* **a *b* c**', '<p><em>a </em><em>b</em><em> c</em> <strong>a <em>b</em> c</strong></p>'],
    ['***a** b* ***a* b**', '<p><strong><em>a</em><em> b</em> </strong><em>a</em> b**</p>'],
    ['**a *b***', '<p><strong>a <em>b</em></strong></p>'],
    ['__a _b___', '<p><strong>a <em>b</em></strong></p>'],
    ['*a\nb*', '<p><em>a\nb</em></p>'],
    ['* a *', '<ul>\n<li>a *</li>\n</ul>'],
    ['a * b _ c', '<p>a * b _ c</p>'],
    ['*a', '<p>*a</p>'],
    ['**a', '<p>**a</p>'],
    ['**a*', '<p>*<em>a</em></p>'],
    ['*a**', '<p><em>a</em>*</p>'],
    ['**x* y*', '<p><em><em>x</em> y</em></p>'],
    ['****a****', '<p><strong><em>*a</em></strong>*</p>'],
    ['“_a_”, _b_! (_c_)', '<p>“<em>a</em>”, <em>b</em>! (<em>c</em>)</p>'],
    ['_a_b_', '<p><em>a_b</em></p>'],
    ['__init__ x__init__', '<p><strong>init</strong> x__init__</p>'],
    ['_日本_ *é*', '<p><em>日本</em> <em>é</em></p>'],
    ['*😀* _𝐚_𝐛_', '<p><em>😀</em> <em>𝐚_𝐛</em></p>'],
    ['\\*a\\* \\_b\\_', '<p>*a* _b_</p>'],
    ['_x ___a_b___', '<p><em>x <strong><em>a</em>b</strong></em></p>'],
    ['*a* * *b*', '<p><em>a</em> * <em>b</em></p>'],
  ],
  'code spans': [
    ['`a*b*`', '<p><code>a*b*</code></p>'],
    ['``a ` b``', '<p><code>a ` b</code></p>'],
    ['` a `', '<p><code>a</code></p>'],
    ['`a', '<p>`a</p>'],
    ['``a`', '<p><code>`a</code></p>'],
    ['```a``', '<p><code>`a</code></p>'],
    ['\\`a`', '<p>`a`</p>'],
    ['\\\\`a`', '<p>\\<code>a</code></p>'],
    ['`a\\`', '<p><code>a\\</code></p>'],
    ['`<b> &amp; &`', '<p><code>&lt;b&gt; &amp;amp; &amp;</code></p>'],
    ['`a` `b` ``', '<p><code>a</code> <code>b</code> ``</p>'],
    ['`\\``` ``', '<p><code>\\</code><code></code></p>'],
  ],
  'escapes': [
    ['\\\\ \\` \\* \\_ \\{\\} \\[\\] \\(\\) \\> \\# \\+ \\- \\. \\!', '<p>\\ ` * _ {} [] () &gt; # + - . !</p>'],
    ['\\a \\" \\<b>', '<p>\\a \\" \\<b></p>'],
    ['1\\. a', '<p>1. a</p>'],
    ['a\\', '<p>a\\</p>'],
  ],
  'links': [
    ['[a](http://h.example)', '<p><a href="http://h.example">a</a></p>'],
    ['[a](/x "T")', '<p><a href="/x" title="T">a</a></p>'],
    ["[a](/x 'T')", '<p><a href="/x" title="T">a</a></p>'],
    ['[a](<x y> "T")', '<p><a href="x y" title="T">a</a></p>'],
    ['[a](x(y)z)', '<p><a href="x(y)z">a</a></p>'],
    ['[a](x(y)', '<p>[a](x(y)</p>'],
    ['[a]( x )', '<p><a href="x">a</a></p>'],
    ['[a]()', '<p><a href="">a</a></p>'],
    ['[a](x "T" U")', '<p><a href="x" title="T&quot; U">a</a></p>'],
    ['[a](x "it\'s")', '<p><a href="x" title="it\'s">a</a></p>'],
    ['[a](x\'"T")', '<p><a href="x\'" title="T">a</a></p>'],
    ['[a](x "T)', '<p><a href="x &quot;T">a</a></p>'],
    ['[a](x "(T)', '<p><a href="x &quot;(">a</a>)</p>'],
    ['[a](x (T "y)', '<p>[a](x (T "y)</p>'],
    ['[a] (x)', '<p>[a] (x)</p>'],
    ['[a [b] c](x)', '<p><a href="x">a [b] c</a></p>'],
    ['[a [b](y) c](x)', '<p><a href="x">a [b](y) c</a></p>'],
    ['[*a*](x_y_z)', '<p><a href="x_y_z"><em>a</em></a></p>'],
    ['*[a](b*c)*', '<p><em><a href="b*c">a</a></em></p>'],
    ['[a](x\n"T\nU")', '<p><a href="x" title="T U">a</a></p>'],
    ['[a](x&y "&copy; & <")', '<p><a href="x&amp;y" title="&copy; &amp; &lt;">a</a></p>'],
    ['[`](`)', '<p>[<code>](</code>)</p>'],
    ['[a](\\*x\\*)', '<p><a href="*x*">a</a></p>'],
    ['[a [b](]) c](x)', '<p><a href="x">a <a href="]">b</a> c</a></p>'],
    ['[a](b [(](d) e)', '<p><a href="b ( e">a</a></p>'],
    ['![a](x)', '<p><img alt="a" src="x" /></p>'],
    ['![a *b*](x_y "T")', '<p><img alt="a *b*" src="x_y" title="T" /></p>'],
    ['[![a](x)](y)', '<p><a href="y"><img alt="a" src="x" /></a></p>'],
    ['!\\[a](x)', '<p>![a](x)</p>'],
    ['![a [b]](x)', '<p><img alt="a [b]" src="x" /></p>'],
    ['[a]([b])', '<p><a href="[b]">a</a></p>'],
    ['[a](x "y( z', '<p><a href="x &quot;y(">a</a>z</p>'],
  ],
  'references': [
    ['[a][1] [1] [ 1 ] [1][] [x][y]\n\n[1]: http://h.example "T"', '<p><a href="http://h.example" title="T">a</a> <a href="http://h.example" title="T">1</a> [ 1 ] <a href="http://h.example" title="T">1</a> [x][y]</p>'],
    ['[A  B][] [a\nb]\n\n[a b]: <x>', '<p><a href="x">A  B</a> <a href="x">a\nb</a></p>'],
    ['![i][1] ![1]\n\n[1]: x (T)', '<p><img alt="i" src="x" title="T" /> <img alt="1" src="x" title="T" /></p>'],
    ['[1]:\n  x\n  "T"\n\n[1]', '<p><a href="x" title="T">1</a></p>'],
    ['[1]: x"a b"\n\n[1]', '<p><a href="x" title="a b">1</a></p>'],
    ['[1]: x y\n\n[1]', '<p>[1]: x y</p>\n<p>[1]</p>'],
    ['text\n[1]: x\nmore [1]', '<p>text</p>\n<p>more <a href="x">1</a></p>'],
    ['[1]: x \'T"\n\n[1]', '<p>[1]: x \'T"</p>\n<p>[1]</p>'],
    ['    [1]: x\n\n[1]', '<pre><code>[1]: x\n</code></pre>\n<p>[1]</p>'],
    ['[a\nb]: x\n\n[a\nb]', '<p>[a\nb]</p>'],
    ['[1]: x ""\n[1]: y\n\n[1]', '<p><a href="y">1</a></p>'],
    ['[a][b [1]\n\n[1]: x', '<p>[a][b <a href="x">1</a></p>'],
    ['[^1]: note\n\n[^1]', '<p><a href="note">^1</a></p>'],
  ],
  'addresses': [
    ['<http://h.example/a_b*c*>', '<p><a href="http://h.example/a_b*c*">http://h.example/a_b*c*</a></p>'],
    ['<HTTPS://h.example>', '<p><a href="HTTPS://h.example">HTTPS://h.example</a></p>'],
    ['<ftps://h>', '<p><a href="ftps://h">ftps://h</a></p>'],
    ['http://h.example/a_b_c', '<p>http://h.example/a_b_c</p>'],
    ['<http://a b>', '<p><a href="http://a b">http://a b</a></p>'],
    ['<mailto:ann@h.example>', '<p><a href="&#109;&#97;&#105;&#108;&#116;&#111;&#58;&#97;&#110;&#110;&#64;&#104;&#46;&#101;&#120;&#97;&#109;&#112;&#108;&#101;">&#97;&#110;&#110;&#64;&#104;&#46;&#101;&#120;&#97;&#109;&#112;&#108;&#101;</a></p>'],
    ['<ann@h.example>', '<p><a href="&#109;&#97;&#105;&#108;&#116;&#111;&#58;&#97;&#110;&#110;&#64;&#104;&#46;&#101;&#120;&#97;&#109;&#112;&#108;&#101;">&#97;&#110;&#110;&#64;&#104;&#46;&#101;&#120;&#97;&#109;&#112;&#108;&#101;</a></p>'],
    ['<é€@h>', '<p><a href="&#109;&#97;&#105;&#108;&#116;&#111;&#58;&#233;&#8364;&#64;&#104;">&eacute;&euro;&#64;&#104;</a></p>'],
    ['<ann@h b>', '<p>&lt;ann@h b&gt;</p>'],
    ['<a!b@h>', '<p>&lt;a!b@h&gt;</p>'],
    ['<@U123> <!here> <#C1|g>', '<p>&lt;@U123&gt; &lt;!here&gt; &lt;#C1|g&gt;</p>'],
    ['<http://a <http://b> c>', '<p><a href="http://a http://b c">http://a <a href="http://b">http://b</a> c</a></p>'],
  ],
  'inline html and entities': [
    ['a <b>c</b> <br/> <i x="*">*', '<p>a <b>c</b> <br/> <i x="*">*</p>'],
    ['<a *b* c>', '<p><a *b* c></p>'],
    ['a <b @c> <d@ e>', '<p>a <b @c> &lt;d@ e&gt;</p>'],
    ['a <!-- *b* --> c', '<p>a <!-- *b* --> c</p>'],
    ['a <!-- b <!-- c --> d -->', '<p>a <!-- b \\<!-- c --> d --></p>'],
    ['a <!--> b', '<p>a &lt;!--&gt; b</p>'],
    ['&amp; &copy; &#38; &#xAf; &x1; & &; &#; &#x;', '<p>&amp; &copy; &#38; &#xAf; &x1; &amp; &amp;; &amp;#; &amp;#x;</p>'],
    ['a < b > c <3', '<p>a &lt; b &gt; c &lt;3</p>'],
    ['<a <b> c>', '<p><a \\<b> c></p>'],
    ['x <a title="\\*">', '<p>x <a title="\\\u000242\u0003"></p>'],
    ['a <b\nc>', '<p>a <b\nc></p>'],
    ['AT&T &lt;b&gt;', '<p>AT&amp;T &lt;b&gt;</p>'],
    ['a <?php b ?> <![CDATA[c]]>', '<p>a &lt;?php b ?&gt; &lt;![CDATA[c]]&gt;</p>'],
  ],
  'blocks of html': [
    ['<div>*a*</div>', '<div>*a*</div>'],
    ['<div>\n\n*a*\n\n</div>\n\n*b*', '<div>\n\n*a*\n\n</div>\n\n<p><em>b</em></p>'],
    ['<div>a</div> *b*\n*c*', '<div>a</div>\n<p><em>b</em>\n<em>c</em></p>'],
    ['text\n<div>a</div>', '<p>text</p>\n<div>a</div>'],
    ['   <p>a</p>', '<p>a</p>'],
    ['    <p>a</p>', '<pre><code>&lt;p&gt;a&lt;/p&gt;\n</code></pre>'],
    ['<DIV CLASS=x>a</Div >', '<DIV CLASS=x>a</Div >'],
    ['<div><div>a</div>*b*</div>', '<div><div>a</div>*b*</div>'],
    ['<div>a', '<div>a'],
    ['</div> *a*', '<p></div> <em>a</em></p>'],
    ['<div>a</p></div>', '<div>a</p></div>'],
    ['<hr> *a*', '<hr>\n<p><em>a</em></p>'],
    ['<hr/>\n\n*a*', '<hr/>\n\n<p><em>a</em></p>'],
    ['<br>*a*', '<p><br><em>a</em></p>'],
    ['<!-- a\n\n*b* -->\n*c*', '<!-- a\n\n*b* -->\n<p><em>c</em></p>'],
    ['<!doctype x> *a*', '<!doctype x>\n<p><em>a</em></p>'],
    ['<?a\n\nb?> *c*', '<?a\n\nb?>\n<p><em>c</em></p>'],
    ['<![CDATA[ *a* ]]>', '<![CDATA[ *a* ]]>'],
    ['<!x *a*> b', '<!--x *a*-->\n<p>b</p>'],
    ['<script>a < b && "</div>"</script>', '<script>a < b && "</div>"</script>'],
    ['<style>*a*', '<style>*a*'],
    ['`<script>` *a* `</script>`', '<p><code>&lt;script&gt;</code> <em>a</em> <code>&lt;/script&gt;</code></p>'],
    ['<p class="a>b" id=\'c\' d=e f>*g*</p>', '<p class="a>b" id=\'c\' d=e f>*g*</p>'],
    ['<div a="b\n*c*', '<p>&lt;div a="b\n<em>c</em></p>'],
    ['<div `x>*a*</div>', '<p><div `x><em>a</em></div></p>'],
    ['<p/>*a*', '<p/>\n<p><em>a</em></p>'],
    ['<div/ >a</div>', '<div/ >a</div>'],
    ['* <div>a</div>', '<ul>\n<li><div>a</div></li>\n</ul>'],
    ['&#1 <div>a</div>', '<p>&#1; <div>a</div></p>'],
    ['&#x\n\n<div>a</div>', '<p>&amp;#x</p>\n<p><div>a</div></p>'],
    ['&# <div>;', '<p>&amp;# <div>;</p>'],
    ['a\n</1>\n<div>b</div>', '<p>a</p>\n<!--1-->\n<div>b</div>'],
    ['<iframe src="x"></iframe>', '<iframe src="x"></iframe>'],
    ['<blockquote class="t"><a href="u"></a></blockquote>', '<blockquote class="t"><a href="u"></a></blockquote>'],
    ['<custom>*a*</custom>', '<p><custom><em>a</em></custom></p>'],
    ['<p>a</p><p>b</p>\n\nc', '<p>a</p>\n<p>b</p>\n\n<p>c</p>'],
    ['<summary>*a*</summary>', '<summary>*a*</summary>'],
  ],
  'lists': [
    ['* a\n* b', '<ul>\n<li>a</li>\n<li>b</li>\n</ul>'],
    ['* a\n\n* b', '<ul>\n<li>\n<p>a</p>\n</li>\n<li>\n<p>b</p>\n</li>\n</ul>'],
    ['- a\n+ b\n* c', '<ul>\n<li>a</li>\n<li>b</li>\n<li>c</li>\n</ul>'],
    ['1. a\n2. b', '<ol>\n<li>a</li>\n<li>b</li>\n</ol>'],
    ['7. a\n3. b', '<ol>\n<li>a</li>\n<li>b</li>\n</ol>'],
    ['1) a', '<p>1) a</p>'],
    ['* a\n1. b', '<ul>\n<li>a</li>\n<li>b</li>\n</ul>'],
    ['*a', '<p>*a</p>'],
    ['*', '<p>*</p>'],
    ['1.', '<p>1.</p>'],
    ['* a\n  b\n    c', '<ul>\n<li>a\n  b\n    c</li>\n</ul>'],
    ['* a\n    * b\n        * c\n* d', '<ul>\n<li>a<ul>\n<li>b<ul>\n<li>c</li>\n</ul>\n</li>\n</ul>\n</li>\n<li>d</li>\n</ul>'],
    ['* a\n  * b', '<ul>\n<li>a</li>\n<li>b</li>\n</ul>'],
    ['* a\n\n    b\n\n* c', '<ul>\n<li>\n<p>a</p>\n<p>b</p>\n</li>\n<li>\n<p>c</p>\n</li>\n</ul>'],
    ['* a\n\n        code', '<ul>\n<li>a<pre><code>code\n</code></pre>\n</li>\n</ul>'],
    ['* a\n\nb', '<ul>\n<li>a</li>\n</ul>\n<p>b</p>'],
    ['a\n* b', '<p>a\n* b</p>'],
    ['1. a\n    - b\n    - c\n2. d', '<ol>\n<li>a<ul>\n<li>b</li>\n<li>c</li>\n</ul>\n</li>\n<li>d</li>\n</ol>'],
    ['* # a\nb\n* c', '<ul>\n<li>\n<h1>a</h1>\nb</li>\n<li>c</li>\n</ul>'],
    ['* a\n# b', '<ul>\n<li>a</li>\n</ul>\n<h1>b</h1>'],
    ['* * a\n    * b', '<ul>\n<li>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n</li>\n</ul>'],
    ['* > a\n* b', '<ul>\n<li>\n<blockquote>\n<p>a</p>\n</blockquote>\n</li>\n<li>b</li>\n</ul>'],
    ['٣. a', '<ol>\n<li>a</li>\n</ol>'],
    ['* a\n\n\n* b\n    \n    c', '<ul>\n<li>\n<p>a</p>\n</li>\n<li>\n<p>b</p>\n<p>c</p>\n</li>\n</ul>'],
    ['  * a\n   * b', '<ul>\n<li>a</li>\n<li>b</li>\n</ul>'],
    ['* a\n\n    * b\n\n    * c', '<ul>\n<li>\n<p>a</p>\n<ul>\n<li>\n<p>b</p>\n</li>\n<li>\n<p>c</p>\n</li>\n</ul>\n</li>\n</ul>'],
    ['* [ ] a', '<ul>\n<li>[ ] a</li>\n</ul>'],
    ['1. \n2. b', '<ol>\n<li></li>\n<li>b</li>\n</ol>'],
    ['\t* a', '<pre><code>* a\n</code></pre>'],
    ['* a\n    1. b\n\n        c', '<ul>\n<li>a<ol>\n<li>\n<p>b</p>\n<p>c</p>\n</li>\n</ol>\n</li>\n</ul>'],
    ['- a\n- - b\n- + c', '<ul>\n<li>a</li>\n<li>\n<ul>\n<li>b</li>\n</ul>\n</li>\n<li>\n<ul>\n<li>c</li>\n</ul>\n</li>\n</ul>'],
    ['* a\n***\n* b', '<ul>\n<li>a</li>\n</ul>\n<hr />\n<ul>\n<li>b</li>\n</ul>'],
  ],
  'quotes': [
    ['> a\nb', '<blockquote>\n<p>a\nb</p>\n</blockquote>'],
    ['> a\n\n> b', '<blockquote>\n<p>a</p>\n<p>b</p>\n</blockquote>'],
    ['> a\n\nb', '<blockquote>\n<p>a</p>\n</blockquote>\n<p>b</p>'],
    ['> a\n>\n> b', '<blockquote>\n<p>a</p>\n<p>b</p>\n</blockquote>'],
    ['>a\n> > b\n> c', '<blockquote>\n<p>a</p>\n<blockquote>\n<p>b\nc</p>\n</blockquote>\n</blockquote>'],
    ['a\n> b', '<p>a</p>\n<blockquote>\n<p>b</p>\n</blockquote>'],
    ['   > a', '<blockquote>\n<p>a</p>\n</blockquote>'],
    ['    > a', '<pre><code>&gt; a\n</code></pre>'],
    ['> * a\n> * b', '<blockquote>\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n</blockquote>'],
    ['> # a\n> b', '<blockquote>\n<h1>a</h1>\n<p>b</p>\n</blockquote>'],
    ['>     a', '<blockquote>\n<pre><code>a\n</code></pre>\n</blockquote>'],
    ['>', '<blockquote></blockquote>'],
    ['a > b', '<p>a &gt; b</p>'],
    ['> a\n\n\n\n> b', '<blockquote>\n<p>a</p>\n<p>b</p>\n</blockquote>'],
  ],
  'code blocks': [
    ['    a\n     b\n\n    c', '<pre><code>a\n b\n\nc\n</code></pre>'],
    ['\ta', '<pre><code>a\n</code></pre>'],
    ['a\n    b', '<p>a\n    b</p>'],
    ['    a\nb', '<pre><code>a\n</code></pre>\n<p>b</p>'],
    ['    a\n\n\n    b  \n', '<pre><code>a\n\n\nb\n</code></pre>'],
    ['    <b> & &amp; *c*', '<pre><code>&lt;b&gt; &amp; &amp;amp; *c*\n</code></pre>'],
    ['    a\n\nb\n\n    c', '<pre><code>a\n</code></pre>\n<p>b</p>\n<pre><code>c\n</code></pre>'],
    ['```\na *b*\n```', '<p><code>a *b*</code></p>'],
    ['  \ta', '<pre><code>a\n</code></pre>'],
    ['ab\tc\td', '<p>ab  c   d</p>'],
    ['😀\ta', '<p>😀   a</p>'],
    ['    a\n\n\n\n> b', '<pre><code>a\n</code></pre>\n<blockquote>\n<p>b</p>\n</blockquote>'],
  ],}

for (const [feature, cases] of Object.entries(CASES)) {
  test.each(cases)(`${feature}: %j`, (text, html) => {
    expect(renderMarkdown(text)).toBe(html)
  })
}

describe('where Python-Markdown fails', () => {
  test('a declaration that its HTML parser does not know stays text', () => {
    expect(renderMarkdown('<![X *a*')).toBe('<p>&lt;![X <em>a</em></p>')
    expect(renderMarkdown('<![1]> a')).toBe('<p>&lt;![1]&gt; a</p>')
  })

  test('lists inside lists end at a depth, what is deeper stays text', () => {
    const html = renderMarkdown(`${'* '.repeat(2000)}a`)
    expect(html.split('<ul>').length - 1).toBe(494)
    expect(html).toContain('* a')
  })

  test('quotes inside quotes end where its own end', () => {
    const html = renderMarkdown(`${'> '.repeat(400)}a`)
    expect(html.split('<blockquote>').length - 1).toBe(298)
    expect(html).toContain(`<p>${'&gt; '.repeat(102)}a</p>`)
  })
})

const MARKUP = [
  ['*', '_', '**', '__', '`', '``', '[', ']', '](', ')', '(', '![', '<', '>', '<a ', '</a>', '<div>', '</div>', '<!--', '-->'],
  ['"', "'", '&', '&amp;', '&#', ';', '\\', '\n', '\n\n', '    ', '  \n', '> ', '* ', '1. ', '# ', '---', '[a]: b', '<script>'],
  ['a', 'é', '😀', '@', '=', ' ', '\t', '\r', '\u0002', '\u0003', '\ud800', '<![', '<?', 'http://h'],
].flat()

const markup = fc
  .array(
    fc.constantFrom(...MARKUP),
    { maxLength: 60 },
  )
  .map(parts => parts.join(''))

describe('any text', () => {
  test('is rendered, and again the same', () => {
    fc.assert(
      fc.property(fc.oneof(markup, fc.string({ unit: 'binary', maxLength: 200 })), text => {
        const html = renderMarkdown(text)
        expect(renderMarkdown(text)).toBe(html)
      }),
      { numRuns: 3000 },
    )
  })

  test('may end its lines as it likes', () => {
    fc.assert(
      fc.property(markup, text => {
        const lines = text.replaceAll('\r', '')
        expect(renderMarkdown(lines.replaceAll('\n', '\r\n'))).toBe(renderMarkdown(lines))
      }),
    )
  })

  test('of letters and digits is a paragraph', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9]+$/), text => {
        expect(renderMarkdown(text)).toBe(`<p>${text}</p>`)
      }),
    )
  })

  test('in code is only escaped', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z*_<>&\]([) !#]*[a-z]$/), text => {
        const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
        expect(renderMarkdown(`x \`${text}\``)).toBe(`<p>x <code>${escaped.trim()}</code></p>`)
      }),
    )
  })
})

const REPEATED = [
  ['*', '_', '[', ']', '`', '<', '>', '![', '\\', '&', '\n', '\t', '_a_', '_a_ ', '*a', '**a ', '***a ', '*a**b', '__a _b ', ' *'],
  ['[a](', '[a](b', '[a](b)', '[a]("', `[a]("'`, '[a](<', '[a](<b>"', '[]', '[a][b]', '[a]: b\n', '[a]: "', '[a\n', '\\`', '\\\\`'],
  ['* ', '* a\n', '* a\n\n', '* a\n    * b\n', '> ', '>\n', '> * ', '> # a\n> ---\n', '---\n', '- ', '# a\n', 'a\n=\n', '    a\nb\n'],
  ['<a ', '<a>', '<a b="', '<a/x=', '<a x=`', '<div>\n', '<!--', '</a', '<?', '\n<?', '\n<![CDATA[', '<script>', '<hr>\n', '<b> <i> '],
  ['&amp;', '&#', '&a', '<a@b>', '<a@', '<http://', 'a  \n', '* _ '],
].flat()

/** Each of so many repetitions. */
const HOSTILE: Readonly<Record<string, (count: number) => string>> = {
  ...Object.fromEntries(REPEATED.map(part => [part, (count: number) => part.repeat(count)])),
  'links in links': count => '['.repeat(count) + '](a)'.repeat(count),
  'tags in tags': count => '<a '.repeat(count) + '>'.repeat(count),
  'addresses in addresses': count => '<http://a'.repeat(count) + '>'.repeat(count),
  'end tags of nothing': count => '<div>'.repeat(count) + '</x>'.repeat(count),
  'runs of all lengths': count => Array.from({ length: Math.ceil(Math.sqrt(count)) }, (_, index) => '`'.repeat(index + 1)).join(' '),
  'lists as deep as they go': count => Array.from({ length: Math.ceil(Math.sqrt(count)) }, (_, index) => `${'    '.repeat(index)}* a`).join('\n'),
  'deep quotes go on': count => '> '.repeat(200) + 'a\n'.repeat(count),
  'a long address, used often': count => `[a]: ${'u'.repeat(count)}\n\n${'[a] '.repeat(count)}`,
  'quotes in a definition': count => `[a]: ${'"'.repeat(count)} x`,
  'links that a bracket waits for': count => `[x]( ${'[a](b "c") '.repeat(count)}`,
}

/** What is not linear takes minutes at this length. */
const LENGTH = 150_000

test.each(Object.entries(HOSTILE))('time and memory stay in proportion: %j', (_name, make) => {
  const text = make(Math.ceil(LENGTH / (make(2).length - make(1).length || 1)))
  expect(renderMarkdown(text).length).toBeLessThan(40 * text.length)
}, 60_000)
