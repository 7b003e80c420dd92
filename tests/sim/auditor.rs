//! The independent auditor. It reads the log as text, the channel's own book and the clients' notes, recomputes
//! everything in its own words, and trusts no posting, state or check of the ledger.

mod accounts;
mod books;
mod disputes;
mod journal;
mod log;
mod orders;
mod payments;
mod payouts;
mod people;
mod pre_auths;
mod windows;
mod withdrawals;

use serde_json::Value;

use commands::ports::RecordedEvent;

use crate::bank::Transfers;
use crate::canary::Tampering;
use crate::channel::Book;
use crate::clients::Acknowledged;
use crate::finding::Finding;

/// Everything that is known of a world after its end.
pub struct Evidence<'a> {
    pub log: &'a [RecordedEvent],
    pub acknowledged: &'a [Acknowledged],
    pub provider: &'a Book,
    pub transfers: &'a Transfers,
    pub tampering: &'a Tampering,
}

/// `rest` says whether everything came to its end: what is stuck explains what would be found after it.
pub fn audit(evidence: &Evidence<'_>, rest: Result<(), Finding>) -> Result<(), Finding> {
    log::has_no_gap(evidence.log)?;
    log::is_chained(evidence.log)?;
    log::holds_what_was_acknowledged(evidence.log, evidence.acknowledged)?;
    let mut journal = journal::Journal::default();
    let mut disputes = disputes::Disputes::default();
    let mut orders = orders::Orders::default();
    let mut payments = payments::Payments::default();
    let mut payouts = payouts::Payouts::default();
    let mut people = people::People::default();
    let mut pre_auths = pre_auths::PreAuths::default();
    let mut withdrawals = withdrawals::Withdrawals::default();
    for event in evidence.log {
        let body = body(event)?;
        journal.take(event, &body, evidence.tampering)?;
        disputes.take(event, &body)?;
        orders.take(event, &body)?;
        payments.take(event, &body)?;
        payouts.take(event, &body)?;
        people.take(event, &body)?;
        pre_auths.take(event, &body)?;
        withdrawals.take(event, &body)?;
    }
    rest?;
    disputes.have_ended()?;
    payments.have_ended()?;
    pre_auths.have_ended()?;
    people.have_decided()?;
    withdrawals.have_ended()?;
    journal.has_emptied_what_belongs_to_one_object()?;
    disputes.agree_with(evidence.provider)?;
    payments.agree_with(evidence.provider)?;
    pre_auths.agree_with(evidence.provider)?;
    withdrawals.agree_with(evidence.transfers)?;
    journal.agrees_with(evidence.provider)?;
    payouts.agree_with(evidence.provider)?;
    journal.agrees_with_the_bank(evidence.transfers, evidence.provider)
}

/// What stands under the event's type.
fn body(event: &RecordedEvent) -> Result<Value, Finding> {
    let unreadable = || Finding::of(1, format!("position {} cannot be read", event.position));
    let mut payload: Value = serde_json::from_str(&event.payload).map_err(|_| unreadable())?;
    payload.get_mut(&event.event_type).map(Value::take).ok_or_else(unreadable)
}

/// A text field; empty if there is none.
fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// An amount in minor units; nothing if there is none.
fn minor(body: &Value, field: &str) -> i128 {
    i128::from(body.get(field).and_then(Value::as_i64).unwrap_or_default())
}
