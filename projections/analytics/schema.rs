//! The tables of the read model.

/// The columns of `rollup` behind its key are those of [`super::Measures`], in their order.
pub(super) const DDL: &str = r#"
-- What a payment's later events do not tell.
CREATE TABLE payment_facts (
    payment_id  text COLLATE "C" NOT NULL PRIMARY KEY,
    merchant_id text COLLATE "C" NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    -- Empty where the merchant did not say.
    country     text COLLATE "C" NOT NULL,
    amount      bigint           NOT NULL,
    created_at  timestamptz      NOT NULL,
    outcome     text COLLATE "C",
    outcome_at  timestamptz
);
CREATE TABLE rollup (
    -- Minutes that one row speaks for: 15, 60 or 1440.
    grain       smallint         NOT NULL,
    -- Empty for all merchants together.
    merchant_id text COLLATE "C" NOT NULL,
    start       timestamptz      NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    country     text COLLATE "C" NOT NULL,
    created     bigint  NOT NULL,
    succeeded   bigint  NOT NULL,
    failed      bigint  NOT NULL,
    cancelled   bigint  NOT NULL,
    expired     bigint  NOT NULL,
    refunds     bigint  NOT NULL,
    disputes    bigint  NOT NULL,
    amount_created   numeric NOT NULL,
    amount_succeeded numeric NOT NULL,
    amount_failed    numeric NOT NULL,
    amount_cancelled numeric NOT NULL,
    amount_expired   numeric NOT NULL,
    amount_refunded  numeric NOT NULL,
    amount_disputed  numeric NOT NULL,
    amount_lost      numeric NOT NULL,
    fees_passed_on   numeric NOT NULL,
    markup           numeric NOT NULL,
    channel_costs    numeric NOT NULL,
    PRIMARY KEY (merchant_id, grain, start, channel, currency, country)
);
CREATE INDEX rollup_of_each_merchant ON rollup (grain, start) WHERE merchant_id <> '';
-- How often each class of waiting time, and each code of a failure, was seen.
CREATE TABLE tallies (
    -- latency or failure.
    kind        text COLLATE "C" NOT NULL,
    grain       smallint         NOT NULL,
    merchant_id text COLLATE "C" NOT NULL,
    start       timestamptz      NOT NULL,
    channel     text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    country     text COLLATE "C" NOT NULL,
    label       text COLLATE "C" NOT NULL,
    count       bigint           NOT NULL,
    PRIMARY KEY (kind, merchant_id, grain, start, channel, currency, country, label)
);
CREATE INDEX tallies_of_each_merchant ON tallies (kind, grain, start) WHERE merchant_id <> '';
"#;
