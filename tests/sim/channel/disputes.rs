//! Disputes as the provider has them: it takes the money when one is opened, and says in the end what of it comes back. A
//! verdict may be reversed, and amounts may turn out to be others.

use std::time::Duration;

use commands::ports::{ChannelAnswer, Clock, DisputeAnswer, DisputeReport, ReportedStage, WebhookFact};
use domain::{Currency, PaymentId, Timestamp};

use super::Provider;
use super::book::Book;

/// Amounts in minor units.
#[derive(Debug, Clone)]
pub struct Dispute {
    pub payment_id: PaymentId,
    pub amount: i64,
    pub currency: Currency,
    pub fee: i64,
    pub stage: ReportedStage,
    opened_at: Timestamp,
}

impl Dispute {
    /// What the provider keeps of the payment now, with what it charges for it.
    pub fn taken(&self) -> i64 {
        match self.stage {
            ReportedStage::Inquiry | ReportedStage::InquiryClosed => 0,
            ReportedStage::NeedsResponse | ReportedStage::UnderReview => self.amount + self.fee,
            ReportedStage::Closed { won, fee_returned } => self.amount - won + self.fee - fee_returned,
        }
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.stage, ReportedStage::InquiryClosed | ReportedStage::Closed { .. })
    }

    fn report(&self, reference: &str, asked: bool) -> DisputeReport {
        let has_moved = !matches!(self.stage, ReportedStage::Inquiry | ReportedStage::InquiryClosed);
        DisputeReport {
            payment_id: Some(self.payment_id),
            channel_reference: reference.to_owned(),
            amount: self.amount,
            currency: self.currency,
            fee: if has_moved { self.fee } else { 0 },
            stage: self.stage,
            reason: "fraudulent".to_owned(),
            evidence_due_by: Some(self.opened_at.plus(Duration::from_secs(3_600))),
            asked,
        }
    }
}

impl Book {
    pub fn disputes(&self) -> impl Iterator<Item = (&String, &Dispute)> {
        self.disputes.iter()
    }

    pub fn disputes_since(&self, since: Timestamp) -> Vec<DisputeReport> {
        let begun = self.disputes.iter().filter(|(_, dispute)| dispute.opened_at >= since);
        begun.map(|(reference, dispute)| dispute.report(reference, true)).collect()
    }

    pub fn dispute_answer(&self, reference: &str) -> DisputeAnswer {
        match self.disputes.get(reference) {
            Some(dispute) => DisputeAnswer::Told(dispute.report(reference, true)),
            None => DisputeAnswer::NotFound,
        }
    }

    /// How it stands after an answer of the merchant that leads `to` this; one that was closed otherwise takes none.
    pub fn answer_taken(&self, reference: &str, to: ReportedStage) -> DisputeAnswer {
        match self.disputes.get(reference) {
            Some(dispute) if !dispute.is_open() && dispute.stage != to => {
                DisputeAnswer::Refused { code: "dispute_closed".to_owned() }
            }
            _ => self.dispute_answer(reference),
        }
    }
}

impl Provider {
    /// The merchant has answered.
    pub(super) fn answer_dispute(&self, reference: &str, to: ReportedStage) {
        let is_taken = match self.book().disputes.get_mut(reference) {
            Some(dispute) if dispute.is_open() => {
                dispute.stage = to;
                true
            }
            _ => false,
        };
        if is_taken {
            self.tell_dispute(reference, false);
        }
    }

    /// Some captured charges are disputed, a few of them twice.
    pub(super) fn may_be_disputed(&self, payment_id: PaymentId) {
        let disputes = self.chance.weighted(&[(84, 0), (14, 1), (2, 2)]);
        for _ in 0..disputes {
            self.after(self.chance.seconds(1..=900), move |provider| provider.dispute(payment_id));
        }
    }

    fn dispute(&self, payment_id: PaymentId) {
        let ChannelAnswer::Captured { amount, .. } = self.book().answer_of(payment_id) else { return };
        let Some(currency) = self.book().currency_of(payment_id) else { return };
        let chance = &self.chance;
        let reference = format!("dp_{payment_id}_{}", self.book().disputes.len());
        let stage = if chance.percent(20) { ReportedStage::Inquiry } else { ReportedStage::NeedsResponse };
        let dispute = Dispute {
            payment_id,
            amount: chance.pick(&[amount, amount, (amount / 2).max(1)]),
            currency,
            fee: chance.pick(&[0, 15, 1_500]),
            stage,
            opened_at: self.clock.now(),
        };
        self.book().disputes.insert(reference.clone(), dispute);
        self.tell_dispute(&reference, false);
        self.proceed(reference);
    }

    /// What becomes of a dispute, step by step, whether or not the merchant answers.
    fn proceed(&self, reference: String) {
        self.after(self.chance.seconds(1..=3_000), move |provider| {
            let chance = &provider.chance;
            let Some(mut dispute) = provider.book().disputes.get(&reference).cloned() else { return };
            let was_open = dispute.is_open();
            if was_open && chance.percent(10) {
                dispute.fee += chance.pick(&[0, 1, 7]);
                dispute.amount = chance.pick(&[dispute.amount, (dispute.amount / 2).max(1)]);
            }
            let verdict = provider.verdict(&dispute);
            dispute.stage = match dispute.stage {
                ReportedStage::Inquiry => chance.pick(&[ReportedStage::InquiryClosed, ReportedStage::NeedsResponse]),
                ReportedStage::NeedsResponse => chance.pick(&[ReportedStage::UnderReview, verdict]),
                ReportedStage::UnderReview => verdict,
                ReportedStage::Closed { .. } if chance.percent(15) => verdict,
                ReportedStage::Closed { .. } | ReportedStage::InquiryClosed => return,
            };
            provider.book().disputes.insert(reference.clone(), dispute);
            // Once it was closed, nobody asks any more.
            provider.tell_dispute(&reference, !was_open);
            provider.proceed(reference);
        });
    }

    fn verdict(&self, dispute: &Dispute) -> ReportedStage {
        let won = self.chance.pick(&[0, dispute.amount, dispute.amount / 2]);
        ReportedStage::Closed { won, fee_returned: if won > 0 { self.chance.pick(&[0, dispute.fee]) } else { 0 } }
    }

    pub(super) fn tell_dispute(&self, reference: &str, is_owed: bool) {
        let report = self.book().disputes.get(reference).map(|dispute| dispute.report(reference, false));
        let Some(mut report) = report else { return };
        if self.chance.percent(15) {
            // The message does not say which payment it is about.
            report.payment_id = None;
        }
        self.tell(WebhookFact::Dispute(report), is_owed);
    }
}
