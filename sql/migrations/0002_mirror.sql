-- Endpoints of the application's own table (APP_WEBHOOKS=mirror), and endpoints that begin at a given commit.

ALTER TABLE slackchat_bridge.webhooks
  ADD COLUMN source_id text UNIQUE,
  ADD COLUMN deliver_from pg_lsn;
COMMENT ON COLUMN slackchat_bridge.webhooks.source_id IS
  'id of the row in the application''s own table that this one mirrors; null: registered here';
COMMENT ON COLUMN slackchat_bridge.webhooks.deliver_from IS
  'told only of what is committed at this WAL position or later (it is challenged before); null: of everything';

-- As before, and where an endpoint is mirrored, its address is changed where it comes from.
CREATE OR REPLACE FUNCTION slackchat_bridge.webhooks_before_save() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF current_setting('slackchat_bridge.own_write', true) = 'on' THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'INSERT' THEN
    NEW.verified := false;
  ELSE
    IF NEW.source_id = OLD.source_id AND NEW.endpoint IS DISTINCT FROM OLD.endpoint THEN
      RAISE EXCEPTION 'webhook % mirrors row % of the application''s table: change its endpoint there, or set source_id to NULL to keep it apart',
        OLD.id, OLD.source_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT OLD.verified OR NEW.endpoint IS DISTINCT FROM OLD.endpoint OR NEW.token IS DISTINCT FROM OLD.token THEN
      NEW.verified := false;
    END IF;
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
