//! The dispute saga's part in the machinery, and the effects of its steps.

use async_trait::async_trait;
use commands::dispute::{Disputes, dispute_order};
use commands::payment::Payments;
use commands::ports::{Category, Channel, DisputeAnswer, DisputeReport, RecordedEvent, SagaId, StreamState, state_of};
use domain::Timestamp;
use domain::dispute::{Answer, Dispute, Event, Record, State};

use super::{AWAIT_VERDICT, SEND_ACCEPTANCE, SEND_EVIDENCE, acceptance_key, evidence_key, next_step};
use crate::attempt::{Attempt, accepted};
use crate::process::{Learned, Meaning, Process, Trouble};
use crate::step::{Due, Step};

/// Drives each dispute.
pub struct DisputeProcess {
    disputes: Disputes,
}

impl DisputeProcess {
    pub fn new(payments: Payments) -> DisputeProcess {
        DisputeProcess { disputes: Disputes { payments } }
    }
}

#[async_trait]
impl Process for DisputeProcess {
    fn kind(&self) -> &'static str {
        "dispute"
    }

    fn category(&self) -> Category {
        Category::of::<Dispute>()
    }

    fn steps(&self) -> &'static [Step] {
        &[SEND_EVIDENCE, SEND_ACCEPTANCE, AWAIT_VERDICT]
    }

    fn meaning(&self, event: &RecordedEvent) -> Option<Meaning> {
        let dispute_id = &event.stream.id;
        let Ok(event) = event.decode::<Event>() else { return Meaning::due(dispute_id) };
        match event {
            Event::Inquired(_)
            | Event::Opened(_)
            | Event::Escalated { .. }
            | Event::Reopened { .. }
            | Event::EvidenceSubmitted { .. }
            | Event::Accepted { .. } => Meaning::due(dispute_id),
            Event::Closed { .. } => Meaning::finished(dispute_id),
            Event::Adjusted { .. } | Event::AnswerSent { .. } | Event::ReviewBegan { .. } => None,
        }
    }

    fn due(&self, _saga: &SagaId, stream: &StreamState, _now: Timestamp) -> Result<Option<Due>, Trouble> {
        Ok(next_step(record(state_of::<Dispute>(stream))?))
    }

    async fn perform(&self, attempt: &Attempt<'_>) -> Result<Learned, Trouble> {
        let record = record(attempt.state::<Dispute>())?;
        let name = &record.terms.channel;
        let channel = self.disputes.payments.channels.get(name);
        let channel = channel.ok_or_else(|| Trouble::Unavailable(format!("channel {name} is not configured")))?;
        let reference = &record.terms.channel_reference;
        let step = attempt.due.step;
        if step == AWAIT_VERDICT {
            return self.learn(attempt, record, channel.find_dispute(reference).await, None).await;
        }

        match self.send(channel.as_ref(), record, step).await? {
            DisputeAnswer::Told(report) => {
                let (issued, acceptance) = (attempt.issued("sent"), step == SEND_ACCEPTANCE);
                accepted(self.disputes.record_sent(issued, record.dispute_id(), acceptance).await?)?;
                self.learn(attempt, record, DisputeAnswer::Told(report), None).await
            }
            // It is closed by now, or not to be answered like that: the former shows when it is asked for.
            DisputeAnswer::Refused { code } => {
                self.learn(attempt, record, channel.find_dispute(reference).await, Some(code)).await
            }
            answer => self.learn(attempt, record, answer, None).await,
        }
    }
}

impl DisputeProcess {
    /// Evidence of a customer who was erased meanwhile has nothing left to say.
    async fn send(&self, channel: &dyn Channel, record: &Record, step: Step) -> Result<DisputeAnswer, Trouble> {
        let dispute_id = record.dispute_id();
        if step == SEND_ACCEPTANCE {
            return Ok(channel.accept_dispute(&dispute_order(record, acceptance_key(dispute_id))).await);
        }
        let Answer::Evidence { evidence, .. } = &record.answer else {
            return Err(Trouble::Parked(format!("{dispute_id} has no evidence to send")));
        };
        let text = self.disputes.open_evidence(record, evidence).await?;
        let text = text.ok_or_else(|| Trouble::Parked(format!("the evidence of {dispute_id} was erased")))?;
        Ok(channel.submit_evidence(&dispute_order(record, evidence_key(dispute_id)), &text).await)
    }

    /// Records how the dispute stands; `refused` is why the channel took no answer.
    async fn learn(
        &self,
        attempt: &Attempt<'_>,
        record: &Record,
        answer: DisputeAnswer,
        refused: Option<String>,
    ) -> Result<Learned, Trouble> {
        let error = refused.map(|code| format!("the channel refuses the answer: {code}"));
        let unanswered = |outcome, reason: &str| Learned { outcome, error: Some(reason.to_owned()) };
        Ok(match answer {
            DisputeAnswer::Told(report) => {
                let told = DisputeReport { payment_id: Some(record.terms.payment_id), ..report };
                let issued = attempt.issued(&news(&told));
                accepted(self.disputes.record(issued, &record.terms.channel, told).await?)?;
                Learned { outcome: if error.is_some() { "refused" } else { "told" }, error }
            }
            DisputeAnswer::Refused { code } => unanswered("refused", &code),
            DisputeAnswer::NotFound => unanswered("not_found", "the channel does not know the dispute"),
            DisputeAnswer::Unknown { reason } => unanswered("unknown", &reason),
        })
    }
}

/// The same news of the same version is one command, however often it is heard.
fn news(told: &DisputeReport) -> String {
    format!("{:?}:{}:{}", told.stage, told.amount, told.fee)
}

fn record(state: &State) -> Result<&Record, Trouble> {
    state.record().ok_or_else(|| Trouble::Unavailable("the dispute cannot be seen yet".to_owned()))
}
