//! Disputes at the scripted provider: opened and decided when a test says so, answered once by each key. An answer to
//! what is closed is refused.

use commands::ports::{DisputeAnswer, DisputeOrder, DisputeReport, ReportedStage};
use domain::{Currency, PaymentId};

use super::{Book, ScriptedChannel};

/// What the provider charges for a dispute, won or lost, in minor units.
const FEE: i64 = 1_500;

#[derive(Debug)]
pub(super) struct Case {
    payment_id: PaymentId,
    amount: i64,
    stage: ReportedStage,
    /// Keys of the merchant's answers.
    answers: Vec<String>,
}

impl Case {
    fn reference(&self) -> String {
        reference_of(self.payment_id)
    }

    fn is_closed(&self) -> bool {
        matches!(self.stage, ReportedStage::Closed { .. } | ReportedStage::InquiryClosed)
    }

    fn report(&self) -> DisputeReport {
        let moves_money = !matches!(self.stage, ReportedStage::Inquiry | ReportedStage::InquiryClosed);
        DisputeReport {
            payment_id: Some(self.payment_id),
            channel_reference: self.reference(),
            amount: self.amount,
            currency: Currency::USD,
            fee: if moves_money { FEE } else { 0 },
            stage: self.stage,
            reason: "general".to_owned(),
            evidence_due_by: None,
            asked: true,
        }
    }
}

fn reference_of(payment_id: PaymentId) -> String {
    format!("d_{payment_id}")
}

impl ScriptedChannel {
    /// The customer disputes a payment, or its bank asks about it; or the case that there is comes to this stage.
    pub fn dispute(&self, payment_id: PaymentId, amount: i64, stage: ReportedStage) {
        let mut book = self.book.lock();
        match book.case(&reference_of(payment_id)) {
            Some(case) => case.stage = stage,
            None => book.cases.push(Case { payment_id, amount, stage, answers: vec![] }),
        }
    }

    /// What a webhook would tell of the payment's dispute now.
    ///
    /// # Panics
    /// If the payment is not disputed.
    pub fn dispute_news(&self, payment_id: PaymentId) -> DisputeReport {
        let mut book = self.book.lock();
        let case = book.case(&reference_of(payment_id)).expect("the payment is disputed");
        DisputeReport { asked: false, ..case.report() }
    }

    /// How many answers of the merchant it has taken.
    pub fn dispute_answers(&self, payment_id: PaymentId) -> usize {
        self.book.lock().case(&reference_of(payment_id)).map_or(0, |case| case.answers.len())
    }

    pub(super) fn find_case(&self, reference: &str) -> DisputeAnswer {
        self.call(format!("find_dispute {reference}"), unknown, |book| book.told(reference))
    }

    pub(super) fn answer_case(&self, order: &DisputeOrder, then: ReportedStage) -> DisputeAnswer {
        let reference = &order.channel_reference;
        self.call(format!("answer_dispute {reference}"), unknown, |book| {
            if let Some(case) = book.case(reference)
                && !case.answers.contains(&order.key)
            {
                if case.is_closed() {
                    return DisputeAnswer::Refused { code: "dispute_closed".to_owned() };
                }
                case.answers.push(order.key.clone());
                case.stage = then;
            }
            book.told(reference)
        })
    }
}

impl Book {
    fn case(&mut self, reference: &str) -> Option<&mut Case> {
        self.cases.iter_mut().find(|case| case.reference() == reference)
    }

    fn told(&mut self, reference: &str) -> DisputeAnswer {
        self.case(reference).map_or(DisputeAnswer::NotFound, |case| DisputeAnswer::Told(case.report()))
    }
}

fn unknown(reason: &str) -> DisputeAnswer {
    DisputeAnswer::Unknown { reason: reason.to_owned() }
}
