-- What deliveries that wait need to be told apart by message, so that they can collapse into their net effect (webhooks.conflate).

ALTER TABLE slackchat_bridge.deliveries
  ADD COLUMN message_id text,
  ADD COLUMN update_type text,
  -- Of those that are there by now nobody knows.
  ADD COLUMN attempted boolean NOT NULL DEFAULT true,
  ADD COLUMN repeated boolean NOT NULL DEFAULT false;
ALTER TABLE slackchat_bridge.deliveries ALTER COLUMN attempted SET DEFAULT false;

COMMENT ON COLUMN slackchat_bridge.deliveries.message_id IS 'null: about the channel as a whole';
COMMENT ON COLUMN slackchat_bridge.deliveries.update_type IS 'null: it was stored for an endpoint that does not conflate, and collapses with nothing';
COMMENT ON COLUMN slackchat_bridge.deliveries.attempted IS 'an attempt was begun, so the receiver may have it: it collapses with nothing any more';
COMMENT ON COLUMN slackchat_bridge.deliveries.repeated IS 'the stream brought it once more, after a crash: the receiver may have had it before';

-- a message's own in the lane of its channel, and the last about the channel as a whole
CREATE INDEX deliveries_channel ON slackchat_bridge.deliveries (webhook_id, lane, message_id, commit_lsn, seq)
  WHERE status = 'waiting' AND lane LIKE 'channel:%';
