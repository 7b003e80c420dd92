//! Disputes at Stripe: its calls, and what its objects mean.
//! Source: <https://docs.stripe.com/disputes/api>, <https://docs.stripe.com/api/disputes/object>.

use commands::ports::{DisputeAnswer, DisputeOrder, DisputeReport, ReportedStage};
use domain::Timestamp;

use super::StripeChannel;
use super::answers::currency;
use super::api::{ApiError, EXPAND_INTENT};
use super::currencies::from_stripe;
use super::objects::{Dispute, Expandable, PAYMENT_ID, metadata};
use crate::channels::http::safe_code;

/// Pages of a list that are read in one go, of 100 disputes each.
const PAGES_MAX: usize = 100;
const MICROS: i64 = 1_000_000;

impl StripeChannel {
    pub(super) async fn look_up_dispute(&self, channel_reference: &str) -> DisputeAnswer {
        answer(self.api.dispute(channel_reference).await)
    }

    /// A list that breaks off is no list: the next call begins with the same moment.
    pub(super) async fn list_disputes(&self, since: Timestamp) -> Result<Vec<DisputeReport>, String> {
        let mut reports = vec![];
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.api.disputes(since.as_micros().div_euclid(MICROS), after.as_deref()).await;
            let page = page.map_err(|error| error.reason())?;
            after = page.data.last().map(|dispute| dispute.id.clone());
            reports.extend(page.data.iter().filter_map(|dispute| report(dispute, true)));
            if !page.has_more || after.is_none() {
                return Ok(reports);
            }
        }
        Err("Stripe lists more disputes than can be read".to_owned())
    }

    pub(super) async fn send_evidence(&self, order: &DisputeOrder, text: &str) -> DisputeAnswer {
        let form = [("evidence[uncategorized_text]", text), ("submit", "true"), EXPAND_INTENT];
        let path = ["v1", "disputes", &order.channel_reference];
        answer(self.api.answer_dispute("submit_evidence", &path, &order.key, &form).await)
    }

    pub(super) async fn close_dispute(&self, order: &DisputeOrder) -> DisputeAnswer {
        let path = ["v1", "disputes", &order.channel_reference, "close"];
        answer(self.api.answer_dispute("accept_dispute", &path, &order.key, &[EXPAND_INTENT]).await)
    }
}

fn answer(result: Result<Dispute, ApiError>) -> DisputeAnswer {
    match result {
        Ok(dispute) => match report(&dispute, true) {
            Some(report) => DisputeAnswer::Told(report),
            None => DisputeAnswer::Unknown { reason: "the dispute is nothing that is understood here".to_owned() },
        },
        Err(ApiError::Refused { status: 404, .. }) => DisputeAnswer::NotFound,
        Err(error) => match error.refusal() {
            Some(failure) => DisputeAnswer::Refused { code: failure.code },
            None => DisputeAnswer::Unknown { reason: error.reason() },
        },
    }
}

/// None for what is not understood here: an unknown status or currency, no whole number of minor units.
pub(super) fn report(dispute: &Dispute, asked: bool) -> Option<DisputeReport> {
    let currency = currency(&dispute.currency)?;
    let amount = from_stripe(dispute.amount, currency)?;
    // Told in the currency of our balance: in another one than the dispute's, statements bring it.
    let fees = dispute.balance_transactions.iter().filter(|moved| moved.currency == dispute.currency);
    let fees: Vec<i64> = fees.map(|moved| from_stripe(moved.fee, currency)).collect::<Option<_>>()?;
    let fee = fees.iter().filter(|fee| **fee > 0).sum();
    let fee_returned = -fees.iter().filter(|fee| **fee < 0).sum::<i64>();
    let stage = match dispute.status.as_str() {
        "warning_needs_response" | "warning_under_review" => ReportedStage::Inquiry,
        "warning_closed" => ReportedStage::InquiryClosed,
        "needs_response" => ReportedStage::NeedsResponse,
        "under_review" => ReportedStage::UnderReview,
        "won" => ReportedStage::Closed { won: amount, fee_returned },
        "lost" => ReportedStage::Closed { won: 0, fee_returned },
        _ => return None,
    };
    let intent = dispute.payment_intent.as_ref().and_then(Expandable::object);
    let due_by = dispute.evidence_details.as_ref().and_then(|details| details.due_by);
    Some(DisputeReport {
        payment_id: intent.and_then(|intent| metadata(&intent.metadata, PAYMENT_ID)).and_then(|id| id.parse().ok()),
        channel_reference: dispute.id.clone(),
        amount,
        currency,
        fee,
        stage,
        reason: dispute.reason.as_deref().and_then(safe_code).unwrap_or("general").to_owned(),
        evidence_due_by: due_by.map(|seconds| Timestamp::from_micros(seconds.saturating_mul(MICROS))),
        asked,
    })
}
