-- What channels told by webhook, kept before it is acted on, so that nothing is lost when the process dies in between
-- (`due_at` is set until a webhook is settled, and the sweep takes what is due), and nothing is acted on twice (the
-- primary key is the channel's own id). `message` is the raw body with the headers of its signature, sealed under the
-- master key, and dropped after its time of keeping; the row stays, so that a late duplicate is still known.
CREATE TABLE webhooks (
    channel text NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    payment_id text,
    message bytea,
    received_at timestamptz NOT NULL,
    due_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    outcome text CHECK (outcome IN ('acted', 'ignored', 'parked')),
    outcome_reason text,
    settled_at timestamptz,
    PRIMARY KEY (channel, event_id),
    CHECK ((due_at IS NULL) = (outcome IS NOT NULL))
);

CREATE INDEX webhooks_due_at ON webhooks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhooks_payment_id ON webhooks (payment_id, received_at) WHERE payment_id IS NOT NULL;
CREATE INDEX webhooks_message ON webhooks (received_at) WHERE message IS NOT NULL AND due_at IS NULL;
