-- What goes away otherwise than by being delivered, an endpoint does not have: the bridge must hear of it before it says that it has everything.

CREATE FUNCTION slackchat_bridge.deliveries_removed() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  PERFORM pg_logical_emit_message(true, 'slackchat_bridge',
    json_build_object('removed', CASE WHEN TG_OP = 'TRUNCATE' THEN '*' ELSE OLD.webhook_id::text END)::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER removed AFTER DELETE ON slackchat_bridge.deliveries
  FOR EACH ROW WHEN (current_setting('slackchat_bridge.own_delete', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION slackchat_bridge.deliveries_removed();
CREATE TRIGGER emptied AFTER TRUNCATE ON slackchat_bridge.deliveries
  FOR EACH STATEMENT EXECUTE FUNCTION slackchat_bridge.deliveries_removed();
