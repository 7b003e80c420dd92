//! What the sandbox took and gave back for disputes, compared with what the payments say.

use std::collections::HashMap;
use std::time::Duration;

use domain::Timestamp;
use domain::invariants::Violation;
use domain::payment::Capture;

use super::{Operation, differs};

/// News that are younger than this may still be on their way to us.
const NEWS_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Withdrawn and given back for the disputes of each payment, in minor units, and the part of both that is old news.
pub(super) struct Disputes<'a>(HashMap<&'a str, Sums>);

#[derive(Default)]
struct Sums {
    withdrawn: i64,
    withdrawn_long_ago: i64,
    reversed: i64,
    reversed_long_ago: i64,
}

impl<'a> Disputes<'a> {
    pub(super) fn of(book: &'a [Operation], now: Timestamp) -> Disputes<'a> {
        let mut sums: HashMap<&str, Sums> = HashMap::new();
        for operation in book {
            let sum = match operation.kind.as_str() {
                "dispute_withdrawal" | "dispute_reversal" => sums.entry(operation.reference.as_str()).or_default(),
                _ => continue,
            };
            let is_old = now.since(operation.time) > NEWS_WITHIN;
            let old = if is_old { operation.amount } else { 0 };
            if operation.kind == "dispute_withdrawal" {
                (sum.withdrawn, sum.withdrawn_long_ago) =
                    (sum.withdrawn + operation.amount, sum.withdrawn_long_ago + old);
            } else {
                (sum.reversed, sum.reversed_long_ago) = (sum.reversed + operation.amount, sum.reversed_long_ago + old);
            }
        }
        Disputes(sums)
    }

    /// We booked no dispute that the channel does not know, and none of its is unknown here for long.
    pub(super) fn agree_with(&self, payment_id: &str, capture: &Capture) -> Result<(), Violation> {
        let none = Sums::default();
        let told = self.0.get(payment_id).unwrap_or(&none);
        let withdrawn: i64 = capture.disputes.iter().map(|dispute| dispute.amount).sum();
        let won = capture.disputes.iter().filter_map(|dispute| dispute.closing).map(|closing| closing.won).sum::<i64>();
        if !(told.withdrawn_long_ago..=told.withdrawn).contains(&withdrawn) {
            return Err(differs(payment_id, "the channel took another amount for disputes than we booked"));
        }
        if !(told.reversed_long_ago..=told.reversed).contains(&won) {
            return Err(differs(payment_id, "the channel gave another amount back for disputes than we booked"));
        }
        Ok(())
    }
}
