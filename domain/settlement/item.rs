//! What a batch is made of: every event of other streams that moved the merchant's pending balance, and their sums and
//! digest, counted one by one so that no batch is too large.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::money::AMOUNT_MAX;

/// One event of the window. Amounts in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Of the event, and so of its transaction in the journal.
    pub position: u64,
    pub event_type: String,
    /// The payment that it belongs to.
    pub object: String,
    pub debit: i64,
    pub credit: i64,
}

impl Item {
    /// What it adds to the batch; negative where it takes away.
    pub fn amount(&self) -> i64 {
        self.credit - self.debit
    }

    /// What was captured, before fees: the whole credit of a capture, whose fees are debits.
    fn gross_captured(&self) -> i64 {
        if self.event_type == "payment.captured" { self.credit } else { 0 }
    }
}

/// The items of a window counted so far; they must come in the order of their positions. It takes as many as one batch
/// may hold: from the first one on that goes beyond, they are the next batch's.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub net: i128,
    pub gross_captured: i128,
    pub items: u64,
    digest: Sha256,
    /// Position of the last item that was taken.
    last: u64,
    is_full: bool,
}

impl Tally {
    pub fn add(&mut self, item: &Item) {
        self.is_full |= self.items > 0 && !self.fits(item);
        if self.is_full {
            return;
        }
        self.last = item.position;
        self.net += i128::from(item.amount());
        self.gross_captured += i128::from(item.gross_captured());
        self.items += 1;
        let Item { position, event_type, object, .. } = item;
        self.digest.update(format!("{position} {event_type} {object} {}\n", item.amount()));
    }

    fn fits(&self, item: &Item) -> bool {
        let limit = u128::from(AMOUNT_MAX.unsigned_abs());
        let net = self.net + i128::from(item.amount());
        let gross_captured = self.gross_captured + i128::from(item.gross_captured());
        net.unsigned_abs() <= limit && gross_captured.unsigned_abs() <= limit
    }

    /// Where the window ends that was to end at `to`, if it has to end sooner.
    pub fn cut_short(&self, to: u64) -> Option<u64> {
        self.is_full.then_some(self.last.min(to))
    }

    /// SHA-256 of a line `position type object amount` for each item, as 64 hexadecimal digits.
    pub fn digest(&self) -> String {
        let bytes = self.digest.clone().finalize();
        bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}
