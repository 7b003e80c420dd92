//! Whoever asks something of the ledger: again with the same key until they have an answer, and they write down every
//! answer they got. What they ask for stands in a file for each kind of work.

mod desk;
mod finance;
mod payments;
mod postman;
mod pre_auths;
mod withdrawals;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use adapters::event_store::MemoryEventStore;
use commands::executor::command_id_of_key;
use commands::ports::{Metadata, Receipt};
use commands::{CommandError, Issued};
use domain::MerchantId;
use parking_lot::Mutex;
use tokio::time::sleep;
use uuid::Uuid;

use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::node::{Node, Surroundings};
use crate::trace::Trace;
use crate::weather::Weather;
use desk::Desk;

/// What was asked for under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Payment,
    Cancellation,
    Refund,
    PreAuth,
    Capture,
    /// Of what is held.
    Release,
    Withdrawal,
    WithdrawalCancellation,
    /// Of everybody's money, by finance.
    Settlement,
    Adjustment,
    /// Of what waits for a person: a withdrawal, a settlement, an adjustment.
    Approval,
    Refusal,
    /// Of a payout's difference.
    Explanation,
    /// By the merchant.
    DisputeAnswer,
}

/// What must stand in the log of a wish that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// One event of this type, at the position that was told.
    Event(&'static str),
    /// At most one event of one of these types: what was asked for may have been so already.
    Rest(&'static [&'static str]),
    /// It is the work of other commands.
    Elsewhere,
}

impl Wish {
    pub fn mark(&self) -> Mark {
        match self {
            Wish::Payment => Mark::Event("payment.created"),
            Wish::Cancellation => Mark::Rest(&["payment.cancellation_requested"]),
            Wish::Refund => Mark::Event("payment.refund_requested"),
            Wish::PreAuth => Mark::Event("pre_auth.created"),
            Wish::Capture => Mark::Event("pre_auth.capture_requested"),
            Wish::Release => Mark::Rest(&["pre_auth.cancellation_requested", "pre_auth.closed"]),
            Wish::Withdrawal => Mark::Event("withdrawal.requested"),
            Wish::WithdrawalCancellation => Mark::Rest(&["withdrawal.cancelled"]),
            Wish::Settlement => Mark::Elsewhere,
            Wish::Adjustment => Mark::Event("adjustment.proposed"),
            Wish::Approval => Mark::Rest(&["withdrawal.approved", "settlement.approved", "adjustment.approved"]),
            Wish::Explanation => {
                Mark::Rest(&["channel_account.resolution_requested", "channel_account.difference_resolved"])
            }
            Wish::DisputeAnswer => Mark::Rest(&["dispute.evidence_submitted", "dispute.accepted"]),
            Wish::Refusal => Mark::Rest(&["withdrawal.rejected", "settlement.held", "adjustment.rejected"]),
        }
    }
}

/// An answer as a client got it.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub wish: Wish,
    /// The command that the client's key stands for.
    pub command_id: Uuid,
    pub receipt: Receipt,
}

/// Clones share everything.
#[derive(Clone)]
pub struct Clients {
    cluster: Cluster,
    /// What any screen shows.
    log: MemoryEventStore,
    weather: Weather,
    chance: Chance,
    trace: Trace,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    desk: Arc<Mutex<Desk>>,
    keys: Arc<AtomicUsize>,
    /// How many are still at work.
    busy: Arc<AtomicUsize>,
}

impl Clients {
    pub fn new(cluster: Cluster, around: &Surroundings, chance: Chance, trace: Trace) -> Clients {
        let (log, weather) = (around.log.clone(), around.inside.clone());
        let (acknowledged, desk, keys, busy) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        Clients { cluster, log, weather, chance, trace, acknowledged, desk, keys, busy }
    }

    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().clone()
    }

    pub fn are_done(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }

    fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.busy.fetch_add(1, Ordering::Relaxed);
        let busy = self.busy.clone();
        tokio::spawn(async move {
            work.await;
            busy.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks with the same key until there is an answer that can be relied on, and writes it down. Nobody insists for
    /// ever in rough weather: a client may die, too.
    async fn insist<F: Future<Output = Result<Receipt, CommandError>> + Send + 'static>(
        &self,
        wish: Wish,
        actor: &str,
        key: &str,
        ask: impl Fn(Arc<Node>, Issued) -> F,
    ) -> Option<Receipt> {
        let issued = issued(actor, key);
        let command_id = issued.metadata.command_id;
        loop {
            let answer = self.cluster.ask(|node| ask(node, issued.clone())).await;
            match answer {
                Ok(Ok(receipt)) => {
                    self.trace.note(|| format!("      client {wish:?} {key}: {}", told(&receipt)));
                    self.acknowledged.lock().push(Acknowledged { wish, command_id, receipt: receipt.clone() });
                    return Some(receipt);
                }
                Ok(Err(
                    CommandError::Invalid { .. }
                    | CommandError::Refused(_)
                    | CommandError::KeyReused
                    | CommandError::Bug(_),
                )) => {
                    self.trace.note(|| format!("      client {wish:?} {key}: {answer:?}"));
                    panic!("{wish:?} {key} of {actor}: {answer:?}");
                }
                Ok(Err(CommandError::InFlight | CommandError::Conflict | CommandError::Unavailable(_))) | Err(_) => {}
            }
            if self.weather.is_rough() && self.chance.percent(3) {
                self.trace.note(|| format!("      client {wish:?} {key}: gives up"));
                return None;
            }
            sleep(self.chance.millis(100..=9_000)).await;
        }
    }
}

fn actor(merchant_id: MerchantId) -> String {
    format!("merchant:{merchant_id}")
}

fn issued(actor: &str, key: &str) -> Issued {
    let metadata = Metadata {
        command_id: command_id_of_key(actor, key),
        correlation_id: key.to_owned(),
        causation_id: None,
        actor: actor.to_owned(),
        traceparent: None,
    };
    Issued { metadata, fingerprint: Some([7; 32]) }
}

/// A receipt in a few words.
fn told(receipt: &Receipt) -> String {
    let outcome = receipt.rejection.as_ref().map_or("done", |rejection| &rejection.code);
    let repeat = if receipt.replayed { ", as before" } else { "" };
    format!("{outcome}{repeat}: {}, position {}", receipt.object, receipt.position)
}
