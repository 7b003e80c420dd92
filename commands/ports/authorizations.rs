//! Money held at a channel and taken later, in one capture or several. A channel that offers it implements this beside
//! [`Channel`](super::Channel); the same rules hold: each call is safe to repeat with its key, and none returns an error.

use std::fmt;

use async_trait::async_trait;
use domain::payment::Failure;
use domain::{Money, PaymentId, PreAuthId, Timestamp};

use super::ChannelAnswer;

#[async_trait]
pub trait Authorizations: Send + Sync {
    /// Can one authorisation be captured several times? Where it cannot, the first capture gives back the rest.
    fn takes_several_captures(&self) -> bool;

    /// Starts or repeats the authorisation.
    async fn authorize(&self, order: &AuthorizationOrder) -> AuthorizationAnswer;

    /// Asks what became of it, without changing anything.
    async fn find_authorization(&self, order: &AuthorizationOrder) -> AuthorizationAnswer;

    /// Makes sure that nothing is held under it any more, now or later; what was captured stays captured. Answers
    /// `Released`, `Declined` or `Unknown`. One that never reached the channel is released for good.
    async fn release(&self, order: &AuthorizationOrder, key: &str) -> AuthorizationAnswer;

    /// Takes a part of what is held, or repeats that.
    async fn capture(&self, order: &CaptureOrder) -> ChannelAnswer;

    /// Asks what became of a capture, without changing anything.
    async fn find_capture(&self, order: &CaptureOrder) -> ChannelAnswer;
}

/// An authorisation as the ledger wants it. `key` is the channel idempotency key, the same for every attempt.
#[derive(Clone, PartialEq)]
pub struct AuthorizationOrder {
    pub key: String,
    pub pre_auth_id: PreAuthId,
    pub amount: Money,
    pub method: String,
    /// The payment method's token. A bearer secret: never logged. Empty once the customer's data was erased.
    pub token: String,
    pub return_url: Option<String>,
    /// The channel's own reference, once it is known.
    pub channel_reference: Option<String>,
}

/// Without the token and the address, which may carry one.
impl fmt::Debug for AuthorizationOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationOrder")
            .field("key", &self.key)
            .field("amount", &self.amount)
            .field("method", &self.method)
            .field("channel_reference", &self.channel_reference)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct CaptureOrder {
    pub key: String,
    pub payment_id: PaymentId,
    pub pre_auth_id: PreAuthId,
    pub amount: Money,
    /// The channel's reference of the authorisation.
    pub authorization_reference: String,
}

#[derive(Clone, PartialEq)]
pub enum AuthorizationAnswer {
    /// `amount` in minor units; `capture_before` where the channel says how long it holds the money.
    Authorized {
        channel_reference: String,
        amount: i64,
        capture_before: Option<Timestamp>,
    },
    ActionRequired {
        channel_reference: String,
        url: String,
    },
    /// Taken; the result comes later.
    Accepted {
        channel_reference: String,
    },
    /// Final: nothing will ever be held under it.
    Declined {
        channel_reference: Option<String>,
        failure: Failure,
    },
    /// Nothing is held under it any more, for good.
    Released,
    /// The channel has no such authorisation: the call has not reached it (yet).
    NotFound,
    /// Whether it took effect must be found out. The reason carries no secret.
    Unknown {
        reason: String,
    },
}

impl AuthorizationAnswer {
    /// A word for logs and metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            AuthorizationAnswer::Authorized { .. } => "authorized",
            AuthorizationAnswer::ActionRequired { .. } => "action_required",
            AuthorizationAnswer::Accepted { .. } => "accepted",
            AuthorizationAnswer::Declined { .. } => "declined",
            AuthorizationAnswer::Released => "released",
            AuthorizationAnswer::NotFound => "not_found",
            AuthorizationAnswer::Unknown { .. } => "unknown",
        }
    }
}

/// Without the customer's address, which may carry a secret of the channel.
impl fmt::Debug for AuthorizationAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthorizationAnswer::Authorized { channel_reference, amount, capture_before } => {
                write!(f, "Authorized({channel_reference}, {amount}, {capture_before:?})")
            }
            AuthorizationAnswer::ActionRequired { channel_reference, .. }
            | AuthorizationAnswer::Accepted { channel_reference } => {
                write!(f, "{}({channel_reference})", self.kind())
            }
            AuthorizationAnswer::Declined { failure, .. } => write!(f, "Declined({failure:?})"),
            AuthorizationAnswer::Unknown { reason } => write!(f, "Unknown({reason})"),
            AuthorizationAnswer::Released | AuthorizationAnswer::NotFound => f.write_str(self.kind()),
        }
    }
}
