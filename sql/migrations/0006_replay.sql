-- What is told once more because somebody asked for it (slackchat_bridge.replay): marked, and behind all else.

ALTER TABLE slackchat_bridge.deliveries
  ADD COLUMN replay boolean NOT NULL DEFAULT false,
  ADD COLUMN yields boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN slackchat_bridge.deliveries.replay IS 'a replay was asked for: the request says so in the header slackchat-replay';
COMMENT ON COLUMN slackchat_bridge.deliveries.yields IS 'everything else of the endpoint goes before it: it is a replay, and nothing but replays is behind it in its lane';

-- what is due, and what of it goes when nothing else does
DROP INDEX slackchat_bridge.deliveries_due;
CREATE INDEX deliveries_due ON slackchat_bridge.deliveries (webhook_id, yields, next_attempt_at)
  WHERE status = 'waiting' AND next_attempt_at IS NOT NULL;
-- what does not yield any more, once something else is behind it
CREATE INDEX deliveries_yielding ON slackchat_bridge.deliveries (webhook_id, lane) WHERE status = 'waiting' AND yields;
