//! Invariant 6: at most one effective channel operation per key, and the sandbox's own book says what ours says.

mod disputes;

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use commands::ports::clock::{Clock, SystemClock};
use domain::Timestamp;
use domain::invariants::Violation;
use domain::payment::{Capture, Record, RefundStatus};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Operations asked for at once.
const PAGE: usize = 100;

/// One effective operation as the sandbox tells it. Amount and fee in minor units.
#[derive(Debug, Clone, Deserialize)]
pub struct Operation {
    kind: String,
    reference: String,
    idempotency_key: String,
    pub(super) amount: i64,
    fee: i64,
    time: Timestamp,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    next_after: Option<usize>,
}

/// The whole book of the sandbox at `url`.
pub async fn read(url: &str) -> anyhow::Result<Vec<Operation>> {
    read_all(url, "book").await
}

/// The whole `collection` of the sandbox at `url`.
pub async fn read_all<T: DeserializeOwned>(url: &str, collection: &str) -> anyhow::Result<Vec<T>> {
    let client = reqwest::Client::new();
    let mut rows = vec![];
    let mut after = Some(0);
    while let Some(start) = after {
        let address = format!("{}/{collection}?after={start}&limit={PAGE}", url.trim_end_matches('/'));
        let answer =
            client.get(&address).send().await.with_context(|| format!("the sandbox at {url} does not answer"))?;
        let page: Page<T> = answer.error_for_status()?.json().await.context("the sandbox's book cannot be read")?;
        rows.extend(page.data);
        after = page.next_after;
    }
    Ok(rows)
}

/// Compares every payment on the sandbox with its book; answers how many operations were compared.
/// What is still open here may have taken effect there: that is being found out, and no difference.
pub fn compare<'a>(book: &[Operation], payments: impl Iterator<Item = &'a Record>) -> Result<u64, Violation> {
    let charges = index(book, "charge")?;
    let captures = index(book, "capture")?;
    let refunds = index(book, "refund")?;
    let reversals = index(book, "refund_reversal")?;
    let disputes = disputes::Disputes::of(book, SystemClock.now());
    let mut known = HashSet::new();
    for record in payments.filter(|record| record.terms.channel.as_str() == "sandbox") {
        let id = record.payment_id().to_string();
        let taken = if record.terms.pre_auth_id.is_some() { &captures } else { &charges };
        match (record.capture(), taken.get(id.as_str())) {
            (Some(capture), Some(charge)) => same_capture(&id, capture, charge)?,
            (Some(_), None) => return Err(differs(&id, "we booked a capture that the channel does not know")),
            (None, Some(_)) if record.status().is_final() => {
                return Err(differs(&id, "the channel charged what we call ended"));
            }
            (None, _) => {}
        }
        if let Some(capture) = record.capture() {
            disputes.agree_with(&id, capture)?;
        }
        for refund in record.capture().iter().flat_map(|capture| &capture.refunds) {
            let refund_id = refund.refund_id.to_string();
            let there = refunds.get(refund_id.as_str()).filter(|operation| operation.amount == refund.amount).is_some();
            let back = reversals.contains_key(refund_id.as_str());
            let agrees = match &refund.status {
                RefundStatus::Succeeded { .. } => there && !back,
                RefundStatus::Reversed(_) => there && back,
                // One that came back before we learned that it had been made has failed here from the start.
                RefundStatus::Failed(_) => !there || back,
                _ => true,
            };
            if !agrees {
                return Err(differs(&refund_id, "the channel's book tells another end of this refund"));
            }
            known.insert(refund_id);
        }
        known.insert(id);
    }
    let ours = |operation: &&Operation| matches!(operation.kind.as_str(), "charge" | "capture" | "refund");
    match book.iter().filter(ours).find(|operation| !known.contains(&operation.reference)) {
        Some(stranger) => {
            Err(differs(&stranger.reference, "the channel's book has an operation that we never asked for"))
        }
        None => Ok(book.len() as u64),
    }
}

fn same_capture(id: &str, capture: &Capture, charge: &Operation) -> Result<(), Violation> {
    if (capture.amount, capture.channel_fee.amount()) == (charge.amount, charge.fee) {
        Ok(())
    } else {
        Err(differs(id, "amount or fee of the capture differ"))
    }
}

/// The operations of one kind by reference; two of one reference, or of one key, are a double effect.
pub(super) fn index<'a>(book: &'a [Operation], kind: &str) -> Result<HashMap<&'a str, &'a Operation>, Violation> {
    let mut by_reference = HashMap::new();
    let mut keys = HashSet::new();
    for operation in book.iter().filter(|operation| operation.kind == kind) {
        let first = by_reference.insert(operation.reference.as_str(), operation).is_none();
        if !first || !keys.insert(operation.idempotency_key.as_str()) {
            return Err(differs(&operation.reference, "took effect more than once"));
        }
    }
    Ok(by_reference)
}

pub(super) fn differs(id: &str, what: &str) -> Violation {
    Violation::of(6, format!("{id}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(kind: &str, reference: &str, key: &str) -> Operation {
        Operation {
            kind: kind.to_owned(),
            reference: reference.to_owned(),
            idempotency_key: key.to_owned(),
            amount: 1,
            fee: 0,
            time: SystemClock.now(),
        }
    }

    #[test]
    fn a_double_effect_is_named() {
        let once = [operation("charge", "pay_1", "k1"), operation("refund", "pay_1", "k1")];
        assert_eq!(index(&once, "charge").map(|found| found.len()), Ok(1));
        let same_reference = [operation("charge", "pay_1", "k1"), operation("charge", "pay_1", "k2")];
        assert_eq!(index(&same_reference, "charge").unwrap_err().invariant, 6);
        let same_key = [operation("charge", "pay_1", "k1"), operation("charge", "pay_2", "k1")];
        assert_eq!(index(&same_key, "charge").unwrap_err().invariant, 6);
    }

    #[test]
    fn an_operation_that_we_never_asked_for_is_named() {
        let book = [operation("charge", "pay_1", "k1")];
        assert_eq!(compare(&book, std::iter::empty()).unwrap_err().invariant, 6);
        assert_eq!(compare(&[], std::iter::empty()), Ok(0));
    }
}
