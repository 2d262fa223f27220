-- Where several instances share the messages (SHARD), none of them sees all of a channel.
CREATE FUNCTION slackchat_bridge.webhooks_keep_order() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF NEW.ordering = 'channel' THEN
    IF EXISTS (SELECT FROM slackchat_bridge.meta m WHERE m.key IN ('shards', 'shards next') AND m.value <> '1') THEN
      RAISE EXCEPTION 'ordering must be message where several instances share the messages (SHARD): they cannot keep the order of a channel'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'ordering_must_be_message_with_shards';
    END IF;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER keep_order BEFORE INSERT OR UPDATE OF ordering ON slackchat_bridge.webhooks
  FOR EACH ROW EXECUTE FUNCTION slackchat_bridge.webhooks_keep_order();
