-- The calls that went out to channels and banks, for people who read the story of one object: what was asked, under
-- which key, how long it took and how it ended. Nothing is ever decided on it, so it is written without waiting for the
-- disk, may lose its newest lines in a crash, and is forgotten after its term. It holds no bodies, no secrets and no
-- personal data.
CREATE TABLE channel_calls (
    call_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream_id       text COLLATE "C" NOT NULL,
    called          text        NOT NULL,
    operation       text        NOT NULL,
    step            text        NOT NULL,
    attempt         bigint      NOT NULL CHECK (attempt > 0),
    number          bigint      NOT NULL CHECK (number > 0),
    idempotency_key text,
    request_id      text,
    started_at      timestamptz NOT NULL,
    latency_ms      bigint      NOT NULL CHECK (latency_ms >= 0),
    result          text        NOT NULL
);

CREATE INDEX channel_calls_stream_id ON channel_calls (stream_id, started_at);
-- For forgetting what has had its time.
CREATE INDEX channel_calls_started_at ON channel_calls (started_at);
