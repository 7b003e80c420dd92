//! Each dispute as the log tells it beside the channel's own book: the same amounts and the same end (invariant 6), and no
//! dispute without an end (8).

use std::collections::BTreeMap;

use commands::ports::{RecordedEvent, ReportedStage};
use serde_json::Value;

use super::{minor, text};
use crate::channel::Book;
use crate::finding::Finding;

/// Amounts in minor units.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dispute {
    amount: i128,
    fee: i128,
    /// What came back of both, once it is closed.
    closing: Option<(i128, i128)>,
}

/// By the channel's own reference.
#[derive(Default)]
pub struct Disputes {
    money: BTreeMap<String, Dispute>,
    references: BTreeMap<String, String>,
    /// By our own id: whether its workflow has ended.
    workflows: BTreeMap<String, bool>,
}

impl Disputes {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        if let Some(kind) = event.event_type.strip_prefix("dispute.") {
            self.workflows.insert(event.stream.id.clone(), kind == "closed");
            return Ok(());
        }
        let Some(kind) = event.event_type.strip_prefix("payment.dispute_") else { return Ok(()) };
        let id = text(body, "dispute_id").to_owned();
        if kind == "opened" {
            let reference = text(body, "channel_reference").to_owned();
            if self.references.insert(id.clone(), reference.clone()).is_some() || self.money.contains_key(&reference) {
                return Err(Finding::of(6, format!("{id} is opened twice")));
            }
            self.money.insert(reference, Dispute::default());
        }
        let dispute = self.references.get(&id).and_then(|reference| self.money.get_mut(reference));
        let Some(dispute) = dispute else { return Err(Finding::of(6, format!("{id} was never opened"))) };
        match kind {
            "closed" => dispute.closing = Some((minor(body, "won"), minor(body, "fee_returned"))),
            "reopened" => dispute.closing = None,
            _ => {
                dispute.amount += minor(body, "amount");
                dispute.fee += minor(body, "fee");
            }
        }
        Ok(())
    }

    pub fn have_ended(&self) -> Result<(), Finding> {
        let open = self.money.iter().find(|(_, dispute)| dispute.closing.is_none()).map(|(reference, _)| reference);
        let waiting = self.workflows.iter().find(|(_, has_ended)| !**has_ended).map(|(id, _)| id);
        match open.or(waiting) {
            Some(dispute) => Err(Finding::of(8, format!("{dispute} has not ended"))),
            None => Ok(()),
        }
    }

    pub fn agree_with(&self, provider: &Book) -> Result<(), Finding> {
        let truth = provider.disputes().filter_map(|(reference, dispute)| match dispute.stage {
            ReportedStage::Closed { won, fee_returned } => {
                let (amount, fee) = (i128::from(dispute.amount), i128::from(dispute.fee));
                let closing = Some((i128::from(won), i128::from(fee_returned)));
                Some((reference.clone(), Dispute { amount, fee, closing }))
            }
            _ => None,
        });
        let truth: BTreeMap<String, Dispute> = truth.collect();
        if truth != self.money {
            let detail = format!("the channel has the disputes {truth:?}, booked are {:?}", self.money);
            return Err(Finding::of(6, detail));
        }
        Ok(())
    }
}
