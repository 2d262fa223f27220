-- Control by SQL: each call writes a transactional logical message, which reaches the bridge at its
-- place in commit order and leaves no row anywhere. Re-applied by setup whenever this file changes.

CREATE OR REPLACE FUNCTION slackchat_bridge.emit(request json) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $$
  SELECT pg_logical_emit_message(true, 'slackchat_bridge', request::text)
$$;

CREATE OR REPLACE FUNCTION slackchat_bridge.must_be_webhook(webhook_id bigint) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM slackchat_bridge.webhooks w WHERE w.id = webhook_id) THEN
    RAISE EXCEPTION 'there is no webhook %', coalesce(webhook_id::text, 'NULL') USING ERRCODE = 'no_data_found';
  END IF;
END
$$;

-- Asks for a new verification; what is verified stays so until the challenge fails to come back.
CREATE OR REPLACE FUNCTION slackchat_bridge.verify(webhook_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  PERFORM slackchat_bridge.must_be_webhook(webhook_id);
  PERFORM slackchat_bridge.emit(json_build_object('verify', webhook_id::text));
END
$$;

-- Of each lane only the first that waits has a time.
CREATE OR REPLACE FUNCTION slackchat_bridge.order_lane(webhook_id bigint, lane text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
  WITH placed AS (
    SELECT d.id, row_number() OVER (ORDER BY d.commit_lsn, d.seq) = 1 AS first
      FROM slackchat_bridge.deliveries d
     WHERE d.webhook_id = order_lane.webhook_id AND d.lane = order_lane.lane AND d.status = 'waiting'
  )
  UPDATE slackchat_bridge.deliveries d
     SET next_attempt_at = CASE WHEN p.first THEN coalesce(d.next_attempt_at, now()) END
    FROM placed p
   WHERE d.id = p.id AND (d.next_attempt_at IS NULL) = p.first
$$;

-- Sends one delivery, waiting or dead, as soon as its lane allows.
CREATE OR REPLACE FUNCTION slackchat_bridge.retry(delivery_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  retried record;
BEGIN
  UPDATE slackchat_bridge.deliveries d
     SET status = 'waiting', next_attempt_at = now(), first_attempt_at = NULL, created_at = now()
   WHERE d.id = delivery_id
  RETURNING d.webhook_id, d.lane INTO retried;
  IF retried.webhook_id IS NULL THEN
    RAISE EXCEPTION 'there is no delivery %', coalesce(delivery_id::text, 'NULL') USING ERRCODE = 'no_data_found';
  END IF;
  PERFORM slackchat_bridge.order_lane(retried.webhook_id, retried.lane);
  PERFORM slackchat_bridge.emit(json_build_object('retry', retried.webhook_id::text));
END
$$;

-- Sends all deliveries of an endpoint again, dead ones too; returns how many.
CREATE OR REPLACE FUNCTION slackchat_bridge.retry_all(webhook_id bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
#variable_conflict use_variable
DECLARE
  total bigint;
BEGIN
  PERFORM slackchat_bridge.must_be_webhook(webhook_id);
  WITH placed AS (
    SELECT p.id, row_number() OVER (PARTITION BY p.lane ORDER BY p.commit_lsn, p.seq) = 1 AS first
      FROM slackchat_bridge.deliveries p
     WHERE p.webhook_id = webhook_id
  )
  UPDATE slackchat_bridge.deliveries d
     SET status = 'waiting', next_attempt_at = CASE WHEN p.first THEN now() END, first_attempt_at = NULL, created_at = now()
    FROM placed p
   WHERE d.id = p.id;
  GET DIAGNOSTICS total = ROW_COUNT;
  PERFORM slackchat_bridge.emit(json_build_object('retry', webhook_id::text));
  RETURN total;
END
$$;

-- Removes dead deliveries whose last attempt is older; returns how many.
CREATE OR REPLACE FUNCTION slackchat_bridge.purge(older_than interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  total bigint;
BEGIN
  DELETE FROM slackchat_bridge.deliveries d
   WHERE d.status = 'dead' AND coalesce(d.last_attempt_at, d.created_at) < now() - older_than;
  GET DIAGNOSTICS total = ROW_COUNT;
  RETURN total;
END
$$;

-- The channel's id as the database spells it.
CREATE OR REPLACE FUNCTION slackchat_bridge.must_be_channel(channel text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
  wanted {{channel}}.{{channel.id}}%TYPE := channel;
BEGIN
  IF NOT EXISTS (SELECT FROM {{channel}} c WHERE c.{{channel.id}} = wanted) THEN
    RAISE EXCEPTION 'there is no channel %', coalesce(channel, 'NULL') USING ERRCODE = 'no_data_found';
  END IF;
  RETURN wanted::text;
END
$$;

-- Asks for an update notification about a channel to every endpoint that wants its chat type.
CREATE OR REPLACE FUNCTION slackchat_bridge.request_update(channel text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
  SELECT slackchat_bridge.emit(json_build_object('request_update', slackchat_bridge.must_be_channel(channel)))
$$;

CREATE OR REPLACE FUNCTION slackchat_bridge.request_update(channel uuid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT slackchat_bridge.request_update(channel::text) $$;

CREATE OR REPLACE FUNCTION slackchat_bridge.request_update(channel bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT slackchat_bridge.request_update(channel::text) $$;

-- Asks for a republish_request with the whole channel to every endpoint that wants its chat type.
CREATE OR REPLACE FUNCTION slackchat_bridge.republish(channel text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
  SELECT slackchat_bridge.emit(json_build_object('republish', slackchat_bridge.must_be_channel(channel)))
$$;

CREATE OR REPLACE FUNCTION slackchat_bridge.republish(channel uuid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT slackchat_bridge.republish(channel::text) $$;

CREATE OR REPLACE FUNCTION slackchat_bridge.republish(channel bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT slackchat_bridge.republish(channel::text) $$;

-- The same as an unpublish_request.
CREATE OR REPLACE FUNCTION slackchat_bridge.unpublish(channel text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$
  SELECT slackchat_bridge.emit(json_build_object('unpublish', slackchat_bridge.must_be_channel(channel)))
$$;

CREATE OR REPLACE FUNCTION slackchat_bridge.unpublish(channel uuid) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT slackchat_bridge.unpublish(channel::text) $$;

CREATE OR REPLACE FUNCTION slackchat_bridge.unpublish(channel bigint) RETURNS void
LANGUAGE sql SET search_path = pg_catalog AS $$ SELECT slackchat_bridge.unpublish(channel::text) $$;

-- Asks for an update notification about every channel to one endpoint.
CREATE OR REPLACE FUNCTION slackchat_bridge.resync(webhook_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  PERFORM slackchat_bridge.must_be_webhook(webhook_id);
  PERFORM slackchat_bridge.emit(json_build_object('resync', webhook_id::text));
END
$$;

-- Tables of children whose rows say when they were made.
CREATE OR REPLACE FUNCTION slackchat_bridge.dated_children() RETURNS TABLE (name text, dated text, message_id text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT c.name, c.dated, c.message_id
    FROM (VALUES ({{reaction?}}::text, {{reaction.timestamp?}}::text, {{reaction.message_id?}}::text), ({{kwarg?}}, {{kwarg.timestamp?}}, {{kwarg.message_id?}})) AS c(name, dated, message_id)
   WHERE EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(c.name) AND a.attname = c.dated AND a.attnum > 0 AND NOT a.attisdropped)
$$;

-- One page of a replay: asks for messages to be told once more, as they are by then, whose rows say that they are not
-- older than `since`, by their own timestamp or by that of a reaction or keyword argument. They come in the order of the
-- first timestamp that says so; a page begins behind (after_at, after_id), where the one before ended.
CREATE OR REPLACE FUNCTION slackchat_bridge.replay_page(
  since timestamptz, INOUT until timestamptz, channels text[], webhooks bigint[], after_at timestamptz, after_id text, at_most integer,
  OUT messages integer, OUT last_at timestamptz, OUT last_id text
)
-- Timestamps without a zone are taken for UTC, as they are when they are told.
LANGUAGE plpgsql SET search_path = pg_catalog SET timezone = 'UTC' AS $$
#variable_conflict use_variable
DECLARE
  bounds CONSTANT text := '%1$s >= $1 AND %1$s <= %5$s AND (%1$s, %2$s) > ($4, $5) AND ($3 IS NULL OR m.%3$I::text = ANY ($3))%4$s ORDER BY %1$s, %2$s LIMIT $6';
  own text;
  children text := '';
  earlier text;
  newest timestamptz;
  wanted text[];
  child record;
  other record;
  found record;
  begin_id {{message}}.{{message.id}}%TYPE := after_id;
BEGIN
  IF since IS NULL THEN
    RAISE EXCEPTION 'a replay needs a time to begin at' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  SELECT array_agg(slackchat_bridge.must_be_channel(c.id)) INTO wanted FROM unnest(channels) AS c(id);
  PERFORM slackchat_bridge.must_be_webhook(w.id) FROM unnest(webhooks) AS w(id);
  IF until IS NULL THEN
    -- What comes later is told anyway.
    SELECT max(m.{{message.timestamp}}) INTO until FROM {{message}} m;
    FOR child IN SELECT * FROM slackchat_bridge.dated_children() LOOP
      EXECUTE format('SELECT max(%I) FROM %s', child.dated, child.name) INTO newest;
      until := greatest(until, newest);
    END LOOP;
    until := coalesce(until, since);
  END IF;
  own := format('SELECT m.%I::timestamptz AS at, m.%I AS id FROM {{message}} m WHERE ', {{message.timestamp?}}, {{message.id?}})
    || format(bounds, format('m.%I', {{message.timestamp?}}), format('m.%I', {{message.id?}}), {{message.channel_id?}}, '', '$2');
  FOR child IN SELECT * FROM slackchat_bridge.dated_children() LOOP
    -- A message that is newer itself comes with its own timestamp; any other with that of the first of its children.
    earlier := format(' AND m.%I < $1', {{message.timestamp?}});
    FOR other IN SELECT * FROM slackchat_bridge.dated_children() LOOP
      earlier := earlier || format(' AND NOT EXISTS (SELECT FROM %s e WHERE e.%I = c.%I AND e.%I >= $1 AND e.%I < c.%I)', other.name, other.message_id, child.message_id, other.dated, other.dated, child.dated);
    END LOOP;
    -- Not beyond what the page can have: most children are of messages that are newer themselves, and passed over.
    children := children || ' UNION ALL (' || (format('SELECT c.%1$I::timestamptz AS at, c.%2$I AS id FROM %3$s c JOIN {{message}} m ON m.%4$I = c.%2$I WHERE ', child.dated, child.message_id, child.name, {{message.id?}})
      || format(bounds, format('c.%I', child.dated), format('c.%I', child.message_id), {{message.channel_id?}}, earlier, '(SELECT r.at FROM reach r)')) || ')';
  END LOOP;
  messages := 0;
  FOR found IN EXECUTE 'WITH own AS MATERIALIZED (' || own || '), reach AS (SELECT CASE WHEN count(*) < $6 THEN $2 ELSE max(o.at) END AS at FROM own o) '
    || 'SELECT min(s.at) AS at, s.id FROM (SELECT o.at, o.id FROM own o' || children || ') s GROUP BY s.id ORDER BY 1, 2 LIMIT $6'
    USING since, until, wanted, coalesce(after_at, '-infinity'), begin_id, at_most
  LOOP
    PERFORM slackchat_bridge.emit(json_strip_nulls(json_build_object('replay', found.id::text, 'to', webhooks::text[])));
    messages := messages + 1;
    last_at := found.at;
    last_id := found.id::text;
  END LOOP;
END
$$;

-- All pages at once: asks for all messages that are not older to be told once more, to all endpoints or to these; returns
-- how many. Where they are many, the command `slackchat-bridge replay` is gentler: it waits for each page to be told.
CREATE OR REPLACE FUNCTION slackchat_bridge.replay(since timestamptz, channels text[] DEFAULT NULL, webhooks bigint[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
#variable_conflict use_variable
DECLARE
  page record;
  until timestamptz;
  after_at timestamptz;
  after_id text;
  total bigint := 0;
BEGIN
  LOOP
    SELECT p.* INTO page FROM slackchat_bridge.replay_page(since, until, channels, webhooks, after_at, after_id, 1000) AS p;
    total := total + page.messages;
    EXIT WHEN page.messages < 1000;
    until := page.until;
    after_at := page.last_at;
    after_id := page.last_id;
  END LOOP;
  RETURN total;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA slackchat_bridge FROM PUBLIC;
