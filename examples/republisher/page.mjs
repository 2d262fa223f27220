const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => String(text ?? '').replaceAll(/[&<>"']/gu, (character) => ENTITIES[character]);

/** Two messages can be microseconds apart, which a Date does not keep. */
function byTime(a, b) {
  const micros = ({ timestamp }) => (/\.(\d+)/u.exec(timestamp)?.[1] ?? '').padEnd(6, '0');
  return Date.parse(a.timestamp) - Date.parse(b.timestamp) || Number(micros(a)) - Number(micros(b));
}

/** A channel, as the application's API serves it, as a page. */
export function page({ title, users, messages }) {
  const name = (id) => (users[id] === undefined ? id : `${users[id].first_name ?? ''} ${users[id].last_name ?? ''}`.trim());
  const inOrder = messages.filter((message) => message !== null).toSorted(byTime);
  const articles = inOrder.map(({ timestamp, user, content, reactions = [] }) => `
  <article>
    <time datetime="${escape(timestamp)}">${escape(timestamp)}</time> <b>${escape(name(user))}</b>
    <p>${escape(content)}</p>
    <footer>${reactions.map(({ reaction }) => `:${escape(reaction)}:`).join(' ')}</footer>
  </article>`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${escape(title)}</title>
<main>
  <h1>${escape(title)}</h1>${articles.join('')}
</main>
</html>
`;
}
