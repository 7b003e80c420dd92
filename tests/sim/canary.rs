//! Bugs that are put in on purpose, one at a time, to see that the simulation finds them. Each is a kind that real
//! ledgers had: a forgotten key, a guess, a stale cache, an answer before the commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use adapters::event_store::MemoryEventStore;
use commands::ports::channel::StatementAnswer;
use commands::ports::{
    ChannelAnswer, DisputeAnswer, DisputeReport, EventStore, Receipt, RecordedEvent, Request, StoreError, StreamId,
    StreamState, TransferOrder,
};
use parking_lot::Mutex;

use crate::chance::Chance;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// The store answers before it has stored.
    AnswersBeforeTheCommit,
    /// The store does not know a command again.
    ForgetsCommands,
    /// Commands are decided on a state that somebody has changed meanwhile.
    DecidesOnStaleStates,
    /// The channel's key is made from the number of the attempt.
    MakesKeysFromAttempts,
    /// A lost answer of the channel is taken for a no.
    GuessesOutcomes,
    /// What is due is not entered in the agenda.
    ForgetsWhatIsDue,
    /// The books lack the return of a failed refund's hold.
    LosesAHold,
    /// The key of a capture is made from the number of the attempt.
    CapturesUnderNewKeys,
    /// What is not captured is called released, and the channel is not told.
    KeepsHolds,
    /// An instruction to the bank has the time of the attempt.
    InstructsAnew,
    /// A message of the bank is acknowledged before it is recorded.
    LosesBankNews,
    /// What the channel says of a dispute when it is asked is taken for news that may be old.
    DoubtsAnswers,
    /// The last line of a payout's statement is not read.
    SkipsStatementLines,
    /// A job whose node died counts as running for ever.
    KeepsDeadRuns,
    /// Somebody edits a stored event.
    EditsHistory,
    /// Somebody deletes a stored event.
    DeletesHistory,
}

impl Canary {
    pub const ALL: [Canary; 16] = [
        Canary::AnswersBeforeTheCommit,
        Canary::ForgetsCommands,
        Canary::DecidesOnStaleStates,
        Canary::MakesKeysFromAttempts,
        Canary::GuessesOutcomes,
        Canary::ForgetsWhatIsDue,
        Canary::LosesAHold,
        Canary::CapturesUnderNewKeys,
        Canary::KeepsHolds,
        Canary::InstructsAnew,
        Canary::LosesBankNews,
        Canary::DoubtsAnswers,
        Canary::SkipsStatementLines,
        Canary::KeepsDeadRuns,
        Canary::EditsHistory,
        Canary::DeletesHistory,
    ];

    /// The invariants that it may be found by.
    pub fn breaks(&self) -> &'static [u8] {
        match self {
            Canary::AnswersBeforeTheCommit | Canary::ForgetsCommands => &[3],
            // Debts that are not repaid show first in the books.
            Canary::DecidesOnStaleStates => &[1, 4, 5, 6],
            // News of the other charge, or of a dispute of what is called failed, can never be booked.
            Canary::MakesKeysFromAttempts | Canary::CapturesUnderNewKeys | Canary::GuessesOutcomes => &[6, 8],
            Canary::KeepsHolds | Canary::KeepsDeadRuns => &[8],
            Canary::InstructsAnew | Canary::SkipsStatementLines => &[6],
            // A verdict that cannot be booked is found by the webhook that a person would have to look at.
            Canary::DoubtsAnswers => &[6, 8],
            // A withdrawal of which nothing is heard never ends.
            Canary::LosesBankNews => &[6, 8],
            // A batch that is never released is found by what it leaves behind.
            Canary::ForgetsWhatIsDue => &[5, 8],
            Canary::LosesAHold => &[1],
            Canary::EditsHistory => &[9],
            Canary::DeletesHistory => &[2],
        }
    }

    /// The seeds within which it must be found.
    pub fn seeds_max(&self) -> u64 {
        match self {
            Canary::EditsHistory | Canary::DeletesHistory => 1,
            _ => 500,
        }
    }
}

/// Where a canary sits: between a node and what it stands on. Without one it changes nothing.
pub struct Tampering {
    canary: Option<Canary>,
    chance: Chance,
    known: Mutex<HashMap<StreamId, StreamState>>,
}

impl Tampering {
    pub fn new(canary: Option<Canary>, chance: Chance) -> Tampering {
        Tampering { canary, chance, known: Mutex::default() }
    }

    pub fn is(&self, canary: Canary) -> bool {
        self.canary == Some(canary)
    }

    /// True now and then, if this is the canary.
    fn strikes(&self, canary: Canary, percent: u32) -> bool {
        self.is(canary) && self.chance.percent(percent)
    }

    pub fn with_request(self: &Arc<Self>, mut request: Request) -> Request {
        if self.is(Canary::ForgetsCommands) {
            request.metadata.command_id = self.chance.uuid();
        }
        if self.is(Canary::DecidesOnStaleStates) {
            let (tampering, decide) = (self.clone(), request.decide.clone());
            let streams: Vec<StreamId> = request.streams.iter().map(|named| named.stream.clone()).collect();
            request.decide = Arc::new(move |states| {
                let named = streams.iter().zip(states);
                let stale: Vec<StreamState> = named.map(|(id, state)| tampering.stale(id, state)).collect();
                decide(&stale)
            });
        }
        request
    }

    /// The state as of when somebody looked first, a third of the time.
    fn stale(&self, stream: &StreamId, state: &StreamState) -> StreamState {
        let mut known = self.known.lock();
        let first = known.entry(stream.clone()).or_insert_with(|| state.clone());
        if self.chance.percent(33) && first.version > 2 {
            return first.clone();
        }
        *first = state.clone();
        state.clone()
    }

    pub async fn execute(&self, log: &MemoryEventStore, request: Request) -> Result<Receipt, StoreError> {
        if request.fingerprint.is_none() || !self.strikes(Canary::AnswersBeforeTheCommit, 10) {
            return log.execute(request).await;
        }
        Ok(Receipt {
            command_id: request.command_id(),
            replayed: false,
            fingerprint: request.fingerprint,
            object: request.object.clone(),
            stream: request.streams[0].stream.clone(),
            version: 1,
            position: log.head().await? + 1,
            rejection: None,
        })
    }

    pub fn channel_key(&self, key: &str) -> String {
        if self.is(Canary::MakesKeysFromAttempts) { format!("{key}:{}", self.chance.uuid()) } else { key.to_owned() }
    }

    pub fn capture_key(&self, key: &str) -> String {
        if self.is(Canary::CapturesUnderNewKeys) { format!("{key}:{}", self.chance.uuid()) } else { key.to_owned() }
    }

    pub fn forgets_to_release(&self) -> bool {
        self.strikes(Canary::KeepsHolds, 50)
    }

    pub fn dispute(&self, answer: DisputeAnswer) -> DisputeAnswer {
        match answer {
            DisputeAnswer::Told(report) if self.is(Canary::DoubtsAnswers) => {
                DisputeAnswer::Told(DisputeReport { asked: false, ..report })
            }
            answer => answer,
        }
    }

    pub fn statement(&self, answer: StatementAnswer) -> StatementAnswer {
        match answer {
            StatementAnswer::Lines(mut lines) if self.is(Canary::SkipsStatementLines) => {
                lines.pop();
                StatementAnswer::Lines(lines)
            }
            answer => answer,
        }
    }

    pub fn instruction(&self, order: &TransferOrder) -> TransferOrder {
        let later = if self.is(Canary::InstructsAnew) { self.chance.millis(0..=9_000) } else { Duration::ZERO };
        TransferOrder { ordered_at: order.ordered_at.plus(later), ..order.clone() }
    }

    pub fn loses_bank_news(&self) -> bool {
        self.strikes(Canary::LosesBankNews, 30)
    }

    pub fn answer(&self, answer: ChannelAnswer) -> ChannelAnswer {
        match answer {
            ChannelAnswer::Unknown { .. } if self.is(Canary::GuessesOutcomes) => ChannelAnswer::Declined {
                channel_reference: None,
                failure: domain::payment::Failure::new("timeout", None),
            },
            answer => answer,
        }
    }

    pub fn keeps_dead_runs(&self) -> bool {
        self.is(Canary::KeepsDeadRuns)
    }

    pub fn forgets_what_is_due(&self) -> bool {
        self.strikes(Canary::ForgetsWhatIsDue, 10)
    }

    pub fn loses_posting_of(&self, event: &RecordedEvent) -> bool {
        self.is(Canary::LosesAHold) && event.event_type == "payment.refund_failed"
    }

    /// The log as it is found by the auditor.
    pub fn rewritten(&self, mut log: Vec<RecordedEvent>) -> Vec<RecordedEvent> {
        let middle = log.len() / 2;
        match self.canary {
            Some(Canary::EditsHistory) => log[middle].payload.insert(1, ' '),
            Some(Canary::DeletesHistory) => drop(log.remove(middle)),
            _ => {}
        }
        log
    }
}
