-- A webhook may tell about a payment or a pre-auth, and the story of either shows it: so it is found by the id of the
-- stream that it tells about. The column that knew payments only goes at once: no program with it has been released.
ALTER TABLE webhooks ADD COLUMN stream_id text COLLATE "C";
UPDATE webhooks SET stream_id = payment_id WHERE payment_id IS NOT NULL;
CREATE INDEX webhooks_stream_id ON webhooks (stream_id, received_at) WHERE stream_id IS NOT NULL;
ALTER TABLE webhooks DROP COLUMN payment_id;
