//! The order of deliveries. Deliveries of one charge share a lane and go one at a time; copies and
//! held-back ones travel outside of the lanes. Pure: it is told the time and never sleeps.

use crate::sandbox_provider::book::outbox::Webhook;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use tokio::time::Instant;

#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) hook: Arc<Webhook>,
    pub(super) attempt: u32,
    /// Whether later webhooks of the charge wait for this one.
    pub(super) in_lane: bool,
}

#[derive(Default)]
pub(super) struct Lanes {
    ready: VecDeque<Delivery>,
    /// A lane exists while one of its deliveries is ready or on its way.
    lanes: HashMap<usize, VecDeque<Delivery>>,
    later: BinaryHeap<Reverse<(Instant, u64)>>,
    held: HashMap<u64, Delivery>,
    held_count: u64,
}

impl Lanes {
    pub(super) fn enqueue(&mut self, delivery: Delivery) {
        if delivery.in_lane {
            if let Some(lane) = self.lanes.get_mut(&delivery.hook.charge) {
                lane.push_back(delivery);
                return;
            }
            self.lanes.insert(delivery.hook.charge, VecDeque::new());
        }
        self.ready.push_back(delivery);
    }

    /// Outside of its lane from now on: a retry must not hold up what comes after it.
    pub(super) fn enqueue_at(&mut self, at: Instant, delivery: Delivery) {
        self.held_count += 1;
        self.held.insert(self.held_count, Delivery { in_lane: false, ..delivery });
        self.later.push(Reverse((at, self.held_count)));
    }

    /// The lane of this charge is free for its next delivery.
    pub(super) fn release(&mut self, charge: usize) {
        let Some(lane) = self.lanes.get_mut(&charge) else {
            return;
        };
        match lane.pop_front() {
            Some(next) => self.ready.push_back(next),
            None => {
                self.lanes.remove(&charge);
            }
        }
    }

    pub(super) fn next_ready(&mut self, now: Instant) -> Option<Delivery> {
        while let Some(Reverse((at, number))) = self.later.peek().copied() {
            if at > now {
                break;
            }
            self.later.pop();
            self.ready.extend(self.held.remove(&number));
        }
        self.ready.pop_front()
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.later.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn ready_count(&self) -> usize {
        self.ready.len()
    }
}
