//! The book of the provider as pure state: `decide` says what a call becomes, `apply` folds the
//! entry in. No clock, no disk, no network here; the desk brings those.

mod apply;
pub(super) mod decide;
pub(super) mod entry;
pub(super) mod failure;
pub(super) mod jobs;
pub(super) mod objects;
pub(super) mod operation;
pub(super) mod outbox;
pub(super) mod refusal;

use super::money::Currency;
use entry::Ticket;
use jobs::Job;
use objects::{Capture, Charge, Dispute, Payout, Refund};
use operation::Operation;
use outbox::Webhook;
use refusal::Refusal;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What was answered first under an idempotency key. Objects are shared with the book until they
/// change, so that a kept answer costs a pointer.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Charge { charge: Arc<Charge>, created: bool },
    Capture(Arc<Capture>),
    Refund(Arc<Refund>),
    Dispute(Arc<Dispute>),
    Refused { refusal: Refusal, charge: Option<Arc<Charge>> },
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) fingerprint: Arc<str>,
    pub(super) answer: Answer,
}

/// What moved money in one currency: indices into the operations, and how far it is paid out.
#[derive(Debug, Default)]
pub(super) struct Owed {
    pub(super) lines: Vec<usize>,
    pub(super) paid_to: usize,
    pub(super) balance: i128,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) instance: Arc<str>,
    /// Delay of everything that happens by itself: async results, late failures, disputes.
    pub(super) delay_ms: u64,
    pub(super) webhooks_on: bool,
    pub(super) charges: Vec<Arc<Charge>>,
    pub(super) captures: Vec<Arc<Capture>>,
    pub(super) refunds: Vec<Arc<Refund>>,
    pub(super) disputes: Vec<Arc<Dispute>>,
    pub(super) payouts: Vec<Payout>,
    pub(super) operations: Vec<Operation>,
    pub(super) owed: BTreeMap<Currency, Owed>,
    /// Due times and jobs. A job that is late or done already is harmless: firing it decides anew.
    pub(super) jobs: BTreeSet<(u64, Job)>,
    /// Webhooks not delivered yet, by event number.
    pub(super) outbox: BTreeMap<u64, Webhook>,
    events: u64,
    keys: HashMap<Arc<str>, Kept>,
    attempts: HashMap<Arc<str>, u32>,
    charge_by_reference: HashMap<Arc<str>, usize>,
    capture_by_reference: HashMap<Arc<str>, usize>,
    refund_by_reference: HashMap<Arc<str>, usize>,
    disputes_by_reference: HashMap<Arc<str>, Vec<usize>>,
    operations_by_reference: HashMap<Arc<str>, Vec<usize>>,
}

pub(super) const CHARGE_PREFIX: &str = "sbc";
pub(super) const CAPTURE_PREFIX: &str = "sbk";
pub(super) const REFUND_PREFIX: &str = "sbr";
pub(super) const DISPUTE_PREFIX: &str = "sbd";
pub(super) const PAYOUT_PREFIX: &str = "sbp";

impl State {
    pub(super) fn new(delay_ms: u64) -> Self {
        Self { delay_ms, ..Self::default() }
    }

    pub(super) fn kept(&self, ticket: &Ticket) -> Option<&Kept> {
        self.keys.get(&ticket.key)
    }

    pub(super) fn attempts(&self, reference: &str) -> u32 {
        self.attempts.get(reference).copied().unwrap_or(0)
    }

    /// A charge by the client's reference or by its own id.
    pub(super) fn charge(&self, target: &str) -> Option<&Arc<Charge>> {
        let index = self.charge_by_reference.get(target).copied().or_else(|| self.index_of(CHARGE_PREFIX, target));
        self.charges.get(index?)
    }

    pub(super) fn capture(&self, target: &str) -> Option<&Arc<Capture>> {
        let index = self.capture_by_reference.get(target).copied().or_else(|| self.index_of(CAPTURE_PREFIX, target));
        self.captures.get(index?)
    }

    pub(super) fn refund(&self, target: &str) -> Option<&Arc<Refund>> {
        let index = self.refund_by_reference.get(target).copied().or_else(|| self.index_of(REFUND_PREFIX, target));
        self.refunds.get(index?)
    }

    pub(super) fn dispute(&self, id: &str) -> Option<&Arc<Dispute>> {
        self.disputes.get(self.index_of(DISPUTE_PREFIX, id)?)
    }

    pub(super) fn payout(&self, id: &str) -> Option<&Payout> {
        self.payouts.get(self.index_of(PAYOUT_PREFIX, id)?)
    }

    pub(super) fn disputes_of(&self, reference: &str) -> impl Iterator<Item = &Arc<Dispute>> {
        let indices = self.disputes_by_reference.get(reference);
        indices.into_iter().flatten().filter_map(|index| self.disputes.get(*index))
    }

    /// The operations of one reference with their places in the book, oldest first.
    pub(super) fn operations_of(&self, reference: &str) -> impl Iterator<Item = (usize, &Operation)> {
        let indices = self.operations_by_reference.get(reference);
        indices.into_iter().flatten().filter_map(|index| Some((*index, self.operations.get(*index)?)))
    }

    /// Whether any operation, a tombstone included, goes by this reference.
    pub(super) fn is_taken(&self, reference: &str) -> bool {
        self.charge_by_reference.contains_key(reference)
            || self.capture_by_reference.contains_key(reference)
            || self.refund_by_reference.contains_key(reference)
    }

    fn index_of(&self, prefix: &str, id: &str) -> Option<usize> {
        let digits = id.strip_prefix(prefix)?.strip_prefix('_')?.strip_prefix(&*self.instance)?;
        let is_plain = digits.len() >= 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_plain.then(|| digits.parse().ok())?
    }
}
