//! The withdrawal saga's part in the machinery, and the effects of its steps.

use async_trait::async_trait;
use commands::calls;
use commands::ports::channel_calls::CallResult;
use commands::ports::{Category, RecordedEvent, SagaId, StreamState, state_of};
use commands::withdrawal::Withdrawals;
use domain::Timestamp;
use domain::withdrawal::{Event, Phase, Record, State, Withdrawal};

use super::{AWAIT_BANK, SEND, START_SENDING, next_step};
use crate::attempt::{Attempt, accepted};
use crate::process::{Learned, Meaning, Process, Trouble};
use crate::step::{Due, Step};

/// Drives each withdrawal from its last approval on.
pub struct WithdrawalProcess {
    withdrawals: Withdrawals,
}

impl WithdrawalProcess {
    pub fn new(withdrawals: Withdrawals) -> WithdrawalProcess {
        WithdrawalProcess { withdrawals }
    }
}

#[async_trait]
impl Process for WithdrawalProcess {
    fn kind(&self) -> &'static str {
        "withdrawal"
    }

    fn category(&self) -> Category {
        Category::of::<Withdrawal>()
    }

    fn steps(&self) -> &'static [Step] {
        &[START_SENDING, SEND, AWAIT_BANK]
    }

    fn meaning(&self, event: &RecordedEvent) -> Option<Meaning> {
        let object = &event.stream.id;
        match event.decode::<Event>() {
            Err(_) => Meaning::due(object),
            Ok(Event::Approved(approved)) if approved.approvals_left == 0 => Meaning::due(object),
            Ok(
                Event::Rejected(_)
                | Event::Cancelled { .. }
                | Event::Paid { .. }
                | Event::Failed(_)
                | Event::Returned(_),
            ) => Meaning::finished(object),
            Ok(Event::Requested(_) | Event::Approved(_) | Event::SendingStarted { .. } | Event::Sent { .. }) => None,
        }
    }

    fn due(&self, _: &SagaId, stream: &StreamState, now: Timestamp) -> Result<Option<Due>, Trouble> {
        Ok(next_step(record(state_of::<Withdrawal>(stream))?, now))
    }

    async fn perform(&self, attempt: &Attempt<'_>) -> Result<Learned, Trouble> {
        let record = record(attempt.state::<Withdrawal>())?;
        match record.phase {
            Phase::Approved { .. } => {
                let issued = attempt.issued("sending_started");
                accepted(self.withdrawals.start_sending(issued, record).await?)?;
                Ok(Learned { outcome: "sending_started", error: None })
            }
            Phase::Sending { since } => self.send(attempt, record, since).await,
            _ => {
                let told = self.withdrawals.record_news().await?;
                Ok(Learned { outcome: if told == 0 { "nothing_yet" } else { "news" }, error: None })
            }
        }
    }
}

impl WithdrawalProcess {
    async fn send(&self, attempt: &Attempt<'_>, record: &Record, since: Timestamp) -> Result<Learned, Trouble> {
        let bank = self.withdrawals.bank_of(record);
        let bank = bank.ok_or_else(|| Trouble::Parked(format!("the bank {} is not configured", record.terms.bank)))?;
        let order = self.withdrawals.order(record, since).await?;
        let order = order.ok_or_else(|| Trouble::Parked("the bank account's details were erased".to_owned()))?;
        let call = calls::begin(format!("bank:{}", bank.name()), "send");
        let sent = bank.send(&order).await;
        if let Some(mut call) = call {
            call.under_key(&order.withdrawal_id.to_string());
            call.end(if sent.is_ok() { CallResult::Answered } else { CallResult::NotSent });
        }
        match sent {
            Ok(()) => {
                accepted(self.withdrawals.record_sent(attempt.issued("sent"), record).await?)?;
                Ok(Learned { outcome: "sent", error: None })
            }
            Err(error) => Ok(Learned { outcome: "unknown", error: Some(error.to_string()) }),
        }
    }
}

fn record(state: &State) -> Result<&Record, Trouble> {
    state.record().ok_or_else(|| Trouble::Parked("the withdrawal was never requested".to_owned()))
}
