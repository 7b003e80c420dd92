//! The table beside the figures.

macro_rules! facts {
    () => {
        r#"
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
) WITH (fillfactor = 90);
"#
    };
}
pub(super) use facts;
