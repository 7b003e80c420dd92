//! The tables of the books and the triggers that guard them.

/// The guards are `ALWAYS`, so that a session in replica mode is refused too.
pub(super) const DDL: &str = r#"
-- One for each event that posts, known by the event's position.
CREATE TABLE journal_transactions (
    position     bigint           PRIMARY KEY,
    -- Of the event: its stream and its type.
    category     text COLLATE "C" NOT NULL,
    object       text COLLATE "C" NOT NULL,
    event_type   text COLLATE "C" NOT NULL,
    recorded_at  timestamptz      NOT NULL,
    effective_at timestamptz      NOT NULL
);

-- The lines of all transactions. They outnumber everything else, so they are short: names stand with the account.
CREATE TABLE journal_lines (
    position   bigint           NOT NULL,
    account_id bigint           NOT NULL,
    -- Minor units: positive is debited, negative is credited.
    amount     bigint           NOT NULL CONSTRAINT an_amount CHECK (amount <> 0),
    line       integer          NOT NULL,
    currency   text COLLATE "C" NOT NULL,
    PRIMARY KEY (position, line)
);

-- What the journal adds up to, per account.
CREATE TABLE accounts (
    -- The line that opened it: its transaction's position times 4,096, plus its number there.
    id          bigint           NOT NULL UNIQUE,
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

-- The journal as it is read.
CREATE VIEW journal AS
    SELECT position, line, account_id, account, lines.currency, greatest(amount, 0) AS debit, greatest(-amount, 0) AS credit,
           merchant_id, category, object, event_type, recorded_at, effective_at
      FROM journal_lines AS lines
      LEFT JOIN accounts ON accounts.id = account_id
      LEFT JOIN journal_transactions USING (position);

CREATE FUNCTION remember_end() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM set_config('payledger.journal_end', coalesce(max(position), 0)::text, true) FROM journal_lines;
    RETURN NULL;
END;
$$;
CREATE TRIGGER transactions_are_added BEFORE INSERT ON journal_lines FOR EACH STATEMENT EXECUTE FUNCTION remember_end();
ALTER TABLE journal_lines ENABLE ALWAYS TRIGGER transactions_are_added;

CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    broken record;
    first bigint;
    number bigint;
BEGIN
    SELECT position, currency, sum(amount) AS balance INTO broken
      FROM added GROUP BY position, currency HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % does not balance: % % too much debited',
            broken.position, broken.balance, broken.currency USING ERRCODE = 'check_violation';
    END IF;
    SELECT min(position), count(*) FILTER (WHERE line = 1) INTO first, number FROM added;
    -- New transactions stand behind all others, so nothing can be added to an old one.
    IF first <= current_setting('payledger.journal_end')::bigint THEN
        RAISE EXCEPTION 'the journal only grows at its end' USING ERRCODE = 'check_violation';
    END IF;
    IF number <> (SELECT count(*) FROM journal_transactions WHERE position >= first) THEN
        RAISE EXCEPTION 'lines and transactions do not match' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END;
$$;
CREATE TRIGGER transactions_balance AFTER INSERT ON journal_lines REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_unbalanced();
ALTER TABLE journal_lines ENABLE ALWAYS TRIGGER transactions_balance;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END;
$$;
CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE journal_lines ENABLE ALWAYS TRIGGER journal_is_append_only;
CREATE TRIGGER journal_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE journal_transactions ENABLE ALWAYS TRIGGER journal_is_append_only;
"#;

/// What only queries need: built last where a whole log is folded at once.
pub(super) const INDEXES: &str = "
CREATE INDEX IF NOT EXISTS journal_of_account ON journal_lines (account_id, position);
CREATE INDEX IF NOT EXISTS accounts_of_merchant ON accounts (merchant_id, account) WHERE merchant_id IS NOT NULL;
";
