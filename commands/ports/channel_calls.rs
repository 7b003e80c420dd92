//! The log of calls that went out to channels and banks for one of our objects: what was asked, under which key, and how
//! that ended. It is there for people who read a story, and for nothing else: the ledger never decides on it, so it may
//! lose its newest lines in a crash. No bodies, no secrets, no personal data.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use domain::Timestamp;
use serde::Serialize;

/// Every adapter of it passes one contract suite.
#[async_trait]
pub trait ChannelCallLog: Send + Sync {
    /// Takes the line without waiting and without failing: it is written a moment later, or lost with the process.
    fn note(&self, call: ChannelCall);

    /// Returns once everything noted before is written, or was given up.
    async fn flush(&self);

    /// The calls for the objects of these streams, in the order in which they began.
    async fn about(&self, stream_ids: &[String]) -> Result<Vec<ChannelCall>, CallLogUnavailable>;

    /// How many began before.
    async fn count(&self, before: Timestamp) -> Result<u64, CallLogUnavailable>;

    /// Moves one small batch of those that began before to the archive; how many, 0 once none is left.
    async fn archive(&self, before: Timestamp) -> Result<u64, CallLogUnavailable>;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChannelCall {
    /// Of the object that the call was made for: `pay_...`, `pa_...`, `wd_...`.
    #[serde(skip)]
    pub stream_id: String,
    /// `channel:sandbox`, `bank:sandbox`.
    pub called: String,
    /// `charge`, `find_refund`, `create_intent`: in the words of the adapter.
    pub operation: String,
    /// What the saga was at: `charge`, `find_out_refund`.
    pub step: String,
    /// How often the step was gone at, this time included.
    pub attempt: u32,
    /// Counted from 1 within that go.
    pub number: u32,
    /// None of a mere question.
    pub idempotency_key: Option<String>,
    /// By which the other side knows the call; none if it told none.
    pub request_id: Option<String>,
    pub started_at: Timestamp,
    pub latency_ms: u32,
    pub result: CallResult,
}

macro_rules! results {
    ($($(#[$doc:meta])* $variant:ident $word:literal $prose:literal,)*) => {
        /// What is known after a call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum CallResult { $($(#[$doc])* $variant,)* }

        impl CallResult {
            pub const ALL: &'static [CallResult] = &[$(CallResult::$variant),*];

            pub fn as_str(&self) -> &'static str {
                match self { $(CallResult::$variant => $word,)* }
            }

            /// For people.
            pub fn in_words(&self) -> &'static str {
                match self { $(CallResult::$variant => $prose,)* }
            }
        }
    };
}

results! {
    /// It said yes, or told what was asked.
    Answered "answered" "answered",
    /// It said no, whatever its reason.
    Refused "refused" "said no",
    TimedOut "timed_out" "no answer in time",
    /// The connection broke before the answer.
    ConnectionLost "connection_lost" "connection lost",
    /// No connection came about: nothing was sent.
    NotSent "not_sent" "not reached",
    /// Nothing was sent: the channel failed too often in a row.
    CircuitOpen "circuit_open" "not called, it fails too often",
    ServerError "server_error" "failed on its side",
    /// What it said cannot be read.
    Unreadable "unreadable" "answer unreadable",
    /// We stopped waiting before it ended.
    GivenUp "given_up" "given up by us",
}

impl fmt::Display for CallResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CallResult {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = CallResult::ALL.iter().find(|result| result.as_str() == text);
        known.copied().ok_or_else(|| format!("{text:?} is no result of a call"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log of channel calls is not available: {0}")]
pub struct CallLogUnavailable(pub String);
