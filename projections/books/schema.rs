//! The tables of the books and the triggers that guard them.

/// The guards are `ALWAYS`, so that a session in replica mode is refused too.
pub(super) const DDL: &str = r#"
CREATE TABLE journal (
    -- Of the event whose posting this is: the transaction's own number.
    position     bigint           NOT NULL,
    line         integer          NOT NULL,
    account      text COLLATE "C" NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    debit        bigint           NOT NULL,
    credit       bigint           NOT NULL,
    merchant_id  text COLLATE "C",
    recorded_at  timestamptz      NOT NULL,
    effective_at timestamptz      NOT NULL,
    PRIMARY KEY (position, line),
    CONSTRAINT one_positive_side CHECK (debit >= 0 AND credit >= 0 AND (debit > 0) <> (credit > 0))
);
CREATE INDEX journal_of_account ON journal (account, position, line);
CREATE INDEX journal_of_merchant ON journal (merchant_id, position) WHERE merchant_id IS NOT NULL;

-- What the journal adds up to, per account.
CREATE TABLE accounts (
    account     text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    type        text COLLATE "C" NOT NULL,
    merchant_id text COLLATE "C",
    -- The path of an account that exists for one object, with a star for the object: what it is shown under once cleared.
    family      text COLLATE "C",
    debits      numeric          NOT NULL,
    credits     numeric          NOT NULL,
    PRIMARY KEY (account, currency)
);
CREATE INDEX accounts_of_merchant ON accounts (merchant_id, account) WHERE merchant_id IS NOT NULL;

-- What the journal adds up to, per merchant: one short row, however many holds there have been.
CREATE TABLE balances (
    merchant_id text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    pending     numeric          NOT NULL,
    available   numeric          NOT NULL,
    reserved    numeric          NOT NULL,
    on_hold     numeric          NOT NULL,
    receivable  numeric          NOT NULL,
    PRIMARY KEY (merchant_id, currency)
);

-- The journal's lines of merchants' pending balances, a row for each event, except what their own accounts post: what
-- settlements are made of.
CREATE TABLE activity (
    merchant_id text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL,
    position    bigint           NOT NULL,
    event_type  text COLLATE "C" NOT NULL,
    object      text COLLATE "C" NOT NULL,
    debit       bigint           NOT NULL,
    credit      bigint           NOT NULL,
    PRIMARY KEY (merchant_id, currency, position)
);

CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    broken record;
BEGIN
    SELECT position, currency, sum(debit) AS debits, sum(credit) AS credits INTO broken
      FROM added GROUP BY position, currency HAVING sum(debit) <> sum(credit) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % does not balance: % % debited, % credited',
            broken.position, broken.currency, broken.debits, broken.credits USING ERRCODE = 'check_violation';
    END IF;
    -- New transactions stand behind all others, so nothing can be added to an old one.
    IF (SELECT count(*) FROM journal WHERE position >= (SELECT min(position) FROM added))
       <> (SELECT count(*) FROM added) THEN
        RAISE EXCEPTION 'the journal only grows at its end' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER transactions_balance AFTER INSERT ON journal REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced();
ALTER TABLE journal ENABLE ALWAYS TRIGGER transactions_balance;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END;
$$;
CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE journal ENABLE ALWAYS TRIGGER journal_is_append_only;
"#;
