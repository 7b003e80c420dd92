//! What each event does to the books, written down a second time from the chart of postings and not from the code.

use serde_json::Value;

use super::{minor, text};

/// Debits above zero, credits below, in minor units, all in one currency.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub currency: String,
    pub lines: Vec<(String, i128)>,
}

impl Entry {
    pub fn in_currency_of(body: &Value) -> Entry {
        Entry { currency: text(body, "currency").to_owned(), lines: vec![] }
    }

    /// Debits one account and credits another.
    pub fn transfer(mut self, debit: &str, credit: &str, amount: i128) -> Entry {
        self.lines.push((debit.to_owned(), amount));
        self.lines.push((credit.to_owned(), -amount));
        self
    }
}

/// Categories whose events say who did what, and move nothing.
const WORKFLOW: [&str; 10] = [
    "bank_account.",
    "dispute.",
    "merchant.",
    "merchant_limits.",
    "order.",
    "pre_auth.",
    "rates.",
    "settlement.",
    "tier.",
    "withdrawal.",
];

/// Nothing for what moves no money; an error for an event that this auditor has never heard of.
pub fn entry(event_type: &str, body: &Value) -> Result<Option<Entry>, String> {
    let entry = match event_type {
        "payment.captured" => captured(body),
        "payment.fee_trued_up" => fee_trued_up(body),
        "payment.refund_requested" => {
            Entry::in_currency_of(body).transfer(&pending(body), &refund_hold(body), amount(body))
        }
        "payment.refund_failed" => {
            Entry::in_currency_of(body).transfer(&refund_hold(body), &pending(body), amount(body))
        }
        "payment.refund_succeeded" => refunded(body, &refund_hold(body), 1),
        "payment.refund_succeeded_late" => refunded(body, &pending(body), 1),
        "payment.refund_reversed" => refunded(body, &pending(body), -1),
        "payment.dispute_opened" | "payment.dispute_adjusted" => disputed(body),
        "payment.dispute_closed" => dispute_closed(body, 1),
        "payment.dispute_reopened" => dispute_closed(body, -1),
        "pre_auth.authorized" => authorized(body, amount(body)),
        "pre_auth.captured" => authorized(body, -amount(body) - minor(body, "released")),
        "pre_auth.captured_late" => authorized(body, -minor(body, "covered")),
        "pre_auth.capture_failed" | "pre_auth.closed" => authorized(body, -minor(body, "released")),
        "adjustment.approved" => adjusted(body),
        "channel_account.payout_received" => paid_out(body),
        "channel_account.difference_resolved" => explained(body),
        "channel_account.resolution_requested" => return Ok(None),
        "adjustment.proposed" | "adjustment.rejected" => return Ok(None),
        other if WORKFLOW.iter().any(|category| other.starts_with(category)) => return Ok(None),
        "order_claim.claimed"
        | "order_claim.released"
        | "payment.created"
        | "payment.action_required"
        | "payment.accepted"
        | "payment.outcome_unknown"
        | "payment.cancellation_requested"
        | "payment.failed"
        | "payment.cancelled"
        | "payment.expired"
        | "payment.refund_accepted"
        | "payment.refund_outcome_unknown"
        | "payment.over_returned" => return Ok(None),
        unknown => return Err(format!("{unknown} is not in the auditor's chart")),
    };
    Ok(Some(entry))
}

fn amount(body: &Value) -> i128 {
    minor(body, "amount")
}

fn pending(body: &Value) -> String {
    format!("merchant:{}:pending", text(body, "merchant_id"))
}

fn refund_hold(body: &Value) -> String {
    format!("merchant:{}:refund_hold:{}", text(body, "merchant_id"), text(body, "refund_id"))
}

fn receivable(body: &Value) -> String {
    format!("channel:{}:receivable", text(body, "channel"))
}

fn channel_expense(body: &Value) -> String {
    format!("expense:channel_fee:{}", text(body, "channel"))
}

/// What of the channel's fee the merchant bears: all of it, unless its price is one number.
fn borne_by_merchant(body: &Value, fee: i128) -> i128 {
    if text(body, "pricing_model") == "blended" { 0 } else { fee }
}

fn captured(body: &Value) -> Entry {
    let told = body.pointer("/channel_fee/known").and_then(Value::as_i64);
    let guessed = body.pointer("/channel_fee/estimated").and_then(Value::as_i64);
    let fee = i128::from(told.or(guessed).unwrap_or_default());
    let accrual = format!("channel:{}:fee_accrual:{}", text(body, "channel"), text(body, "payment_id"));
    let owed_to = if told.is_some() { receivable(body) } else { accrual };
    Entry::in_currency_of(body)
        .transfer(&receivable(body), &pending(body), amount(body))
        .transfer(&channel_expense(body), &owed_to, fee)
        .transfer(&pending(body), "revenue:processing", minor(body, "markup"))
        .transfer(&pending(body), "recovery:channel_fee", borne_by_merchant(body, fee))
}

/// The accrual goes, whatever the fee turned out to be; expense and recovery take the difference.
fn fee_trued_up(body: &Value) -> Entry {
    let (guessed, actual) = (minor(body, "estimate"), minor(body, "actual"));
    let accrual = format!("channel:{}:fee_accrual:{}", text(body, "channel"), text(body, "payment_id"));
    Entry::in_currency_of(body)
        .transfer(&accrual, &receivable(body), guessed)
        .transfer(&channel_expense(body), &receivable(body), actual - guessed)
        .transfer(&pending(body), "recovery:channel_fee", borne_by_merchant(body, actual - guessed))
}

/// Money that goes back over the channel out of `source`, or all of that taken back.
fn refunded(body: &Value, source: &str, sign: i128) -> Entry {
    let (markup, fee) = (minor(body, "markup_returned"), minor(body, "channel_fee_returned"));
    Entry::in_currency_of(body)
        .transfer(source, &receivable(body), sign * amount(body))
        .transfer("revenue:processing", &pending(body), sign * markup)
        .transfer(&receivable(body), &channel_expense(body), sign * fee)
        .transfer("recovery:channel_fee", &pending(body), sign * borne_by_merchant(body, fee))
}

fn dispute_hold(body: &Value) -> String {
    format!("merchant:{}:dispute_hold:{}", text(body, "merchant_id"), text(body, "dispute_id"))
}

fn disputed_at_channel(body: &Value) -> String {
    format!("channel:{}:disputed:{}", text(body, "channel"), text(body, "dispute_id"))
}

/// What the channel takes, or takes more; the whole of its fee is the merchant's to bear.
fn disputed(body: &Value) -> Entry {
    let (fee, expense) = (minor(body, "fee"), format!("expense:dispute_fee:{}", text(body, "channel")));
    Entry::in_currency_of(body)
        .transfer(&disputed_at_channel(body), &receivable(body), amount(body))
        .transfer(&expense, &receivable(body), fee)
        .transfer(&pending(body), &dispute_hold(body), amount(body))
        .transfer(&pending(body), "revenue:dispute_fee", fee)
}

/// What is won comes back to the merchant, what is lost is gone, or all of that undone.
fn dispute_closed(body: &Value, sign: i128) -> Entry {
    let (won, lost, fee) = (minor(body, "won"), minor(body, "lost"), minor(body, "fee_returned"));
    let expense = format!("expense:dispute_fee:{}", text(body, "channel"));
    Entry::in_currency_of(body)
        .transfer(&receivable(body), &disputed_at_channel(body), sign * won)
        .transfer(&dispute_hold(body), &pending(body), sign * won)
        .transfer(&dispute_hold(body), &disputed_at_channel(body), sign * lost)
        .transfer(&receivable(body), &expense, sign * fee)
        .transfer("revenue:dispute_fee", &pending(body), sign * fee)
}

/// What is held at the channel for this pre-auth, off the balance sheet; below zero, what is held no more.
fn authorized(body: &Value, amount: i128) -> Entry {
    let of_merchant = format!("memo:merchant:{}:authorized:{}", text(body, "merchant_id"), text(body, "pre_auth_id"));
    Entry::in_currency_of(body).transfer(&format!("memo:auth:{}", text(body, "channel")), &of_merchant, amount)
}

/// The legs as two people agreed on them; none where a merchant's account posts them.
fn adjusted(body: &Value) -> Entry {
    let legs = body.get("legs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let line = |leg: &Value| {
        let sign = if text(leg, "side") == "debit" { 1 } else { -1 };
        (text(leg, "account").to_owned(), sign * minor(leg, "amount"))
    };
    let currency = legs.first().map(|leg| text(leg, "currency").to_owned()).unwrap_or_default();
    Entry { currency, lines: legs.iter().map(line).collect() }
}

/// What arrived, and beside it what its statement says that did not.
fn paid_out(body: &Value) -> Entry {
    let (arrived, expected) = (amount(body), minor(body, "expected"));
    Entry::in_currency_of(body)
        .transfer(&format!("bank:{}:cash", text(body, "bank")), &receivable(body), arrived)
        .transfer(&suspense(body), &receivable(body), expected - arrived)
}

fn explained(body: &Value) -> Entry {
    let by = match text(body, "reason") {
        "bank_fee" => "expense:bank_fee",
        "fx_difference" => "fx:gain_loss",
        _ => "expense:recon_writeoff",
    };
    Entry::in_currency_of(body).transfer(&suspense(body), by, minor(body, "difference"))
}

fn suspense(body: &Value) -> String {
    format!("suspense:recon:{}", text(body, "channel"))
}
