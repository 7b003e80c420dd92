//! What the writers know to be there, because it was acknowledged.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;

/// An object, of a merchant of the stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Object {
    pub(super) id: String,
    pub(super) merchant: usize,
}

/// A write that was acknowledged: what it answered, at which position.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    pub(super) kind: Kind,
    pub(super) object: Object,
    pub(super) position: u64,
    pub(super) body: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Payment,
    Refund,
    PreAuth,
    Order,
    Withdrawal,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] = [Kind::Payment, Kind::Refund, Kind::PreAuth, Kind::Order, Kind::Withdrawal];

    pub(super) fn list(self) -> &'static str {
        match self {
            Kind::Payment => "/payments",
            Kind::Refund => "/refunds",
            Kind::PreAuth => "/pre-auths",
            Kind::Order => "/orders",
            Kind::Withdrawal => "/withdrawals",
        }
    }

    /// What names an object of it.
    pub(super) fn name(self) -> &'static str {
        if self == Kind::Order { "order_no" } else { "id" }
    }
}

/// Objects to be had in no particular order.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Object>>);

impl Pool {
    pub(super) fn add(&self, object: Object) {
        self.0.lock().push(object);
    }

    pub(super) fn any(&self, random: &mut StdRng) -> Option<Object> {
        let pool = self.0.lock();
        (!pool.is_empty()).then(|| pool[random.random_range(0..pool.len())].clone())
    }

    pub(super) fn take(&self, random: &mut StdRng) -> Option<Object> {
        let mut pool = self.0.lock();
        if pool.is_empty() {
            return None;
        }
        let chosen = random.random_range(0..pool.len());
        Some(pool.swap_remove(chosen))
    }

    pub(super) fn of(&self, merchant: usize) -> Vec<String> {
        let pool = self.0.lock();
        pool.iter().filter(|object| object.merchant == merchant).map(|object| object.id.clone()).collect()
    }
}

#[derive(Default)]
pub(super) struct Known {
    pub(super) made: HashMapOfPools,
    /// Payments that have succeeded, and pre-auths that hold money.
    pub(super) refundable: Pool,
    pub(super) capturable: Pool,
    pub(super) unpaid_orders: Pool,
    /// What no follower has looked at yet.
    acknowledged: Mutex<VecDeque<Acknowledged>>,
    /// Payments and pre-auths without an outcome yet, with the version they were last seen at.
    pub(super) unfinished: Mutex<VecDeque<(Kind, Object, u64)>>,
    newest: AtomicU64,
    followed: AtomicU64,
}

/// One pool of each kind.
#[derive(Default)]
pub(super) struct HashMapOfPools(Mutex<HashMap<Kind, std::sync::Arc<Pool>>>);

impl HashMapOfPools {
    pub(super) fn pool(&self, kind: Kind) -> std::sync::Arc<Pool> {
        self.0.lock().entry(kind).or_default().clone()
    }
}

impl Known {
    pub(super) fn acknowledge(&self, acknowledged: Acknowledged) {
        self.made.pool(acknowledged.kind).add(acknowledged.object.clone());
        self.newest.fetch_max(acknowledged.position, Ordering::Relaxed);
        self.acknowledged.lock().push_back(acknowledged);
    }

    /// The newest position that a command was acknowledged at.
    pub(super) fn newest(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// Up to so many of one kind and merchant, the longest waiting first.
    pub(super) fn next(&self, most: usize) -> Vec<Acknowledged> {
        let mut waiting = self.acknowledged.lock();
        let Some(first) = waiting.pop_front() else { return vec![] };
        let mut taken = vec![first];
        let mut index = 0;
        while index < waiting.len().min(1_000) && taken.len() < most {
            let (one, first) = (&waiting[index], &taken[0]);
            if (one.kind, one.object.merchant) == (first.kind, first.object.merchant) {
                taken.extend(waiting.remove(index));
            } else {
                index += 1;
            }
        }
        taken
    }

    pub(super) fn note_followed(&self, writes: usize) {
        self.followed.fetch_add(writes as u64, Ordering::Relaxed);
    }

    pub(super) fn followed(&self) -> u64 {
        self.followed.load(Ordering::Relaxed)
    }

    pub(super) fn waiting(&self) -> usize {
        self.acknowledged.lock().len()
    }
}
