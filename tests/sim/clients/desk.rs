//! The desk where everything lies that waits for a person, as the log shows it, and the people who decide it: one says
//! yes, another no, both at once, or the same one twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use commands::Issued;
use commands::adjustment;
use commands::dispute::Disputes;
use commands::ports::{EventStore, RecordedEvent};
use domain::channel_account::{self, DifferenceReason};
use domain::withdrawal::Requested;
use domain::{AdjustmentId, Currency, DisputeId, MerchantId, SettlementId, dispute, settlement, withdrawal};
use tokio::time::sleep;

use super::{Clients, Wish, actor};
use crate::channel::CHANNEL;
use crate::node::Node;

const PEOPLE: [&str; 3] = ["finance:ada", "finance:bob", "finance:cyd"];

/// By the stream that it is about.
#[derive(Default)]
pub struct Desk {
    seen: u64,
    waiting: BTreeMap<String, Case>,
    payouts: usize,
}

#[derive(Debug, Clone)]
enum Case {
    Withdrawal(Box<Requested>),
    Settlement(SettlementId),
    Adjustment(AdjustmentId),
    /// A payout that is not what its statement says.
    Difference(Currency, String),
    /// Its merchant may answer, and does not have to.
    Dispute(DisputeId, MerchantId),
}

impl Desk {
    fn see(&mut self, event: &RecordedEvent) {
        self.seen = event.position;
        let (id, name) = (event.stream.id.clone(), event.event_type.as_str());
        if name.starts_with("channel_account.") {
            return self.see_payout(event);
        }
        let case = match name {
            "withdrawal.requested" | "withdrawal.approved" => match event.decode::<withdrawal::Event>() {
                Ok(withdrawal::Event::Requested(terms)) => Case::Withdrawal(terms),
                Ok(withdrawal::Event::Approved(approved)) if approved.approvals_left > 0 => return,
                _ => return drop(self.waiting.remove(&id)),
            },
            "settlement.closed" | "settlement.held" => match event.decode::<settlement::Event>() {
                Ok(settlement::Event::Closed(closed)) if !closed.needs_approval => return,
                _ => Case::Settlement(id.parse().expect("a settlement's id")),
            },
            "adjustment.proposed" => Case::Adjustment(id.parse().expect("an adjustment's id")),
            "dispute.inquired" | "dispute.opened" => match event.decode::<dispute::Event>() {
                Ok(dispute::Event::Inquired(terms) | dispute::Event::Opened(terms)) => {
                    Case::Dispute(terms.dispute_id, terms.merchant_id)
                }
                _ => return,
            },
            "dispute.closed" | "dispute.accepted" => return drop(self.waiting.remove(&id)),
            "withdrawal.rejected"
            | "withdrawal.cancelled"
            | "settlement.approved"
            | "settlement.released"
            | "adjustment.approved"
            | "adjustment.rejected" => return drop(self.waiting.remove(&id)),
            _ => return,
        };
        self.waiting.insert(id, case);
    }

    fn see_payout(&mut self, event: &RecordedEvent) {
        match event.decode::<channel_account::Event>() {
            Ok(channel_account::Event::PayoutReceived(received)) => {
                self.payouts += 1;
                if received.amount != received.expected {
                    let case = Case::Difference(received.currency, received.payout.clone());
                    self.waiting.insert(received.payout, case);
                }
            }
            Ok(channel_account::Event::DifferenceResolved(resolved)) => drop(self.waiting.remove(&resolved.payout)),
            _ => {}
        }
    }
}

impl Clients {
    async fn look_at_the_desk(&self) -> Vec<Case> {
        let seen = self.desk.lock().seen;
        let news = self.log.read_all(seen, usize::MAX).await.expect("the log is there");
        let mut desk = self.desk.lock();
        news.iter().filter(|event| event.position > seen).for_each(|event| desk.see(event));
        desk.waiting.values().cloned().collect()
    }

    /// As long as the weather is rough, people come by and decide some of it.
    pub fn keep_the_desk(&self) {
        let clients = self.clone();
        self.start(async move {
            while clients.weather.is_rough() {
                sleep(clients.chance.millis(2_000..=20_000)).await;
                for case in clients.look_at_the_desk().await {
                    if clients.chance.percent(60) {
                        let person = clients.clone();
                        clients.start(async move { person.decide(&case).await });
                    }
                }
            }
        });
    }

    /// How many payouts are booked, as of the last look.
    pub fn payouts_booked(&self) -> usize {
        self.desk.lock().payouts
    }

    /// Decides everything that lies there; what that was. Disputes end by themselves.
    pub async fn clear_the_desk(&self) -> Option<String> {
        let mut waiting = self.look_at_the_desk().await;
        waiting.retain(|case| !matches!(case, Case::Dispute(..)));
        for case in &waiting {
            self.decide(case).await;
        }
        (!waiting.is_empty()).then(|| format!("people had to decide: {waiting:?}"))
    }

    async fn decide(&self, case: &Case) {
        let (is_yes, case) = (self.chance.percent(75), case.clone());
        let by = match &case {
            Case::Dispute(_, merchant_id) => actor(*merchant_id),
            _ => self.chance.pick(&PEOPLE).to_owned(),
        };
        let wish = match &case {
            Case::Difference(..) => Wish::Explanation,
            Case::Dispute(..) => Wish::DisputeAnswer,
            _ if is_yes => Wish::Approval,
            _ => Wish::Refusal,
        };
        let person = by.clone();
        let ask = move |node: Arc<Node>, issued: Issued| {
            let (case, by) = (case.clone(), person.clone());
            async move {
                let (at, executor) = (node.payments.clock.now(), &node.payments.executor);
                let disputes = Disputes { payments: node.payments.clone() };
                match case {
                    Case::Withdrawal(terms) if is_yes => {
                        node.withdrawals.approve(issued, terms.withdrawal_id, &by).await
                    }
                    Case::Withdrawal(terms) => node.withdrawals.reject(issued, terms.withdrawal_id, &by, None).await,
                    Case::Settlement(id) if is_yes => node.settlements.approve(issued, id).await,
                    Case::Settlement(id) => node.settlements.hold(issued, id).await,
                    Case::Adjustment(id) if is_yes => adjustment::approve(executor, issued, id, by, at).await,
                    Case::Difference(currency, payout) => {
                        let about = (&CHANNEL.parse().expect("a channel's name"), currency);
                        let reason = DifferenceReason::BankFee;
                        node.channel_accounts.resolve(issued, about, payout, reason, by).await
                    }
                    Case::Dispute(id, merchant) if is_yes => {
                        disputes.submit_evidence(issued, id, merchant, "It was sent.").await
                    }
                    Case::Dispute(id, merchant) => disputes.accept(issued, id, merchant).await,
                    Case::Adjustment(id) => adjustment::reject(executor, issued, id, by, at).await,
                }
            }
        };
        self.insist(wish, &by, &self.key(), ask).await;
    }
}
