//! The desk where everything lies that waits for a person, as the log shows it, and the people who decide it: one says
//! yes, another no, both at once, or the same one twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use commands::Issued;
use commands::adjustment;
use commands::ports::{EventStore, RecordedEvent};
use domain::withdrawal::Requested;
use domain::{AdjustmentId, SettlementId, settlement, withdrawal};
use tokio::time::sleep;

use super::{Clients, Wish};
use crate::node::Node;

const PEOPLE: [&str; 3] = ["finance:ada", "finance:bob", "finance:cyd"];

/// By the stream that it is about.
#[derive(Default)]
pub struct Desk {
    seen: u64,
    waiting: BTreeMap<String, Case>,
}

#[derive(Debug, Clone)]
enum Case {
    Withdrawal(Box<Requested>),
    Settlement(SettlementId),
    Adjustment(AdjustmentId),
}

impl Desk {
    fn see(&mut self, event: &RecordedEvent) {
        self.seen = event.position;
        let (id, name) = (event.stream.id.clone(), event.event_type.as_str());
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

    /// Decides everything that lies there; what that was.
    pub async fn clear_the_desk(&self) -> Option<String> {
        let waiting = self.look_at_the_desk().await;
        for case in &waiting {
            self.decide(case).await;
        }
        (!waiting.is_empty()).then(|| format!("people had to decide: {waiting:?}"))
    }

    async fn decide(&self, case: &Case) {
        let (by, is_yes, case) = (self.chance.pick(&PEOPLE), self.chance.percent(75), case.clone());
        let ask = move |node: Arc<Node>, issued: Issued| {
            let case = case.clone();
            async move {
                let (at, executor) = (node.payments.clock.now(), &node.payments.executor);
                match case {
                    Case::Withdrawal(terms) if is_yes => {
                        node.withdrawals.approve(issued, terms.withdrawal_id, by).await
                    }
                    Case::Withdrawal(terms) => node.withdrawals.reject(issued, terms.withdrawal_id, by, None).await,
                    Case::Settlement(id) if is_yes => node.settlements.approve(issued, id).await,
                    Case::Settlement(id) => node.settlements.hold(issued, id).await,
                    Case::Adjustment(id) if is_yes => {
                        adjustment::approve(executor, issued, id, by.to_owned(), at).await
                    }
                    Case::Adjustment(id) => adjustment::reject(executor, issued, id, by.to_owned(), at).await,
                }
            }
        };
        let wish = if is_yes { Wish::Approval } else { Wish::Refusal };
        self.insist(wish, by, &self.key(), ask).await;
    }
}
