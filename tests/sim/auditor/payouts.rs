//! What the channel paid out, by its own book: each payout is booked once and as it arrived (invariant 6), and every
//! difference is explained in the end (8), a large one by two people (4).

use std::collections::BTreeMap;

use commands::ports::RecordedEvent;
use serde_json::Value;

use super::{minor, text};
use crate::channel::Book;
use crate::finding::Finding;

/// Whole units up to which one person may explain a difference.
const ALONE_MAX_MAJOR: i128 = 100;

#[derive(Debug)]
struct Payout {
    amount: i128,
    expected: i128,
    is_explained: bool,
}

#[derive(Default)]
pub struct Payouts {
    by_reference: BTreeMap<String, Payout>,
}

impl Payouts {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        let Some(kind) = event.event_type.strip_prefix("channel_account.") else { return Ok(()) };
        let reference = text(body, "payout").to_owned();
        let wrong = |number, detail: &str| Err(Finding::of(number, format!("{reference}: {detail}")));
        match kind {
            "payout_received" => {
                let (amount, expected) = (minor(body, "amount"), minor(body, "expected"));
                let payout = Payout { amount, expected, is_explained: amount == expected };
                if self.by_reference.insert(reference.clone(), payout).is_some() {
                    return wrong(6, "it is booked twice");
                }
            }
            "difference_resolved" => {
                let Some(payout) = self.by_reference.get_mut(&reference) else { return wrong(6, "it never arrived") };
                let difference = payout.amount - payout.expected;
                if payout.is_explained || difference != minor(body, "difference") {
                    return wrong(5, "another difference is explained than there is");
                }
                payout.is_explained = true;
                let minor_per_major = match text(body, "currency") {
                    "JPY" => 1,
                    "KWD" => 1_000,
                    _ => 100,
                };
                let is_large = difference.abs() > ALONE_MAX_MAJOR * minor_per_major;
                if is_large && text(body, "requested_by") == text(body, "resolved_by") {
                    return wrong(4, "one person alone has explained a large difference");
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub fn agree_with(&self, provider: &Book) -> Result<(), Finding> {
        let unexplained = self.by_reference.iter().find(|(_, payout)| !payout.is_explained);
        if let Some((reference, payout)) = unexplained {
            return Err(Finding::of(8, format!("{reference} is not explained: {payout:?}")));
        }
        let paid = provider
            .payouts()
            .map(|paid| (paid.payout.reference.clone(), (i128::from(paid.payout.amount), i128::from(paid.expected()))));
        let paid: BTreeMap<String, (i128, i128)> = paid.collect();
        let booked = self.by_reference.iter();
        let booked: BTreeMap<String, (i128, i128)> =
            booked.map(|(reference, payout)| (reference.clone(), (payout.amount, payout.expected))).collect();
        if paid != booked {
            return Err(Finding::of(6, format!("the channel paid out {paid:?}, booked are {booked:?}")));
        }
        Ok(())
    }
}
