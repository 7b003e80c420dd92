//! Carries one command to the store and back: in-flight guard, bounded retry, and the answer to a repeat.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use domain::{Decider, Rejection, RejectionClass};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tracing::Instrument;
use uuid::Uuid;

use crate::ports::{
    Decision, EventStore, Expected, Metadata, NewEvent, Receipt, RejectionRecord, Request, StoreError, StreamRef,
    StreamState, nth_state,
};
use crate::trace;

/// Who issued a command, how its repeat is recognised, and what it belongs to.
#[derive(Debug, Clone)]
pub struct Issued {
    pub metadata: Metadata,
    /// The hash of what a client asked, for commands with an idempotency key.
    pub fingerprint: Option<[u8; 32]>,
}

impl Issued {
    /// A command of the ledger itself. `purpose` must be the same whenever the same thing is done again.
    pub fn internally(actor: &str, purpose: &str, correlation_id: &str) -> Issued {
        Issued {
            metadata: Metadata {
                command_id: deterministic_id(&["internal", actor, purpose]),
                correlation_id: correlation_id.to_owned(),
                causation_id: None,
                actor: actor.to_owned(),
                traceparent: trace::current_traceparent(),
            },
            fingerprint: None,
        }
    }
}

/// The durable id of the command that a client marked with `key`; keys of different scopes never meet.
pub fn command_id_of_key(scope: &str, key: &str) -> Uuid {
    deterministic_id(&["key", scope, key])
}

/// A UUID (version 8) from the SHA-256 of the length-prefixed parts.
pub fn deterministic_id(parts: &[&str]) -> Uuid {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// The request can never be a command: told to the caller, not recorded.
    #[error("{detail}")]
    Invalid { code: &'static str, pointer: &'static str, detail: String },
    /// A rule refuses the command before it comes to be decided: what [`Executor::refuse`] records.
    #[error("{}", .0.detail)]
    Refused(RejectionRecord),
    #[error("a request with this idempotency key is still running")]
    InFlight,
    #[error("this idempotency key was used for another request")]
    KeyReused,
    #[error("the object changed meanwhile, again and again")]
    Conflict,
    #[error("not available: {0}")]
    Unavailable(String),
    #[error("internal: {0}")]
    Bug(String),
}

impl CommandError {
    pub fn refused(rejection: impl Rejection) -> CommandError {
        CommandError::Refused(rejection.into())
    }

    /// What a rule outside the aggregates forbids, such as one of the installation's; for good, as far as we know.
    pub fn ruled_out(code: &'static str, pointer: &'static str, detail: String) -> CommandError {
        CommandError::Refused(RejectionRecord {
            code: code.to_owned(),
            class: RejectionClass::Refused,
            detail,
            pointer: Some(pointer.to_owned()),
            retryable: false,
            correlation_id: None,
        })
    }
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => CommandError::Conflict,
            StoreError::Unavailable(reason) => CommandError::Unavailable(reason),
            StoreError::Corrupt(reason) => CommandError::Bug(reason),
        }
    }
}

/// Sends commands to one store. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    store: Arc<dyn EventStore>,
    in_flight: Arc<Mutex<HashSet<Uuid>>>,
}

/// How often a command is sent again with the same id, and how long it waits in between.
fn retries() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_millis(500))
        .with_max_times(4)
        .with_jitter()
}

impl Executor {
    pub fn new(store: Arc<dyn EventStore>) -> Executor {
        Executor { store, in_flight: Arc::default() }
    }

    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.store
    }

    /// The receipt of the command, now or from when it first came; a rejection is a receipt too.
    ///
    /// An unreachable store is retried a few times: with the same id nothing happens twice. A conflict is not: the
    /// version that the command expects is gone.
    pub async fn execute(&self, request: Request) -> Result<Receipt, CommandError> {
        let started = Instant::now();
        let category = request.streams.first().map_or("none", |stream| stream.category.name);
        let span = tracing::info_span!(
            "command.execute",
            command.id = %request.command_id(),
            command.category = category,
            command.outcome = tracing::field::Empty,
        );
        let result = self.execute_with_retries(request).instrument(span.clone()).await;
        let outcome = outcome(&result);
        span.record("command.outcome", outcome);
        metrics::counter!("command_total", "category" => category, "outcome" => outcome).increment(1);
        metrics::histogram!("command_duration_seconds", "category" => category).record(started.elapsed());
        result
    }

    async fn execute_with_retries(&self, request: Request) -> Result<Receipt, CommandError> {
        let fingerprint = request.fingerprint;
        let _running = match fingerprint {
            Some(_) => Some(self.claim(request.command_id())?),
            None => None,
        };
        let request = if fingerprint.is_some() { naming_itself_in_rejections(request) } else { request };
        let send = || self.store.execute(request.clone()).instrument(tracing::info_span!("event_store.append"));
        let receipt = send.retry(retries()).when(|error| matches!(error, StoreError::Unavailable(_))).await?;
        if receipt.replayed && receipt.fingerprint != fingerprint {
            return Err(CommandError::KeyReused);
        }
        Ok(receipt)
    }

    /// Decides `command` on one stream of its aggregate, whatever its version, and appends what follows from it.
    pub async fn decide<D: Decider>(
        &self,
        issued: Issued,
        id: String,
        command: D::Command,
    ) -> Result<Receipt, CommandError> {
        let decide = move |states: &[StreamState]| match D::decide(nth_state::<D>(states, 0), command.clone()) {
            Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
            Err(rejection) => Decision::Reject(rejection.into()),
        };
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: id.clone(),
            streams: vec![StreamRef::new::<D>(id, Expected::Any)],
            decide: Arc::new(decide),
        };
        self.execute(request).await
    }

    /// The receipt of a command that came before, so that facts need not be gathered for it again.
    pub async fn replay(&self, issued: &Issued) -> Result<Option<Receipt>, CommandError> {
        let Some(receipt) = self.store.find_command(issued.metadata.command_id).await? else {
            return Ok(None);
        };
        if receipt.fingerprint != issued.fingerprint {
            return Err(CommandError::KeyReused);
        }
        Ok(Some(receipt))
    }

    /// The end of a command whose facts could not be gathered. What was decided once is answered from history; a
    /// refusal is decided on `stream` and recorded like any other; whatever else went wrong is told and may be tried again.
    pub async fn refuse(
        &self,
        issued: Issued,
        stream: StreamRef,
        error: CommandError,
    ) -> Result<Receipt, CommandError> {
        let CommandError::Refused(rejection) = error else {
            return self.replay(&issued).await?.ok_or(error);
        };
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: stream.stream.id.clone(),
            streams: vec![stream],
            decide: Arc::new(move |_| Decision::Reject(rejection.clone())),
        };
        self.execute(request).await
    }

    fn claim(&self, command_id: Uuid) -> Result<Running, CommandError> {
        if self.in_flight.lock().insert(command_id) {
            Ok(Running { command_id, in_flight: self.in_flight.clone() })
        } else {
            Err(CommandError::InFlight)
        }
    }
}

/// A client's request, whose refusal is kept with the id of the request that was refused.
fn naming_itself_in_rejections(mut request: Request) -> Request {
    let (decide, correlation_id) = (request.decide, request.metadata.correlation_id.clone());
    request.decide = Arc::new(move |states| match decide(states) {
        Decision::Reject(mut rejection) => {
            rejection.correlation_id = Some(correlation_id.clone());
            Decision::Reject(rejection)
        }
        append => append,
    });
    request
}

/// What came of a command, as it is counted.
fn outcome(result: &Result<Receipt, CommandError>) -> &'static str {
    match result {
        Ok(receipt) if receipt.replayed => "replayed",
        Ok(Receipt { rejection: Some(_), .. }) => "rejected",
        Ok(_) => "done",
        Err(CommandError::Invalid { .. }) => "invalid",
        Err(CommandError::Refused(_)) => "refused",
        Err(CommandError::InFlight) => "in_flight",
        Err(CommandError::KeyReused) => "key_reused",
        Err(CommandError::Conflict) => "conflict",
        Err(CommandError::Unavailable(_)) => "unavailable",
        Err(CommandError::Bug(_)) => "bug",
    }
}

/// A key whose command is running on this node; gone when dropped, also when the caller gives up.
struct Running {
    command_id: Uuid,
    in_flight: Arc<Mutex<HashSet<Uuid>>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.command_id);
    }
}
