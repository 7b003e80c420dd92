//! What every channel's client shares: one bounded HTTP exchange, measured, and told apart by what is known afterwards.
//! It knows no channel's protocol, and no secret ever stands in what it reports.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use commands::calls::{self, OpenCall};
use commands::ports::channel_calls::CallResult;
use commands::trace::current_traceparent;
use domain::ChannelName;
use metrics::{counter, histogram};
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use tracing::Instrument;
use url::Url;

use super::breaker::CircuitBreaker;

/// Calls of a channel that does not ask for more are given up after this long.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(2);
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Of a key or a request id.
const NOTED_BYTES_MAX: usize = 255;
const TOO_MANY_REQUESTS: u16 = 429;

pub struct HttpChannel {
    name: ChannelName,
    client: Client,
    breaker: CircuitBreaker,
}

#[derive(Debug, thiserror::Error)]
pub enum ChannelSetupError {
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error("{0} is not an http or https address")]
    Address(String),
    #[error("{0}")]
    Secret(&'static str),
}

/// The channel said something, and whatever it said is its word.
#[derive(Debug)]
pub struct Answer {
    /// Below 500 and not 429.
    pub status: u16,
    pub body: Vec<u8>,
    /// The channel repeated what it had answered to an earlier call with the same key.
    pub replayed: bool,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Silence> {
        serde_json::from_slice(&self.body).map_err(|_| Silence::Garbage)
    }
}

/// The channel told nothing that can be relied on. Its text is safe to store and to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// Nothing was sent.
    CircuitOpen,
    /// No connection came about, so nothing was sent.
    NotSent,
    TimedOut,
    ConnectionLost,
    /// `replayed` as in [`Answer`].
    ServerError {
        status: u16,
        replayed: bool,
    },
    Garbage,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::CircuitOpen => f.write_str("circuit open: the channel failed too often in a row"),
            Silence::NotSent => f.write_str("no connection to the channel"),
            Silence::TimedOut => f.write_str("the channel did not answer in time"),
            Silence::ConnectionLost => f.write_str("the connection was lost before the answer"),
            Silence::ServerError { status, .. } => write!(f, "the channel answered {status}"),
            Silence::Garbage => f.write_str("the channel's answer cannot be read"),
        }
    }
}

impl Silence {
    fn label(&self) -> &'static str {
        match self {
            Silence::CircuitOpen => "circuit_open",
            Silence::NotSent => "not_sent",
            Silence::TimedOut => "timeout",
            Silence::ConnectionLost => "connection_lost",
            Silence::ServerError { .. } => "server_error",
            Silence::Garbage => "garbage",
        }
    }
}

impl HttpChannel {
    pub fn new(name: ChannelName, timeout: Duration) -> Result<HttpChannel, ChannelSetupError> {
        // Where `main` has installed the TLS provider already, this changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(CONNECT_TIMEOUT_MAX))
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("payledger/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(HttpChannel { name, client, breaker: CircuitBreaker::default() })
    }

    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// To be asked before new work is sent: not while the channel is known to be down. What must be known or settled
    /// about work that is already out is sent without asking.
    pub fn admit(&self, operation: &'static str) -> Result<(), Silence> {
        if self.breaker.admits(Instant::now()) {
            return Ok(());
        }
        if let Some(call) = calls::begin(self.called(), operation) {
            call.end(CallResult::CircuitOpen);
        }
        self.count(operation, Silence::CircuitOpen.label());
        Err(Silence::CircuitOpen)
    }

    pub async fn call(&self, operation: &'static str, request: RequestBuilder) -> Result<Answer, Silence> {
        let span = tracing::info_span!(
            "channel.call",
            otel.kind = "client",
            channel.name = %self.name,
            channel.operation = operation,
            channel.outcome = tracing::field::Empty,
        );
        let started = Instant::now();
        let request = match span.in_scope(current_traceparent) {
            Some(traceparent) => request.header("traceparent", traceparent),
            None => request,
        };
        let mut call = calls::begin(self.called(), operation);
        let result = exchange(request, call.as_mut()).instrument(span.clone()).await;
        histogram!("channel_call_duration_seconds", "channel" => self.name.to_string(), "operation" => operation)
            .record(started.elapsed().as_secs_f64());
        let outcome = match &result {
            Ok(answer) if answer.is_success() => "success",
            Ok(_) => "refused",
            Err(silence) => silence.label(),
        };
        match &result {
            Ok(_) => self.breaker.succeeded(),
            Err(_) => self.breaker.failed(Instant::now()),
        }
        if let Some(call) = call {
            call.end(result_of(&result));
        }
        span.record("channel.outcome", outcome);
        self.count(operation, outcome);
        result
    }

    fn called(&self) -> String {
        format!("channel:{}", self.name)
    }

    fn count(&self, operation: &'static str, outcome: &'static str) {
        let channel = self.name.to_string();
        counter!("channel_call_total", "channel" => channel, "operation" => operation, "outcome" => outcome)
            .increment(1);
    }
}

/// The address of a channel's API, without a slash at its end.
pub fn base_address(text: &str) -> Result<Url, ChannelSetupError> {
    let invalid = || ChannelSetupError::Address(text.to_owned());
    let mut base = Url::parse(text).map_err(|_| invalid())?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(invalid());
    }
    base.path_segments_mut().map_err(|()| invalid())?.pop_if_empty();
    Ok(base)
}

/// `segments` below `base`, each escaped, so that no id can lead elsewhere.
pub fn address(base: &Url, segments: &[&str]) -> Url {
    let mut address = base.clone();
    address.path_segments_mut().expect("an http address has a path").extend(segments);
    address
}

/// A code of an outside system, if it is fit to be stored and shown.
pub fn safe_code(code: &str) -> Option<&str> {
    let fits = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    fits.then_some(code)
}

fn result_of(result: &Result<Answer, Silence>) -> CallResult {
    match result {
        Ok(answer) if answer.is_success() => CallResult::Answered,
        Ok(_) => CallResult::Refused,
        Err(Silence::CircuitOpen) => CallResult::CircuitOpen,
        Err(Silence::NotSent) => CallResult::NotSent,
        Err(Silence::TimedOut) => CallResult::TimedOut,
        Err(Silence::ConnectionLost) => CallResult::ConnectionLost,
        Err(Silence::ServerError { .. }) => CallResult::ServerError,
        Err(Silence::Garbage) => CallResult::Unreadable,
    }
}

async fn exchange(request: RequestBuilder, mut call: Option<&mut OpenCall>) -> Result<Answer, Silence> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| silence_of(&error))?;
    if let (Some(call), Some(key)) = (&mut call, noted(request.headers(), &["idempotency-key"])) {
        call.under_key(key);
    }
    let mut response = client.execute(request).await.map_err(|error| silence_of(&error))?;
    if let (Some(call), Some(id)) = (&mut call, noted(response.headers(), &["request-id", "x-request-id"])) {
        call.known_as(id);
    }
    let status = response.status().as_u16();
    let replayed = is_replayed(&response);
    if status >= 500 || status == TOO_MANY_REQUESTS {
        return Err(Silence::ServerError { status, replayed });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| silence_of(&error))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(Silence::Garbage);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body, replayed })
}

/// The first of these headers, if it is fit to be stored and shown.
fn noted<'a>(headers: &'a HeaderMap, names: &[&str]) -> Option<&'a str> {
    let value = names.iter().find_map(|name| headers.get(*name))?.to_str().ok()?;
    let fits = (1..=NOTED_BYTES_MAX).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(value)
}

fn is_replayed(response: &Response) -> bool {
    response.headers().get("idempotent-replayed").is_some_and(|value| value.as_bytes() == b"true")
}

fn silence_of(error: &reqwest::Error) -> Silence {
    if error.is_connect() {
        Silence::NotSent
    } else if error.is_timeout() {
        Silence::TimedOut
    } else if error.is_decode() {
        Silence::Garbage
    } else {
        tracing::debug!(channel.error_source = %innermost(error), "a channel call broke off");
        Silence::ConnectionLost
    }
}

/// The cause alone: reqwest's own text has the address in it.
fn innermost(error: &reqwest::Error) -> &dyn Error {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

#[cfg(test)]
mod tests;
