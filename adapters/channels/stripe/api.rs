//! Calls of Stripe's HTTP API: authentication, version, form bodies, idempotency keys, errors. It knows no payment.

use commands::ports::{ChannelAnswer, RefundAnswer};
use domain::ChannelName;
use domain::payment::Failure;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

use super::StripeConfig;
use super::currencies::AmountRefusal;
use super::objects::{Dispute, ErrorBody, ErrorEnvelope, List, PaymentIntent, Refund};
use crate::channels::http::{Answer, ChannelSetupError, HttpChannel, Silence, address, base_address, safe_code};

/// Pinned, so that Stripe's answers keep the shape that `objects` reads until this line is changed on purpose.
const VERSION: &str = "2025-12-15.clover";
/// With it the fee comes along with the charge.
pub(super) const EXPAND_FEE: (&str, &str) = ("expand[]", "latest_charge.balance_transaction");
/// With it the payment's id comes along with a dispute.
pub(super) const EXPAND_INTENT: (&str, &str) = ("expand[]", "payment_intent");
const PAYMENT_REQUIRED: u16 = 402;
const CREATIONS_MAX: u32 = 5;

pub(super) type Form<'a> = &'a [(&'a str, &'a str)];

pub(super) struct Api {
    http: HttpChannel,
    base: Url,
    /// Marked sensitive: its `Debug` shows nothing.
    authorization: HeaderValue,
}

#[derive(Debug)]
pub(super) enum ApiError {
    Silent(Silence),
    /// Stripe's word that it did not do it.
    Refused {
        status: u16,
        error: Box<ErrorBody>,
    },
    /// Stripe has no words for the amount; nothing was sent.
    Inexpressible(AmountRefusal),
}

impl Api {
    pub(super) fn new(name: ChannelName, config: &StripeConfig) -> Result<Api, ChannelSetupError> {
        if config.secret_key.is_empty() {
            return Err(ChannelSetupError::Secret("the Stripe secret key is empty"));
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", config.secret_key)).map_err(|_| {
            ChannelSetupError::Secret("the Stripe secret key has characters that a header cannot carry")
        })?;
        authorization.set_sensitive(true);
        Ok(Api { http: HttpChannel::new(name, config.timeout)?, base: base_address(&config.url)?, authorization })
    }

    pub(super) fn name(&self) -> &ChannelName {
        self.http.name()
    }

    pub(super) fn admit(&self, operation: &'static str) -> Result<(), ApiError> {
        Ok(self.http.admit(operation)?)
    }

    /// `true` beside the intent: this is the answer that an earlier call with the same key got, not the present.
    ///
    /// A server error that Stripe has stored under a key is its answer for a day. Then everybody goes on to the same
    /// next key, so that all still meet at one intent; what an error left behind is never confirmed.
    pub(super) async fn create_intent(&self, key: &str, form: Form<'_>) -> Result<(PaymentIntent, bool), ApiError> {
        let mut failure = Silence::ServerError { status: 500, replayed: true };
        for number in 1..=CREATIONS_MAX {
            let key = if number == 1 { key.to_owned() } else { format!("{key}:{number}") };
            match self.http.call("create_intent", self.post(&["v1", "payment_intents"], &key, form)).await {
                Err(stored @ Silence::ServerError { replayed: true, .. }) => failure = stored,
                result => {
                    let answer = result?;
                    let replayed = answer.replayed;
                    return Ok((read(answer)?, replayed));
                }
            }
        }
        Err(failure.into())
    }

    pub(super) async fn intent(&self, id: &str) -> Result<PaymentIntent, ApiError> {
        let request = self.request(Method::GET, &["v1", "payment_intents", id]).query(&[EXPAND_FEE]);
        read_intent(self.http.call("get_intent", request).await?, id)
    }

    /// Intents with this text in their metadata. New ones are found after a minute, in outages after an hour.
    pub(super) async fn search_intents(&self, key: &str, value: &str) -> Result<List<PaymentIntent>, ApiError> {
        let query = format!("metadata['{key}']:'{value}'");
        let request = self.request(Method::GET, &["v1", "payment_intents", "search"]).query(&[("query", query)]);
        read(self.http.call("search_intents", request).await?)
    }

    /// `confirm`, `cancel` or `capture`. An intent itself sees to it that each happens at most once, whatever the key:
    /// so where Stripe only repeats a server error that it had stored under the key, a fresh key is safe, and the only
    /// way forward for the next 24 hours.
    pub(super) async fn move_intent(
        &self,
        operation: &'static str,
        (id, step): (&str, &str),
        key: &str,
        form: Form<'_>,
    ) -> Result<PaymentIntent, ApiError> {
        let path = ["v1", "payment_intents", id, step];
        let answer = match self.http.call(operation, self.post(&path, key, form)).await {
            Err(Silence::ServerError { replayed: true, .. }) => {
                let fresh = format!("{key}:{}", Uuid::new_v4());
                self.http.call(operation, self.post(&path, &fresh, form)).await?
            }
            result => result?,
        };
        read_intent(answer, id)
    }

    pub(super) async fn create_refund(&self, key: &str, form: Form<'_>) -> Result<Refund, ApiError> {
        read(self.http.call("create_refund", self.post(&["v1", "refunds"], key, form)).await?)
    }

    pub(super) async fn refund(&self, id: &str) -> Result<Refund, ApiError> {
        read(self.http.call("get_refund", self.request(Method::GET, &["v1", "refunds", id])).await?)
    }

    /// One page of an intent's refunds, newest first.
    pub(super) async fn refunds(&self, intent: &str, after: Option<&str>) -> Result<List<Refund>, ApiError> {
        let mut query = vec![("payment_intent", intent), ("limit", "100")];
        query.extend(after.map(|id| ("starting_after", id)));
        let request = self.request(Method::GET, &["v1", "refunds"]).query(&query);
        read(self.http.call("list_refunds", request).await?)
    }

    pub(super) async fn dispute(&self, id: &str) -> Result<Dispute, ApiError> {
        let request = self.request(Method::GET, &["v1", "disputes", id]).query(&[EXPAND_INTENT]);
        read(self.http.call("get_dispute", request).await?)
    }

    /// One page of the disputes created at `since` (unix seconds) or later, newest first.
    pub(super) async fn disputes(&self, since: i64, after: Option<&str>) -> Result<List<Dispute>, ApiError> {
        let since = since.to_string();
        let mut query = vec![("created[gte]", since.as_str()), ("limit", "100"), ("expand[]", "data.payment_intent")];
        query.extend(after.map(|id| ("starting_after", id)));
        let request = self.request(Method::GET, &["v1", "disputes"]).query(&query);
        read(self.http.call("list_disputes", request).await?)
    }

    /// Evidence for a dispute, or with `close` its end.
    pub(super) async fn answer_dispute(
        &self,
        operation: &'static str,
        path: &[&str],
        key: &str,
        form: Form<'_>,
    ) -> Result<Dispute, ApiError> {
        read(self.http.call(operation, self.post(path, key, form)).await?)
    }

    fn post(&self, path: &[&str], key: &str, form: Form<'_>) -> RequestBuilder {
        self.request(Method::POST, path).header("Idempotency-Key", key).form(form)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.http
            .client()
            .request(method, address(&self.base, path))
            .header(AUTHORIZATION, self.authorization.clone())
            .header("Stripe-Version", VERSION)
    }
}

/// An answer about another intent, such as one kept under a key that was used twice, is no answer.
fn read_intent(answer: Answer, id: &str) -> Result<PaymentIntent, ApiError> {
    let intent: PaymentIntent = read(answer)?;
    if intent.id == id { Ok(intent) } else { Err(Silence::Garbage.into()) }
}

fn read<T: DeserializeOwned>(answer: Answer) -> Result<T, ApiError> {
    if answer.is_success() {
        return Ok(answer.read()?);
    }
    let error = answer.read::<ErrorEnvelope>().map(|envelope| envelope.error).unwrap_or_default();
    Err(ApiError::Refused { status: answer.status, error: Box::new(error) })
}

impl From<Silence> for ApiError {
    fn from(silence: Silence) -> Self {
        ApiError::Silent(silence)
    }
}

impl ApiError {
    /// The refusal, if the same request can never be taken: neither a matter of keys and rights, nor of two calls
    /// that met. Source: <https://docs.stripe.com/api/errors>.
    pub(super) fn refusal(&self) -> Option<Failure> {
        match self {
            ApiError::Refused { status: PAYMENT_REQUIRED, error } => Some(error.decline()),
            ApiError::Refused { status: 400 | 404, error } if !error.is_about_the_key() => Some(error.refusal()),
            ApiError::Inexpressible(refusal) => Some(Failure::from(refusal)),
            ApiError::Refused { .. } | ApiError::Silent(_) => None,
        }
    }

    /// The refusal, if it is the card's.
    pub(super) fn decline(&self) -> Option<Failure> {
        match self {
            ApiError::Refused { status: PAYMENT_REQUIRED, .. } => self.refusal(),
            _ => None,
        }
    }

    pub(super) fn reason(&self) -> String {
        match self {
            ApiError::Silent(silence) => silence.to_string(),
            ApiError::Refused { status, error } => {
                let code = error.code.as_deref().or(error.r#type.as_deref()).and_then(safe_code).unwrap_or("no code");
                format!("Stripe answered {status} ({code})")
            }
            ApiError::Inexpressible(refusal) => refusal.to_string(),
        }
    }

    pub(super) fn unknown_charge(&self) -> ChannelAnswer {
        ChannelAnswer::Unknown { reason: self.reason() }
    }

    pub(super) fn unknown_refund(&self) -> RefundAnswer {
        RefundAnswer::Unknown { reason: self.reason() }
    }
}

impl From<&AmountRefusal> for Failure {
    fn from(_: &AmountRefusal) -> Failure {
        Failure::new("amount_not_supported_by_channel", None)
    }
}

impl ErrorBody {
    /// The key was used for something else, or is in use at this very moment: what became of it must be found out.
    fn is_about_the_key(&self) -> bool {
        self.r#type.as_deref() == Some("idempotency_error")
            || matches!(self.code.as_deref(), Some("idempotency_key_in_use" | "lock_timeout"))
    }

    /// A card's refusal.
    pub(super) fn decline(&self) -> Failure {
        Failure::new(self.code.as_deref().unwrap_or("card_declined"), self.decline_code.as_deref())
    }

    fn refusal(&self) -> Failure {
        Failure::new(self.code.as_deref().unwrap_or("invalid_request"), None)
    }
}
