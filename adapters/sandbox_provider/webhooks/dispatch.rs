//! Takes undelivered webhooks from the book, posts them, and retries with doubling delays until
//! the receiver answers 2xx. Copies, losses and reordering happen here.

use super::lanes::{Delivery, Lanes};
use super::sign::{SIGNATURE_HEADER, sign};
use crate::sandbox_provider::book::outbox::Webhook;
use crate::sandbox_provider::desk::{Desk, SharedDesk, now_ms};
use crate::sandbox_provider::faults::{FaultSwitch, roll};
use crate::sandbox_provider::render::Renderer;
use crate::sandbox_provider::tokens::Copies;
use rand::Rng;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const IN_FLIGHT_MAX: usize = 64;
/// Beyond this many ready deliveries, further ones stay in the book.
const READY_MAX: usize = 1024;
const SHUFFLE_WITHIN_MS: u64 = 400;
const HELD_BACK_MS: std::ops::Range<u64> = 500..3_000;

pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) secret: String,
    pub(crate) retry_first: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) timeout: Duration,
}

pub(crate) struct Dispatcher {
    desk: SharedDesk,
    faults: Arc<FaultSwitch>,
    renderer: Renderer,
    target: Arc<Target>,
    client: reqwest::Client,
    lanes: Lanes,
    /// Copies still to be delivered of each event that has been taken from the book.
    open: HashMap<u64, u32>,
    taken_to: u64,
}

impl Dispatcher {
    pub(crate) fn new(
        desk: SharedDesk,
        faults: Arc<FaultSwitch>,
        renderer: Renderer,
        target: Target,
    ) -> reqwest::Result<Self> {
        // Somebody else in the process may have installed the provider already; either will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(target.timeout)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let (target, lanes, open) = (Arc::new(target), Lanes::default(), HashMap::new());
        Ok(Self { desk, faults, renderer, target, client, lanes, open, taken_to: 0 })
    }

    /// Runs until it is dropped or the journal stops.
    pub(crate) async fn run(mut self) {
        let mut in_flight = JoinSet::new();
        let mut seen = 0;
        loop {
            let durable = self.desk.journal().durable_now();
            let is_full = self.lanes.ready_count() >= READY_MAX;
            if durable > seen && !is_full {
                match self.take(READY_MAX).await {
                    Ok(taken) if taken < READY_MAX => seen = durable,
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
            while in_flight.len() < IN_FLIGHT_MAX {
                let Some(delivery) = self.lanes.next_ready(Instant::now()) else {
                    break;
                };
                in_flight.spawn(post(self.client.clone(), Arc::clone(&self.target), self.body(&delivery), delivery));
            }
            let next_due = self.lanes.next_due();
            let has_room = in_flight.len() < IN_FLIGHT_MAX;
            let desk = Arc::clone(&self.desk);
            tokio::select! {
                Some(Ok((delivery, delivered))) = in_flight.join_next() => self.settle(delivery, delivered),
                () = sleep_until(next_due), if has_room && next_due.is_some() => {}
                more = more_durable(&desk, seen), if self.lanes.ready_count() < READY_MAX => {
                    if more.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn take(&mut self, limit: usize) -> Result<usize, crate::sandbox_provider::journal::JournalStopped> {
        let hooks = self.desk.webhooks_after(self.taken_to, limit).await?;
        let taken = hooks.len();
        for hook in hooks {
            self.taken_to = hook.event;
            self.spread(Arc::new(hook));
        }
        Ok(taken)
    }

    /// Decides how often and when a webhook is posted.
    fn spread(&mut self, hook: Arc<Webhook>) {
        let faults = self.faults.get();
        if roll(faults.lose_webhook) {
            self.desk.webhook_done(hook.event);
            return;
        }
        let (copies, shuffle) = match hook.copies {
            Copies::FiveShuffled => (5, true),
            _ if roll(faults.duplicate) => (rand::rng().random_range(2..=3), false),
            Copies::One | Copies::None => (1, false),
        };
        let reorder = roll(faults.reorder);
        self.open.insert(hook.event, copies);
        for copy in 0..copies {
            let delivery = Delivery { hook: Arc::clone(&hook), attempt: 0, in_lane: copy == 0 && !shuffle && !reorder };
            let delay_ms = if reorder {
                rand::rng().random_range(HELD_BACK_MS)
            } else if shuffle || copy > 0 {
                rand::rng().random_range(0..SHUFFLE_WITHIN_MS)
            } else {
                self.lanes.enqueue(delivery);
                continue;
            };
            self.lanes.enqueue_at(Instant::now() + Duration::from_millis(delay_ms), delivery);
        }
    }

    fn body(&self, delivery: &Delivery) -> Vec<u8> {
        self.renderer.webhook(&delivery.hook).to_string().into_bytes()
    }

    fn settle(&mut self, delivery: Delivery, delivered: bool) {
        if delivery.in_lane {
            self.lanes.release(delivery.hook.charge);
        }
        if !delivered {
            let delay = retry_delay(&self.target, delivery.attempt);
            let retry = Delivery { attempt: delivery.attempt.saturating_add(1), ..delivery };
            self.lanes.enqueue_at(Instant::now() + delay, retry);
            return;
        }
        let event = delivery.hook.event;
        let copies_left = self.open.get(&event).map_or(0, |copies| copies - 1);
        if copies_left == 0 {
            self.open.remove(&event);
            self.desk.webhook_done(event);
        } else {
            self.open.insert(event, copies_left);
        }
    }
}

fn retry_delay(target: &Target, attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt);
    target.retry_first.saturating_mul(factor).min(target.retry_max)
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

async fn more_durable(desk: &Desk, seen: u64) -> Result<(), crate::sandbox_provider::journal::JournalStopped> {
    desk.journal().beyond(seen).await
}

async fn post(client: reqwest::Client, target: Arc<Target>, body: Vec<u8>, delivery: Delivery) -> (Delivery, bool) {
    let signature = sign(&target.secret, now_ms() / 1000, &body);
    let sent = client
        .post(&target.url)
        .header(SIGNATURE_HEADER, signature)
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await;
    let delivered = match sent {
        Ok(answer) => answer.status().is_success(),
        Err(error) => {
            tracing::debug!(webhook.event = delivery.hook.event, %error, "a webhook could not be posted");
            false
        }
    };
    (delivery, delivered)
}
