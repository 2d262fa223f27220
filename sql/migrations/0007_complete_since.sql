-- From where on an endpoint has been told of everything, so that a bridge that is started anew goes on saying so.

CREATE TABLE slackchat_bridge.complete_since (
  webhook_id bigint NOT NULL REFERENCES slackchat_bridge.webhooks (id) ON DELETE CASCADE,
  slot text NOT NULL,
  since pg_lsn NOT NULL,
  PRIMARY KEY (webhook_id, slot)
);
COMMENT ON TABLE slackchat_bridge.complete_since IS
  'What was committed at this position and later, and comes through this slot, the endpoint was told of, or it has a row in deliveries.';

-- A role that runs the bridge may do here what it may do in the other tables.
DO $$
DECLARE
  granted record;
BEGIN
  FOR granted IN
    SELECT a.grantee::regrole AS role, a.privilege_type AS privilege
      FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.oid = 'slackchat_bridge.meta'::regclass AND a.grantee <> 0 AND a.grantee <> c.relowner AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  LOOP
    EXECUTE format('GRANT %s ON slackchat_bridge.complete_since TO %s', granted.privilege, granted.role);
  END LOOP;
END
$$;

-- It is told of less or of more than before, or not at all for a while: from where on it is told of everything says the bridge.
CREATE FUNCTION slackchat_bridge.webhooks_forget_complete() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  DELETE FROM slackchat_bridge.complete_since c WHERE c.webhook_id = NEW.id;
  RETURN NULL;
END
$$;

CREATE TRIGGER forget_complete AFTER UPDATE ON slackchat_bridge.webhooks FOR EACH ROW
  WHEN ((OLD.enabled, OLD.verified, OLD.chat_types, OLD.update_types) IS DISTINCT FROM (NEW.enabled, NEW.verified, NEW.chat_types, NEW.update_types)
        OR (NEW.deliver_from IS NOT NULL AND NEW.deliver_from IS DISTINCT FROM OLD.deliver_from))
  EXECUTE FUNCTION slackchat_bridge.webhooks_forget_complete();

-- As before, and what is removed by hand is not complete any more.
CREATE OR REPLACE FUNCTION slackchat_bridge.deliveries_removed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    DELETE FROM slackchat_bridge.complete_since;
  ELSE
    DELETE FROM slackchat_bridge.complete_since c WHERE c.webhook_id = OLD.webhook_id;
  END IF;
  PERFORM pg_logical_emit_message(true, 'slackchat_bridge',
    json_build_object('removed', CASE WHEN TG_OP = 'TRUNCATE' THEN '*' ELSE OLD.webhook_id::text END)::text);
  RETURN NULL;
END
$$;
