-- The bridge's own schema. Nothing of the application is touched here.

CREATE TABLE slackchat_bridge.meta (
  key text PRIMARY KEY,
  value text NOT NULL
);
COMMENT ON TABLE slackchat_bridge.meta IS 'What setup did and the bridge must remember, so that teardown can undo it.';

CREATE TABLE slackchat_bridge.webhooks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  endpoint text NOT NULL UNIQUE,
  token text,
  secret text,
  chat_types text[],
  update_types text[],
  ordering text NOT NULL DEFAULT 'message',
  conflate boolean NOT NULL DEFAULT false,
  max_in_flight integer NOT NULL DEFAULT 64,
  enabled boolean NOT NULL DEFAULT true,
  verified boolean NOT NULL DEFAULT false,
  verified_at timestamptz,
  last_error text,
  last_error_at timestamptz,
  disabled_reason text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT endpoint_must_be_an_http_or_https_url
    CHECK (endpoint ~* '^https?://(\[[0-9a-f:.]+\]|[^][:space:]/?#@:[]+)(:[0-9]{1,5})?([/?#][^[:space:]]*)?$'
           OR endpoint ~* '^https?://[^/?#[:space:]]*@'),
  CONSTRAINT endpoint_must_not_contain_credentials
    CHECK (endpoint !~ '^[^:]+://[^/?#]*@'),
  CONSTRAINT secret_must_be_one_or_two_whsec_secrets
    CHECK (secret ~ '^whsec_[A-Za-z0-9+/]+=*( whsec_[A-Za-z0-9+/]+=*)?$'),
  CONSTRAINT update_types_must_be_message_created_message_changed_or_message_deleted
    CHECK (update_types <@ ARRAY['message_created', 'message_changed', 'message_deleted']),
  CONSTRAINT ordering_must_be_message_or_channel CHECK (ordering IN ('message', 'channel')),
  CONSTRAINT max_in_flight_must_be_1_to_1024 CHECK (max_in_flight BETWEEN 1 AND 1024)
);
COMMENT ON COLUMN slackchat_bridge.webhooks.token IS 'sent as "token"; null: WEBHOOK_VERIFICATION_TOKEN';
COMMENT ON COLUMN slackchat_bridge.webhooks.secret IS 'whsec_…, two separated by a space while one is rotated out; null: unsigned';
COMMENT ON COLUMN slackchat_bridge.webhooks.chat_types IS 'only channels of these chat types; null: all';
COMMENT ON COLUMN slackchat_bridge.webhooks.update_types IS 'only these update types; null: all';
COMMENT ON COLUMN slackchat_bridge.webhooks.verified IS 'set by the bridge alone, after the endpoint echoed a challenge';
COMMENT ON COLUMN slackchat_bridge.webhooks.last_error IS 'why nothing arrives, for a person to read';

-- A changed or re-saved row is verified anew; only the bridge itself may say that one is verified.
CREATE FUNCTION slackchat_bridge.webhooks_before_save() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF current_setting('slackchat_bridge.own_write', true) = 'on' THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'INSERT' THEN
    NEW.verified := false;
  ELSIF NOT OLD.verified OR NEW.endpoint IS DISTINCT FROM OLD.endpoint OR NEW.token IS DISTINCT FROM OLD.token THEN
    NEW.verified := false;
  END IF;
  IF NOT NEW.verified THEN
    NEW.verified_at := NULL;
  END IF;
  IF NEW.enabled THEN
    NEW.disabled_reason := NULL;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER before_save BEFORE INSERT OR UPDATE ON slackchat_bridge.webhooks
  FOR EACH ROW EXECUTE FUNCTION slackchat_bridge.webhooks_before_save();

-- Only what could not be delivered at first stands here.
CREATE TABLE slackchat_bridge.deliveries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  webhook_id bigint NOT NULL REFERENCES slackchat_bridge.webhooks (id) ON DELETE CASCADE,
  notification_id text NOT NULL,
  lane text NOT NULL,
  commit_lsn pg_lsn NOT NULL,
  seq integer NOT NULL,
  channel_id text NOT NULL,
  body text NOT NULL,
  status text NOT NULL DEFAULT 'waiting' CONSTRAINT status_must_be_waiting_or_dead CHECK (status IN ('waiting', 'dead')),
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz,
  first_attempt_at timestamptz,
  last_attempt_at timestamptz,
  last_status integer,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (webhook_id, notification_id)
);
COMMENT ON TABLE slackchat_bridge.deliveries IS
  'Deliveries that wait for a retry, or behind one in their lane, and dead ones until they are retried or purged.';
COMMENT ON COLUMN slackchat_bridge.deliveries.body IS 'the request''s JSON without its token';
COMMENT ON COLUMN slackchat_bridge.deliveries.next_attempt_at IS 'null while it waits behind an earlier one of its lane';

-- a lane's head and what comes after it
CREATE INDEX deliveries_lane ON slackchat_bridge.deliveries (webhook_id, lane, commit_lsn, seq) WHERE status = 'waiting';
-- what is due
CREATE INDEX deliveries_due ON slackchat_bridge.deliveries (webhook_id, next_attempt_at)
  WHERE status = 'waiting' AND next_attempt_at IS NOT NULL;
-- what has waited for too long
CREATE INDEX deliveries_age ON slackchat_bridge.deliveries (webhook_id, coalesce(first_attempt_at, created_at)) WHERE status = 'waiting';
CREATE INDEX deliveries_dead ON slackchat_bridge.deliveries (webhook_id, last_attempt_at) WHERE status = 'dead';
