//! The catalogue of every error code of the API: `ERRORS.md` and `/errors` are made from it.
//! Knows nothing of requests; codes are stable and never reused.

/// One entry of the error reference.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorCode {
    pub code: &'static str,
    pub status: u16,
    /// Can the same request succeed later without being changed?
    pub retryable: bool,
    pub title: &'static str,
    /// What the caller does about it.
    pub advice: &'static str,
}

macro_rules! catalogue {
    ($($name:ident $code:literal $status:literal $retryable:ident $title:literal $advice:literal;)*) => {
        $(pub const $name: &ErrorCode = &ErrorCode {
            code: $code, status: $status, retryable: catalogue!(@$retryable), title: $title, advice: $advice,
        };)*

        /// In the order of the reference: by status, then by topic.
        pub const CATALOGUE: &[&ErrorCode] = &[$($name),*];
    };
    (@retry) => { true };
    (@change) => { false };
}

catalogue! {
    MALFORMED_REQUEST "malformed_request" 400 change "The request cannot be read"
        "Check the request line, the headers and the encoding of the body.";
    MALFORMED_JSON "malformed_json" 400 change "The body is not JSON"
        "Send one JSON value in UTF-8, nested no deeper than 100 levels.";
    IDEMPOTENCY_KEY_MISSING "idempotency_key_missing" 400 change "The Idempotency-Key is missing"
        "Send an `Idempotency-Key` of your own choice, a new one for each new intent and the same one for each repeat.";
    IDEMPOTENCY_KEY_INVALID "idempotency_key_invalid" 400 change "The Idempotency-Key is not valid"
        "Use 1 to 255 visible ASCII characters.";
    UNKNOWN_PARAMETER "unknown_parameter" 400 change "The query has an unknown parameter"
        "Remove the parameter that the answer names; a filter that does not exist must not be ignored silently.";
    INVALID_PARAMETER "invalid_parameter" 400 change "A query parameter has no valid value"
        "Correct the parameter that the answer names.";
    INVALID_CURSOR "invalid_cursor" 400 change "The cursor is not one of ours"
        "Use `next_cursor` of the page before, unchanged, with the same filters.";
    INVALID_POSITION "invalid_position" 400 change "The ledger position is not one of ours"
        "Use a `Ledger-Position` that an answer carried, unchanged.";
    POSITION_BEYOND_HEAD "position_beyond_head" 400 change "The ledger has not come to this position"
        "The token belongs to another installation, or to a ledger that was restored from a backup.";
    UNAUTHENTICATED "unauthenticated" 401 change "The key is missing or not accepted"
        "Send `Authorization: Bearer <secret>`, or sign the request. A signature is good for 300 s and once; which part was wrong is not told.";
    WEBHOOK_SIGNATURE_INVALID "webhook_signature_invalid" 401 change "The webhook's signature does not verify"
        "Check the signing secret and the clock of the channel.";
    FORBIDDEN "forbidden" 403 change "This key's role may not do that"
        "Use a key of a role that the route names.";
    NOT_FOUND "not_found" 404 change "There is nothing at this address"
        "Check the path. Objects of other merchants are not told from missing ones.";
    PAYMENT_NOT_FOUND "payment_not_found" 404 change "There is no such payment"
        "Check the id and whose key you use.";
    PRE_AUTH_NOT_FOUND "pre_auth_not_found" 404 change "There is no such pre-auth"
        "Check the id and whose key you use.";
    REFUND_NOT_FOUND "refund_not_found" 404 change "There is no such refund"
        "Check the id and whose key you use.";
    DISPUTE_NOT_FOUND "dispute_not_found" 404 change "There is no such dispute"
        "Check the id and whose key you use.";
    ORDER_NOT_FOUND "order_not_found" 404 change "There is no such order"
        "Check the order number and whose key you use; only orders made by `POST /orders` can be paid, refunded, shipped, completed and cancelled as such.";
    WITHDRAWAL_NOT_FOUND "withdrawal_not_found" 404 change "There is no such withdrawal"
        "Check the id and whose key you use.";
    BANK_ACCOUNT_NOT_FOUND "bank_account_not_found" 404 change "There is no such bank account"
        "`GET /bank-accounts` lists those that withdrawals were requested to.";
    SETTLEMENT_NOT_FOUND "settlement_not_found" 404 change "There is no such settlement"
        "Check the id and whose key you use.";
    MERCHANT_NOT_FOUND "merchant_not_found" 404 change "There is no such merchant"
        "Check the id.";
    TIER_NOT_FOUND "tier_not_found" 404 change "There is no such tier"
        "There are `starter`, `business`, `enterprise` and `premium`.";
    KEY_NOT_FOUND "key_not_found" 404 change "There is no such key"
        "Check the id.";
    ACCOUNT_NOT_FOUND "account_not_found" 404 change "There is no such account"
        "`GET /ledger/accounts` lists the accounts that were ever posted to.";
    TRANSACTION_NOT_FOUND "transaction_not_found" 404 change "No transaction stands at this position"
        "Only events that move money post a transaction; its position is that of its event.";
    ADJUSTMENT_NOT_FOUND "adjustment_not_found" 404 change "There is no such adjustment"
        "Check the id.";
    PAYOUT_NOT_FOUND "payout_not_found" 404 change "There is no such payout"
        "Check the channel, the currency and the channel's own reference; `POST /ledger/payouts/collect` takes in what is new.";
    STATEMENT_NOT_FOUND "statement_not_found" 404 change "There is no such statement"
        "Bring it in with `POST /reconciliation/statements`.";
    RECONCILIATION_RUN_NOT_FOUND "reconciliation_run_not_found" 404 change "There is no such run"
        "`POST /reconciliation/statements` answers with the run over the statement.";
    EXCEPTION_NOT_FOUND "exception_not_found" 404 change "No reconciliation has found such a difference"
        "`GET /reconciliation/exceptions` lists them.";
    EXPORT_NOT_FOUND "export_not_found" 404 change "There is no such export"
        "Check the id and whose key you use.";
    STREAM_NOT_FOUND "stream_not_found" 404 change "There is no such stream"
        "Check the category and the id.";
    PROJECTION_NOT_FOUND "projection_not_found" 404 change "There is no such projection"
        "`GET /projections` lists them.";
    SAGA_NOT_FOUND "saga_not_found" 404 change "There is no such saga"
        "`GET /sagas` lists them.";
    JOB_NOT_FOUND "job_not_found" 404 change "There is no such job"
        "`GET /jobs` lists them.";
    CHANNEL_NOT_FOUND "channel_not_found" 404 change "There is no such channel"
        "The installation has no channel of this name.";
    METHOD_NOT_ALLOWED "method_not_allowed" 405 change "The address does not know this method"
        "The `Allow` header names the methods.";
    REQUEST_TIMEOUT "request_timeout" 408 retry "The body did not arrive in time"
        "Repeat the request.";
    IDEMPOTENCY_KEY_IN_FLIGHT "idempotency_key_in_flight" 409 retry "The first request with this key is still running"
        "Repeat the same request a little later: it gets the first one's answer.";
    CONFLICT "conflict" 409 retry "The object changed meanwhile, again and again"
        "Repeat the same request with the same key.";
    ORDER_NO_IN_USE "order_no_in_use" 409 retry "The order number has an order, a payment or a pre-auth already"
        "Wait until the other one failed, expired or was cancelled, or use another order number.";
    ORDER_ALREADY_EXISTS "order_already_exists" 409 change "The order number is taken by another order"
        "Use another order number; an order keeps its number also when it is cancelled.";
    ORDER_CANCELLED "order_cancelled" 409 change "The order is cancelled"
        "Make another order under another number.";
    ORDER_NOTHING_TO_REFUND "order_nothing_to_refund" 409 retry "Nothing of the order's money is left to refund"
        "Look at `amount_paid`, at `amount_refunded` and at the refunds under way.";
    ORDER_NOT_PAID "order_not_paid" 409 retry "The order is not paid in full"
        "Wait until `amount_paid` has come to `amount`.";
    ORDER_REFUNDED "order_refunded" 409 change "All of the order's money went back"
        "Nothing is owed for it any more: cancel the order.";
    ORDER_NOT_SHIPPED "order_not_shipped" 409 retry "The order is not shipped"
        "Ship it first.";
    ORDER_ALREADY_SHIPPED "order_already_shipped" 409 change "The order was shipped"
        "It can be refunded and completed, not cancelled.";
    ORDER_PAYMENT_IN_FLIGHT "order_payment_in_flight" 409 retry "A payment of the order is under way"
        "Cancel the payment or the pre-auth, or wait for its outcome; then cancel the order.";
    ORDER_NOT_REFUNDED "order_not_refunded" 409 retry "Money of the order did not go back"
        "Refund the order; once its refunds have succeeded, cancel it.";
    PAYMENT_ALREADY_EXISTS "payment_already_exists" 409 change "The payment exists with other terms"
        "Look at the payment before you decide.";
    PAYMENT_NOT_REFUNDABLE "payment_not_refundable" 409 retry "The payment has not succeeded"
        "Refund a payment once it is `succeeded`.";
    PAYMENT_NOT_CANCELLABLE "payment_not_cancellable" 409 change "The payment has ended, or captures a pre-auth"
        "Refund a payment that succeeded; nothing else is to be done.";
    WITHDRAWAL_ALREADY_EXISTS "withdrawal_already_exists" 409 change "The withdrawal exists with other terms"
        "Look at the withdrawal before you decide.";
    WITHDRAWAL_ALREADY_DECIDED "withdrawal_already_decided" 409 change "The withdrawal was decided already"
        "Look at its `status`: it was approved, rejected or cancelled, or it has gone to the bank.";
    WITHDRAWAL_NOT_CANCELLABLE "withdrawal_not_cancellable" 409 change "The withdrawal can no longer be cancelled"
        "It has gone to the bank, or it has ended.";
    WITHDRAWAL_NOT_APPROVED "withdrawal_not_approved" 409 retry "The withdrawal is not approved"
        "Finance approves it first.";
    BANK_ACCOUNT_COOLING_OFF "bank_account_cooling_off" 409 retry "The bank account is too new"
        "Wait until `usable_from` of the bank account.";
    SETTLEMENT_ALREADY_RELEASED "settlement_already_released" 409 change "The settlement was released"
        "Nothing is to be done: its money is available.";
    PRE_AUTH_ALREADY_EXISTS "pre_auth_already_exists" 409 change "The pre-auth exists with other terms"
        "Look at the pre-auth before you decide.";
    PRE_AUTH_NOT_CAPTURABLE "pre_auth_not_capturable" 409 retry "Nothing can be captured now"
        "Capture a pre-auth while it is `authorized` or `partially_captured`, before it expires, and not behind its final capture.";
    PRE_AUTH_SINGLE_CAPTURE "pre_auth_single_capture" 409 retry "The channel takes one capture of each pre-auth"
        "The rest was given back with the first one; choose another channel where you need several.";
    PRE_AUTH_NOT_CANCELLABLE "pre_auth_not_cancellable" 409 change "The pre-auth has ended"
        "Refund the payments that its captures have become; nothing else is to be done.";
    DISPUTE_CLOSED "dispute_closed" 409 change "The dispute is closed"
        "Its `status` tells how; nothing more can be said to it.";
    DISPUTE_ALREADY_ACCEPTED "dispute_already_accepted" 409 change "The dispute was accepted"
        "The money was given up; evidence is of no use any more.";
    EVIDENCE_ALREADY_SUBMITTED "evidence_already_submitted" 409 change "Evidence was submitted already"
        "Channels take it once; wait for the verdict.";
    DISPUTE_NOT_ACCEPTABLE "dispute_not_acceptable" 409 retry "An inquiry cannot be accepted"
        "No money has moved: answer it with evidence, or refund the payment.";
    MERCHANT_ALREADY_ONBOARDED "merchant_already_onboarded" 409 change "The merchant exists with other terms"
        "Look at the merchant before you decide.";
    ADJUSTMENT_ALREADY_EXISTS "adjustment_already_exists" 409 change "The id of the adjustment is taken"
        "Repeat with a new Idempotency-Key.";
    ADJUSTMENT_ALREADY_DECIDED "adjustment_already_decided" 409 change "The adjustment was approved or rejected"
        "Propose another one that puts right what is wrong.";
    CONTRADICTS_PAYOUT "contradicts_payout" 409 change "The channel tells another amount of a payout"
        "Nothing was booked: compare the payout with the channel.";
    PAYOUT_HAS_NO_DIFFERENCE "payout_has_no_difference" 409 change "Nothing of the payout is unexplained"
        "Look at the payout.";
    RUN_IN_PROGRESS "run_in_progress" 409 retry "The statement is being reconciled"
        "Wait until its run is `completed`.";
    TOO_MANY_RUNS "too_many_runs" 409 change "The statement was reconciled too often"
        "A statement is reconciled at most 65535 times.";
    RUN_NOT_EXPECTED "run_not_expected" 409 change "Another run has come after this one"
        "Look at the newest run over the statement.";
    EXCEPTION_ALREADY_RESOLVED "exception_already_resolved" 409 change "The exception is resolved"
        "Nothing is to be done.";
    PERIOD_ALREADY_CLOSED "period_already_closed" 409 change "The month is closed"
        "Nothing is to be done.";
    MERCHANT_CLOSED "merchant_closed" 409 change "The merchant is closed"
        "No new business is taken and nothing more is agreed; refunds, withdrawals and whatever was begun go on. Onboard it anew.";
    REBUILD_RUNNING "rebuild_running" 409 retry "The projection is being rebuilt already"
        "Wait until `GET /projections` says that it is running.";
    NOTHING_TO_ROLL_BACK_TO "nothing_to_roll_back_to" 409 change "No other generation of the projection is kept"
        "One is kept for a day after a rebuild; rebuild the projection instead.";
    EXPORT_NOT_READY "export_not_ready" 409 retry "The file is not made yet"
        "Wait until `GET /exports/{id}` says `ready`.";
    EXPORT_FAILED "export_failed" 409 change "The file could not be made"
        "Ask for another export; tell us the id if that fails too.";
    EXPORT_EXPIRED "export_expired" 410 change "The file was deleted"
        "Its `expires_at` has passed: ask for another export.";
    BODY_TOO_LARGE "body_too_large" 413 change "The body is larger than 64 kB, or than 256 MB for a statement"
        "Send less.";
    UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" 415 change "The body is not declared as JSON"
        "Send `Content-Type: application/json`.";
    RANGE_NOT_SATISFIABLE "range_not_satisfiable" 416 change "The file does not reach as far"
        "`Content-Range` tells its length.";
    UNKNOWN_FIELD "unknown_field" 422 change "The body has an unknown field"
        "Remove the field at `pointer`.";
    DUPLICATE_FIELD "duplicate_field" 422 change "The body names a field twice"
        "Keep one of the fields at `pointer`.";
    MISSING_FIELD "missing_field" 422 change "A field is missing"
        "Add the field at `pointer`.";
    INVALID_FIELD "invalid_field" 422 change "A field has no valid value"
        "Correct the field at `pointer`.";
    INVALID_AMOUNT "invalid_amount" 422 change "The amount is not valid"
        "Send a JSON integer from 1 to 999999999999999 in minor units: 1050 for 10.50 USD, 1050 for 1050 JPY.";
    INVALID_ITEMS "invalid_items" 422 change "The order has no items or too many"
        "List 1 to 100 items.";
    INVALID_ITEM "invalid_item" 422 change "An item is not valid"
        "Send a quantity of at least 1 and a `unit_amount` of 0 to 999999999999999 minor units.";
    INVALID_TOTAL "invalid_total" 422 change "The order's total is not valid"
        "The items together cost 1 to 999999999999999 minor units.";
    ORDER_TOTAL_DIFFERS "order_total_differs" 422 change "The total is not the sum of the items"
        "Correct `total` or the items, or leave `total` out.";
    ORDER_CURRENCY_DIFFERS "order_currency_differs" 422 change "The order is to be paid in another currency"
        "Pay in the order's `currency`.";
    ORDER_FULLY_PAID "order_fully_paid" 422 retry "Payments cover the whole order already"
        "Nothing is left to pay unless a payment under way fails.";
    ORDER_TOTAL_EXCEEDED "order_total_exceeded" 422 retry "The payment exceeds what is left of the order"
        "Pay at most `amount_left` of the order.";
    TOO_MANY_PAYMENTS "too_many_payments" 422 change "The order has too many payments"
        "An order takes 200, failed ones included: make another order.";
    ORDER_REFUND_EXCEEDS_PAID "order_refund_exceeds_paid" 422 retry "The refund exceeds what is left of the order's money"
        "Refund at most what was paid and neither refunded nor asked for nor disputed.";
    ORDER_TOO_MANY_REFUNDS "order_too_many_refunds" 422 change "The order has too many refunds"
        "An order asks for 1000: refund its payments by `POST /refunds`.";
    UNKNOWN_CURRENCY "unknown_currency" 422 change "The currency is not known"
        "Send the upper-case ISO 4217 code, or BTC, ETH, USDT or USDC.";
    INVALID_IBAN "invalid_iban" 422 change "The IBAN is not right"
        "Check the country, the length and the check digits.";
    INVALID_BIC "invalid_bic" 422 change "The BIC is not right"
        "Send 8 or 11 upper-case characters such as COBADEFFXXX, or leave it out with an IBAN.";
    INVALID_ACCOUNT_NUMBER "invalid_account_number" 422 change "The account number is not right"
        "Send 4 to 34 letters and digits.";
    CURRENCY_NOT_SUPPORTED_BY_BANK "currency_not_supported_by_bank" 422 change "The bank cannot transfer this currency"
        "Withdraw in a currency of ISO 4217.";
    UNKNOWN_CHANNEL "unknown_channel" 422 change "The channel is not known"
        "Leave the channel out, or name one of this installation.";
    AMOUNT_NOT_SUPPORTED "amount_not_supported_by_channel" 422 change "The channel cannot express this amount"
        "Choose another channel, currency or amount.";
    INVALID_EXPIRY "invalid_expiry" 422 change "The expiry is not valid"
        "Send `expires_in` in seconds, from 60 to 2592000.";
    MERCHANT_ID_MISMATCH "merchant_id_mismatch" 422 change "The role and the merchant do not fit"
        "Name the merchant for a key of the role merchant, and none for any other role.";
    INVALID_PRINCIPAL "invalid_principal" 422 change "The principal is not valid"
        "Use 1 to 64 letters, digits, dots, underscores or hyphens.";
    INVALID_MERCHANT_NAME "invalid_merchant_name" 422 change "The merchant's name is not valid"
        "Use 1 to 200 characters without control characters.";
    APPROVER_IS_REQUESTER "approver_is_requester" 422 change "The same person asked for it"
        "Another person must approve it; another key of the same principal is the same person.";
    UNKNOWN_ACCOUNT "unknown_account" 422 change "The account is not in the chart"
        "Use a path of the chart of accounts, and a merchant that exists.";
    ACCOUNT_NOT_ADJUSTABLE "account_not_adjustable" 422 change "The account is guarded by its own stream"
        "A merchant's available money, holds, reserves and debts are changed by withdrawals, refunds, settlements and disputes only.";
    WRITE_OFF_EXCEEDS_RECEIVABLE "write_off_exceeds_receivable" 422 change "The merchant does not owe that much"
        "Write off at most what the merchant's `receivable` holds.";
    ENTRY_UNBALANCED "entry_unbalanced" 422 change "Debits and credits differ"
        "Send at least two legs whose debits equal their credits.";
    TOO_MANY_LEGS "too_many_legs" 422 change "The adjustment has too many legs"
        "Send at most 100 legs.";
    INVALID_REASON "invalid_reason" 422 change "The reason is not valid"
        "Use 1 to 500 characters without control characters.";
    EFFECTIVE_IN_FUTURE "effective_in_future" 422 retry "The effective time has not come"
        "Send a time that has passed, or none.";
    STATEMENT_UNREADABLE "statement_unreadable" 422 change "The file is not a statement of this format"
        "Nothing was kept: compare the file's headings with the format that you name.";
    NOT_THE_OTHER_SIDE "not_the_other_side" 422 change "The exceptions are not two sides of one thing"
        "Match what is missing here with what is missing there, of one counterparty, currency and amount; adjust or write off the rest.";
    ADJUSTMENT_NOT_APPROVED "adjustment_not_approved" 422 retry "The adjustment is not approved"
        "Another person approves it first.";
    NO_ESTIMATED_FEE "no_estimated_fee" 422 change "No fee is an estimate here"
        "Adjust or write off the difference.";
    NOTHING_TO_WRITE_OFF "nothing_to_write_off" 422 change "There is nothing to write off"
        "Accept what moves no money; put a bank's statement right with an adjustment.";
    PERIOD_CLOSED "period_closed" 422 change "The period is closed"
        "Use an effective time behind the end of the last closed month, or none.";
    INVALID_MONTH "invalid_month" 422 change "The month is not valid"
        "Send a month such as 2026-10.";
    PERIOD_NOT_OVER "period_not_over" 422 retry "The month is not over"
        "Close it once its last day has passed in UTC.";
    INVALID_PAYOUT_REFERENCE "invalid_payout_reference" 422 change "The channel's reference of a payout is not valid"
        "Nothing was booked: an operator looks at the channel's answer.";
    PAYOUT_OUT_OF_RANGE "payout_out_of_range" 422 change "The channel tells an impossible payout"
        "Nothing was booked: an operator looks at the channel's answer.";
    MERCHANT_SUSPENDED "merchant_suspended" 422 retry "The merchant takes no new business"
        "Refunds and whatever was begun go on. Ask the platform why it was suspended.";
    CURRENCY_NOT_ENABLED "currency_not_enabled" 422 change "The merchant does not take this currency"
        "Send the merchant's home currency, which is USD unless another was agreed, or ask for a tier with several currencies.";
    PRE_AUTH_NOT_ENABLED "pre_auth_not_enabled" 422 change "The merchant has no pre-authorisations"
        "Create a payment instead, or ask for a tier that has them.";
    PAYMENT_LIMIT_EXCEEDED "payment_limit_exceeded" 422 change "The amount exceeds the merchant's limit per payment"
        "`GET /merchants/{id}/limits` shows the limits, in minor units of USD.";
    DAILY_LIMIT_EXCEEDED "daily_limit_exceeded" 422 retry "The amount exceeds what is left of the merchant's day"
        "Wait for the merchant's next day; what failed, was cancelled or refunded is given back at once.";
    MONTHLY_LIMIT_EXCEEDED "monthly_limit_exceeded" 422 retry "The amount exceeds what is left of the merchant's month"
        "Wait for the merchant's next month, or ask for a higher tier.";
    RATE_MISSING "rate_missing" 422 retry "The currency has no rate"
        "Limits are counted in USD: an administrator publishes a rate with `PUT /rates/{date}`.";
    INVALID_TIME_ZONE "invalid_time_zone" 422 change "The time zone is not known"
        "Send an IANA name such as `Europe/Berlin`.";
    INVALID_EFFECTIVE_FROM "invalid_effective_from" 422 change "The time lies in the past"
        "Leave `effective_from` out for a change that holds from now on.";
    INVALID_LIMITS "invalid_limits" 422 change "The limits are not valid"
        "Send minor units of USD from 1 to 999999999999999; a tier's limit per payment is at most the daily one, and that at most the monthly one.";
    INVALID_CREDIT_LIMIT "invalid_credit_limit" 422 change "The credit limit is not valid"
        "Send minor units of USD from 0 to 999999999999999.";
    INVALID_RESERVE "invalid_reserve" 422 change "The reserve plan is not valid"
        "Send 1 to 10000 basis points for 1 to 730 days, or 0 and 0 for none.";
    INVALID_THRESHOLD "invalid_threshold" 422 change "The threshold is not valid"
        "Send minor units of USD from 0 to 999999999999999.";
    INVALID_WEEKEND "invalid_weekend" 422 change "The weekend is not valid"
        "Leave at least one day of the week for business.";
    INVALID_MARKUP_RATE "invalid_markup_rate" 422 change "The markup rate is not valid"
        "Send a decimal from 0 to 1 with at most 6 places: 0.008 is 0.8 %.";
    INVALID_CALL_RATE "invalid_call_rate" 422 change "The number of calls per minute is not valid"
        "Send at least 1.";
    INVALID_RATE_TABLE "invalid_rate_table" 422 change "The table of rates is not valid"
        "Name at least one currency; USD itself has no rate.";
    INVALID_EXCHANGE_RATE "invalid_exchange_rate" 422 change "A rate is not valid"
        "Send USD for one major unit: a decimal above 0, at most 1000000000, with at most 12 places.";
    AS_OF_IN_FUTURE "as_of_in_future" 422 retry "The time lies in the future"
        "Ask for a time that has passed, or for a position.";
    IDEMPOTENCY_KEY_REUSED "idempotency_key_reused" 422 change "The Idempotency-Key was used for another request"
        "A key belongs to one method, route and body. Use a new one.";
    PAYMENT_ALREADY_REFUNDED "payment_already_refunded" 422 change "Nothing is left to refund"
        "Look at the payment's refunds; one that fails makes its amount available again.";
    REFUND_EXCEEDS_CAPTURED "refund_exceeds_captured" 422 change "The refund exceeds what is left"
        "Leave `amount` out to refund the rest.";
    INSUFFICIENT_BALANCE "insufficient_balance" 422 retry "The balance does not cover it"
        "Wait for more payments, or ask for a higher credit limit.";
    APPROVER_HAS_APPROVED "approver_has_approved" 422 change "The same person has approved it already"
        "Above the threshold a second person must approve it too.";
    RETURN_OUT_OF_RANGE "return_out_of_range" 422 change "The bank reports an impossible return"
        "Nothing was booked: a person compares the withdrawal with the bank's statement.";
    SETTLEMENT_WINDOW_CLOSED "settlement_window_closed" 422 change "The window was settled already"
        "Look at the settlements: each event is settled once.";
    PRE_AUTH_NOT_SUPPORTED "pre_auth_not_supported_by_channel" 422 change "The channel cannot hold money"
        "Choose another channel.";
    CAPTURE_EXCEEDS_AUTHORIZED "capture_exceeds_authorized" 422 retry "The capture exceeds what is left"
        "Leave `amount` out to capture the rest; what a failed capture gives back can be captured again.";
    TOO_MANY_CAPTURES "too_many_captures" 422 change "The pre-auth has too many captures"
        "A pre-auth takes at most 1000 captures.";
    AUTHORIZATION_OUT_OF_RANGE "authorization_out_of_range" 422 change "The channel reports an impossible authorisation"
        "Nothing was booked: an operator compares the pre-auth with the channel.";
    EVIDENCE_TOO_LATE "evidence_too_late" 422 change "The time for evidence is over"
        "`evidence_due_by` was the channel's deadline.";
    CUSTOMER_ERASED "customer_erased" 422 change "The customer was erased"
        "Nothing can be kept about this payment any more.";
    CAPTURE_OUT_OF_RANGE "capture_out_of_range" 422 change "The channel reports an impossible capture"
        "Nothing was booked: an operator compares the payment with the channel.";
    FEE_OUT_OF_RANGE "fee_out_of_range" 422 change "The channel reports an impossible fee"
        "Nothing was booked: an operator compares the payment with the channel.";
    CALL_LIMIT_EXCEEDED "call_limit_exceeded" 429 retry "The merchant calls more often than agreed"
        "Repeat with the same Idempotency-Key after `Retry-After`; `RateLimit` on every answer says what is left. Ask for a higher tier if it stays.";
    TOO_MANY_EXPORTS "too_many_exports" 429 retry "Five exports wait or are being made"
        "Repeat with the same Idempotency-Key once one of them is ready.";
    INTERNAL_ERROR "internal_error" 500 retry "Something is wrong on our side"
        "Repeat with the same Idempotency-Key; tell us the `request_id` if it stays.";
    UNAVAILABLE "unavailable" 503 retry "A part of the ledger cannot be reached"
        "Repeat with the same Idempotency-Key after `Retry-After`: nothing happens twice.";
    OVERLOADED "overloaded" 503 retry "Too many requests at once"
        "Repeat with the same Idempotency-Key after `Retry-After`.";
    PROJECTION_BEHIND "projection_behind" 503 retry "The read model has not come that far"
        "Repeat after `Retry-After`, or send `Prefer: wait=30`.";
}

pub fn find(code: &str) -> Option<&'static ErrorCode> {
    CATALOGUE.iter().find(|entry| entry.code == code).copied()
}

/// `ERRORS.md`.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Error reference\n\n\
         Every error is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail`, `code`, `pointer` (the\n\
         JSON pointer of the faulty field, where there is one), `parameter` (the faulty query parameter, where there is one),\n\
         `request_id` and `retryable` (can the same request succeed later without being changed?). Codes are stable and never\n\
         reused. This page is generated from `api/errors.rs`; the server shows it at `/errors`.\n\n\
         | status | code | retryable | meaning | what to do |\n|---|---|---|---|---|\n",
    );
    for entry in CATALOGUE {
        let retryable = if entry.retryable { "yes" } else { "no" };
        page +=
            &format!("| {} | `{}` | {retryable} | {} | {} |\n", entry.status, entry.code, entry.title, entry.advice);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ERRORS.md");
        let page = reference_markdown();
        if std::env::var_os("UPDATE_CATALOGUES").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == page, "api/ERRORS.md is not current: run this test with UPDATE_CATALOGUES=1");
    }

    #[test]
    fn codes_are_unique_and_sorted_by_status() {
        for (index, entry) in CATALOGUE.iter().enumerate() {
            assert_eq!(find(entry.code), Some(*entry), "{} stands twice", entry.code);
            assert!(index == 0 || CATALOGUE[index - 1].status <= entry.status, "{} stands out of order", entry.code);
        }
    }
}
