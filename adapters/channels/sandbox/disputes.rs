//! Disputes of the sandbox provider: its calls, and what its objects mean. It charges no fee for a dispute.

use commands::ports::{DisputeAnswer, DisputeOrder, DisputeReport, ReportedStage};
use domain::{Currency, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::SandboxChannel;
use super::answers::{refusal_code, unexpected_answer};
use crate::channels::http::{Answer, Silence, address, safe_code};

/// Pages of a list that are read in one go: far more disputes than a sandbox ever has.
const PAGES_MAX: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct Dispute {
    id: String,
    /// The payment: of the charge, or of one capture of it.
    reference: String,
    amount: i64,
    currency: Currency,
    status: Status,
    reason: Option<String>,
    #[serde(default)]
    evidence_submitted: bool,
    evidence_due_by: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Opened,
    Won,
    Lost,
}

#[derive(Deserialize)]
struct List {
    data: Vec<Dispute>,
    next_after: Option<usize>,
}

impl Dispute {
    /// `asked`: as in [`DisputeReport`].
    pub(super) fn into_report(self, asked: bool) -> DisputeReport {
        let stage = match self.status {
            Status::Opened if self.evidence_submitted => ReportedStage::UnderReview,
            Status::Opened => ReportedStage::NeedsResponse,
            Status::Won => ReportedStage::Closed { won: self.amount, fee_returned: 0 },
            Status::Lost => ReportedStage::Closed { won: 0, fee_returned: 0 },
        };
        let reason = self.reason.as_deref().and_then(safe_code).unwrap_or("general").to_owned();
        DisputeReport {
            payment_id: self.reference.parse().ok(),
            channel_reference: self.id,
            amount: self.amount,
            currency: self.currency,
            fee: 0,
            stage,
            reason,
            evidence_due_by: self.evidence_due_by,
            asked,
        }
    }
}

impl SandboxChannel {
    pub(super) async fn look_up_dispute(&self, channel_reference: &str) -> DisputeAnswer {
        let request = self.http.client().get(address(&self.base, &["disputes", channel_reference]));
        dispute_answer(self.http.call("find_dispute", request).await)
    }

    pub(super) async fn answer_dispute(&self, order: &DisputeOrder, verb: &'static str, body: &Value) -> DisputeAnswer {
        let operation = if verb == "accept" { "accept_dispute" } else { "submit_evidence" };
        let request = self.post(&["disputes", &order.channel_reference, verb], &order.key).json(body);
        dispute_answer(self.http.call(operation, request).await)
    }

    pub(super) async fn list_disputes(&self, since: Timestamp) -> Result<Vec<DisputeReport>, String> {
        let mut reports = vec![];
        let mut after = Some(0);
        for _ in 0..PAGES_MAX {
            let Some(start) = after else { break };
            let query = [("created_from", since.to_string()), ("after", start.to_string())];
            let request = self.http.client().get(address(&self.base, &["disputes"])).query(&query);
            let answer = self.http.call("list_disputes", request).await.map_err(|silence| silence.to_string())?;
            let page: List = answer.read().map_err(|silence| silence.to_string())?;
            reports.extend(page.data.into_iter().map(|dispute| dispute.into_report(true)));
            after = page.next_after;
        }
        Ok(reports)
    }
}

pub(super) fn dispute_answer(result: Result<Answer, Silence>) -> DisputeAnswer {
    let answer = match result {
        Ok(answer) => answer,
        Err(silence) => return DisputeAnswer::Unknown { reason: silence.to_string() },
    };
    if answer.is_success() {
        return match answer.read::<Dispute>() {
            Ok(dispute) => DisputeAnswer::Told(dispute.into_report(true)),
            Err(silence) => DisputeAnswer::Unknown { reason: silence.to_string() },
        };
    }
    match refusal_code(&answer).as_deref() {
        Some("dispute_not_found") => DisputeAnswer::NotFound,
        Some(code @ ("dispute_closed" | "invalid_request")) => DisputeAnswer::Refused { code: code.to_owned() },
        _ => DisputeAnswer::Unknown { reason: unexpected_answer(&answer) },
    }
}
