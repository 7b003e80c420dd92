//! How a dispute is answered: who must do what by when, and how it ended. What it moves is in its payment's stream
//! (`domain/payment/dispute.rs`); both are told in one entry. An inquiry is a question of the channel that moved nothing.
//!
//! ```text
//!            ┌─▶ inquiry ──▶ inquiry closed
//! absent ────┤      │ escalated    │
//!            └─▶ needs response ◀──┘ ──▶ under review ──▶ closed: won | lost | partly won
//!                   │  evidence submitted, sent ──▶┘  ▲      │ reopened
//!                   └─ accepted, sent ────────────────┘◀─────┘
//! ```

mod event;
mod rejection;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use event::{Event, Opened, Outcome};
pub use rejection::DisputeRejection;

use crate::{Decider, DisputeId, Sealed, Timestamp};

#[derive(Debug)]
pub struct Dispute;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Absent,
    Exists(Box<Record>),
}

/// A dispute that was told of, and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub terms: Opened,
    /// Minor units.
    pub amount: i64,
    pub evidence_due_by: Option<Timestamp>,
    pub stage: Stage,
    pub answer: Answer,
}

/// Where the channel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Inquiry,
    NeedsResponse,
    UnderReview,
    Closed(Outcome),
}

/// What the merchant answered, and whether the channel has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    None,
    Evidence { evidence: Sealed, submitted_at: Timestamp, sent: bool },
    Accepted { accepted_at: Timestamp, sent: bool },
}

#[derive(Debug, Clone)]
pub enum Command {
    Record(RecordDispute),
    SubmitEvidence {
        evidence: Sealed,
        at: Timestamp,
    },
    Accept {
        at: Timestamp,
    },
    /// The channel has taken the merchant's acceptance, else its evidence.
    RecordSent {
        acceptance: bool,
        at: Timestamp,
    },
}

/// A dispute as the channel tells it.
#[derive(Debug, Clone)]
pub struct RecordDispute {
    pub terms: Opened,
    pub stage: Stage,
    /// The channel's answer to a question of now; otherwise it is news that may be old.
    pub asked: bool,
    pub at: Timestamp,
}

impl Decider for Dispute {
    const CATEGORY: &'static str = "dispute";
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = DisputeRejection;

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, DisputeRejection> {
        match (command, state) {
            (Command::Record(told), State::Absent) => Ok(first_told(told)),
            (Command::Record(told), State::Exists(record)) => Ok(told_again(record, &told)),
            (_, State::Absent) => Err(DisputeRejection::NotFound),
            (Command::SubmitEvidence { evidence, at }, State::Exists(record)) => submit(record, evidence, at),
            (Command::Accept { at }, State::Exists(record)) => accept(record, at),
            (Command::RecordSent { acceptance, at }, State::Exists(record)) => Ok(match record.due() {
                Some(answer) if matches!(answer, Answer::Accepted { .. }) == acceptance => {
                    vec![Event::AnswerSent { sent_at: at }]
                }
                _ => vec![],
            }),
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        match (state, event) {
            (State::Absent, Event::Inquired(terms)) => State::Exists(Box::new(Record::told(terms, Stage::Inquiry))),
            (State::Absent, Event::Opened(terms)) => State::Exists(Box::new(Record::told(terms, Stage::NeedsResponse))),
            (State::Absent, _) => State::Absent,
            (State::Exists(record), event) => State::Exists(Box::new(record.evolve(event))),
        }
    }
}

fn first_told(told: RecordDispute) -> Vec<Event> {
    let (stage, at) = (told.stage, told.at);
    let first = match stage {
        Stage::Inquiry | Stage::Closed(Outcome::InquiryClosed) => Event::Inquired(Box::new(told.terms)),
        _ => Event::Opened(Box::new(told.terms)),
    };
    std::iter::once(first).chain(later(stage, at)).collect()
}

/// What is told of a stage beyond the one in which a dispute begins.
fn later(stage: Stage, at: Timestamp) -> Option<Event> {
    match stage {
        Stage::Inquiry | Stage::NeedsResponse => None,
        Stage::UnderReview => Some(Event::ReviewBegan { began_at: at }),
        Stage::Closed(outcome) => Some(Event::Closed { outcome, closed_at: at }),
    }
}

/// Old news is no event. Only the channel's answer to a question undoes that a dispute is closed.
fn told_again(record: &Record, told: &RecordDispute) -> Vec<Event> {
    let (now, stage, at) = (record.stage, told.stage, told.at);
    let is_adjusted = told.asked && told.terms.amount != record.amount;
    let adjusted = is_adjusted.then_some(Event::Adjusted { amount: told.terms.amount, adjusted_at: at });
    let undone =
        told.asked && now != stage && stage.is_dispute() && matches!(now, Stage::Closed(_)) && now.is_dispute();
    let began = match stage {
        _ if undone => Some(Event::Reopened { reopened_at: at }),
        stage if stage.is_dispute() && !now.is_dispute() => Some(Event::Escalated {
            amount: told.terms.amount,
            evidence_due_by: told.terms.evidence_due_by,
            escalated_at: at,
        }),
        _ => None,
    };
    let is_news = began.is_some() || stage.rank() > now.rank();
    let news = if is_news { later(stage, at) } else { None };
    let adjusted = if began.is_none() || undone { adjusted } else { None };
    began.into_iter().chain(adjusted).chain(news).collect()
}

fn submit(record: &Record, evidence: Sealed, at: Timestamp) -> Result<Vec<Event>, DisputeRejection> {
    match (&record.stage, &record.answer) {
        (Stage::Closed(_), _) => return Err(DisputeRejection::Closed),
        (_, Answer::Accepted { .. }) => return Err(DisputeRejection::AlreadyAccepted),
        (_, Answer::Evidence { .. }) | (Stage::UnderReview, Answer::None) => {
            return Err(DisputeRejection::EvidenceAlreadySubmitted);
        }
        (Stage::Inquiry | Stage::NeedsResponse, Answer::None) => {}
    }
    if record.evidence_due_by.is_some_and(|due_by| at > due_by) {
        return Err(DisputeRejection::EvidenceTooLate);
    }

    Ok(vec![Event::EvidenceSubmitted { evidence, submitted_at: at }])
}

fn accept(record: &Record, at: Timestamp) -> Result<Vec<Event>, DisputeRejection> {
    match (&record.stage, &record.answer) {
        (_, Answer::Accepted { .. }) => return Ok(vec![]),
        (Stage::Closed(_), _) => return Err(DisputeRejection::Closed),
        (Stage::Inquiry, _) => return Err(DisputeRejection::NotAcceptable),
        (Stage::NeedsResponse | Stage::UnderReview, _) => {}
    }

    Ok(vec![Event::Accepted { accepted_at: at }])
}

impl Stage {
    /// Money has moved for it.
    pub fn is_dispute(&self) -> bool {
        !matches!(self, Stage::Inquiry | Stage::Closed(Outcome::InquiryClosed))
    }

    /// News of a lower stage than the one that is known is old.
    fn rank(&self) -> u8 {
        match self {
            Stage::Inquiry => 0,
            Stage::Closed(Outcome::InquiryClosed) => 1,
            Stage::NeedsResponse => 2,
            Stage::UnderReview => 3,
            Stage::Closed(_) => 4,
        }
    }
}

impl Record {
    fn told(terms: &Opened, stage: Stage) -> Record {
        Record {
            terms: terms.clone(),
            amount: terms.amount,
            evidence_due_by: terms.evidence_due_by,
            stage,
            answer: Answer::None,
        }
    }

    fn evolve(mut self, event: &Event) -> Record {
        match event {
            Event::Escalated { amount, evidence_due_by, .. } => {
                self.stage = Stage::NeedsResponse;
                self.amount = *amount;
                self.evidence_due_by = *evidence_due_by;
                self.answer = Answer::None;
            }
            Event::Adjusted { amount, .. } => self.amount = *amount,
            Event::EvidenceSubmitted { evidence, submitted_at } => {
                self.answer = Answer::Evidence { evidence: evidence.clone(), submitted_at: *submitted_at, sent: false };
            }
            Event::Accepted { accepted_at } => {
                self.answer = Answer::Accepted { accepted_at: *accepted_at, sent: false };
            }
            Event::AnswerSent { .. } => self.answer = self.answer.sent(),
            Event::ReviewBegan { .. } => self.stage = Stage::UnderReview,
            Event::Closed { outcome, .. } => self.stage = Stage::Closed(*outcome),
            Event::Reopened { .. } => self.stage = Stage::UnderReview,
            Event::Inquired(_) | Event::Opened(_) => {}
        }
        self
    }

    pub fn dispute_id(&self) -> DisputeId {
        self.terms.dispute_id
    }

    pub fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Closed(_))
    }

    /// The merchant's answer that the channel does not have yet.
    pub fn due(&self) -> Option<&Answer> {
        match &self.answer {
            Answer::Evidence { sent: false, .. } | Answer::Accepted { sent: false, .. } if self.is_open() => {
                Some(&self.answer)
            }
            _ => None,
        }
    }

    pub fn status(&self) -> DisputeStatus {
        match (&self.stage, &self.answer) {
            (Stage::Closed(Outcome::Won), _) => DisputeStatus::Won,
            (Stage::Closed(Outcome::Lost), _) => DisputeStatus::Lost,
            (Stage::Closed(Outcome::PartlyWon), _) => DisputeStatus::PartlyWon,
            (Stage::Closed(Outcome::InquiryClosed), _) => DisputeStatus::InquiryClosed,
            (_, Answer::Accepted { .. }) => DisputeStatus::Accepted,
            (Stage::Inquiry, _) => DisputeStatus::Inquiry,
            (Stage::UnderReview, _) | (_, Answer::Evidence { .. }) => DisputeStatus::UnderReview,
            (Stage::NeedsResponse, Answer::None) => DisputeStatus::NeedsResponse,
        }
    }
}

impl Answer {
    fn sent(self) -> Answer {
        match self {
            Answer::None => Answer::None,
            Answer::Evidence { evidence, submitted_at, .. } => Answer::Evidence { evidence, submitted_at, sent: true },
            Answer::Accepted { accepted_at, .. } => Answer::Accepted { accepted_at, sent: true },
        }
    }
}

impl State {
    pub fn record(&self) -> Option<&Record> {
        match self {
            State::Absent => None,
            State::Exists(record) => Some(record),
        }
    }
}

/// What merchants see of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeStatus {
    Inquiry,
    InquiryClosed,
    NeedsResponse,
    UnderReview,
    Accepted,
    Won,
    PartlyWon,
    Lost,
}

impl DisputeStatus {
    pub const ALL: [DisputeStatus; 8] = [
        DisputeStatus::Inquiry,
        DisputeStatus::InquiryClosed,
        DisputeStatus::NeedsResponse,
        DisputeStatus::UnderReview,
        DisputeStatus::Accepted,
        DisputeStatus::Won,
        DisputeStatus::PartlyWon,
        DisputeStatus::Lost,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            DisputeStatus::Inquiry => "inquiry",
            DisputeStatus::InquiryClosed => "inquiry_closed",
            DisputeStatus::NeedsResponse => "needs_response",
            DisputeStatus::UnderReview => "under_review",
            DisputeStatus::Accepted => "accepted",
            DisputeStatus::Won => "won",
            DisputeStatus::PartlyWon => "partly_won",
            DisputeStatus::Lost => "lost",
        }
    }
}

impl std::str::FromStr for DisputeStatus {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        DisputeStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or("must be inquiry, inquiry_closed, needs_response, under_review, accepted, won, partly_won or lost")
    }
}
