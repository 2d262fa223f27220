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

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA slackchat_bridge FROM PUBLIC;
