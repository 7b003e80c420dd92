//! A payment channel: somebody else's system that moves the money. It may answer late, twice, or never.

use std::fmt;

use async_trait::async_trait;
use domain::payment::Failure;
use domain::{ChannelName, Currency, Money, PaymentId, PreAuthId, RefundId, Timestamp};
use rust_decimal::Decimal;
use serde::Serialize;

use super::authorizations::{AuthorizationAnswer, Authorizations};
use super::disputes::{DisputeAnswer, DisputeOrder, DisputeReport};

/// Every call is safe to repeat with the same key: the channel performs it at most once.
/// None of the calls returns an error: what cannot be told from the answer is `Unknown`.
#[async_trait]
pub trait Channel: Send + Sync {
    fn name(&self) -> &ChannelName;

    /// What a capture is expected to cost where the channel tells its fee later: 0.029 is 2.9 %.
    fn expected_fee_rate(&self) -> Decimal;

    /// Can this channel express the amount? A reason for the merchant if not.
    fn accepts(&self, amount: Money) -> Result<(), String>;

    /// Starts or repeats the charge of a payment.
    async fn charge(&self, order: &ChargeOrder) -> ChannelAnswer;

    /// Asks what became of a charge, without changing anything.
    async fn find_charge(&self, order: &ChargeOrder) -> ChannelAnswer;

    /// Makes sure that the charge cannot take effect any more, or tells that it has.
    /// Answers `Voided`, `Captured` or `Unknown`; a charge that never reached the channel is voided for good.
    async fn void_charge(&self, order: &ChargeOrder, key: &str) -> ChannelAnswer;

    async fn refund(&self, order: &RefundOrder) -> RefundAnswer;

    async fn find_refund(&self, order: &RefundOrder) -> RefundAnswer;

    /// Asks how a dispute stands, by the channel's own id of it. A channel without disputes knows none.
    async fn find_dispute(&self, _channel_reference: &str) -> DisputeAnswer {
        DisputeAnswer::NotFound
    }

    /// Every dispute that began at `since` or later: one whose webhook was lost is found among them. The reason of a
    /// failure carries no secret.
    async fn disputes_since(&self, _since: Timestamp) -> Result<Vec<DisputeReport>, String> {
        Ok(vec![])
    }

    /// Hands in the merchant's evidence.
    async fn submit_evidence(&self, _order: &DisputeOrder, _text: &str) -> DisputeAnswer {
        DisputeAnswer::NotFound
    }

    /// Gives the disputed money up.
    async fn accept_dispute(&self, _order: &DisputeOrder) -> DisputeAnswer {
        DisputeAnswer::NotFound
    }

    /// How this channel holds money without taking it; `None` if it cannot.
    fn authorizations(&self) -> Option<&dyn Authorizations> {
        None
    }

    /// A page of what the channel has paid out to us, oldest first; the first one without a `page`.
    async fn payouts(&self, _page: Option<&str>) -> PayoutsAnswer {
        PayoutsAnswer::Unsupported
    }

    /// Everything that the payout is made of.
    async fn payout_statement(&self, _payout: &str) -> StatementAnswer {
        StatementAnswer::Unknown { reason: "this channel tells no statements".to_owned() }
    }

    /// Verifies the channel's signature over a webhook and reads what it tells.
    /// `header` looks up a header by its lower-case name.
    fn read_webhook(
        &self,
        header: &(dyn for<'a> Fn(&'a str) -> Option<String> + Sync),
        body: &[u8],
        now: Timestamp,
    ) -> Result<Webhook, WebhookError>;
}

/// A charge as the ledger wants it. `key` is the channel idempotency key, the same for every attempt.
#[derive(Clone, PartialEq)]
pub struct ChargeOrder {
    pub key: String,
    pub payment_id: PaymentId,
    pub amount: Money,
    pub method: String,
    /// The payment method's token. A bearer secret: never logged.
    pub token: String,
    pub return_url: Option<String>,
    /// The channel's own reference, once it is known.
    pub channel_reference: Option<String>,
}

/// Without the token and the address, which may carry one.
impl fmt::Debug for ChargeOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChargeOrder")
            .field("key", &self.key)
            .field("amount", &self.amount)
            .field("method", &self.method)
            .field("channel_reference", &self.channel_reference)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct RefundOrder {
    pub key: String,
    pub payment_id: PaymentId,
    pub refund_id: RefundId,
    pub amount: Money,
    /// The channel's reference of the captured charge.
    pub charge_reference: String,
    /// The channel's reference of the refund, once it is known.
    pub channel_reference: Option<String>,
}

#[derive(Clone, PartialEq)]
pub enum ChannelAnswer {
    /// `amount` and `fee` in minor units; no fee if it is told later.
    Captured {
        channel_reference: String,
        amount: i64,
        fee: Option<i64>,
    },
    ActionRequired {
        channel_reference: String,
        url: String,
    },
    /// Taken; the result comes later.
    Accepted {
        channel_reference: String,
    },
    /// Final: this charge can never take effect any more.
    Declined {
        channel_reference: Option<String>,
        failure: Failure,
    },
    /// The charge is void and cannot take effect any more.
    Voided,
    /// The channel has no such charge: the call has not reached it (yet).
    NotFound,
    /// A timeout, a reset, a 5xx or nonsense: whether it took effect must be found out. The reason carries no secret.
    Unknown {
        reason: String,
    },
}

/// Without the customer's address, which may carry a secret of the channel.
impl fmt::Debug for ChannelAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChannelAnswer::Captured { channel_reference, amount, fee } => {
                write!(f, "Captured({channel_reference}, {amount}, {fee:?})")
            }
            ChannelAnswer::ActionRequired { channel_reference, .. } => write!(f, "ActionRequired({channel_reference})"),
            ChannelAnswer::Accepted { channel_reference } => write!(f, "Accepted({channel_reference})"),
            ChannelAnswer::Declined { channel_reference, failure } => {
                write!(f, "Declined({channel_reference:?}, {})", failure.code)
            }
            ChannelAnswer::Voided => f.write_str("Voided"),
            ChannelAnswer::NotFound => f.write_str("NotFound"),
            ChannelAnswer::Unknown { reason } => write!(f, "Unknown({reason})"),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum RefundAnswer {
    Succeeded { channel_reference: String, fee_returned: i64 },
    Accepted { channel_reference: String },
    Failed { failure: Failure },
    NotFound,
    Unknown { reason: String },
}

#[derive(Debug, Clone, PartialEq)]
pub enum PayoutsAnswer {
    Page {
        payouts: Vec<Payout>,
        /// Where the next page begins, if there is more.
        next: Option<String>,
    },
    /// This channel's payouts are not taken in from here.
    Unsupported,
    Unknown {
        reason: String,
    },
}

/// Money that a channel sent us, or took.
#[derive(Debug, Clone, PartialEq)]
pub struct Payout {
    /// The channel's own, unique within the channel.
    pub reference: String,
    pub currency: Currency,
    /// Minor units; negative if the channel took money.
    pub amount: i64,
    pub paid_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq)]
pub enum StatementAnswer {
    Lines(Vec<StatementLine>),
    Unknown { reason: String },
}

/// One line of a payout's statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatementLine {
    pub kind: StatementLineKind,
    /// Our id of what it is about.
    pub reference: String,
    /// Minor units; negative where it lessens the payout.
    pub amount: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementLineKind {
    /// The channel's fee of the payment that the reference names.
    Fee,
    /// Captures, refunds, disputes and whatever else moved money.
    Movement,
}

/// A verified webhook: the channel's own id of it, for telling duplicates, and the facts it carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    pub event_id: String,
    pub event_type: String,
    pub facts: Vec<WebhookFact>,
}

/// What a webhook tells about one of our objects. Anything else is stored and has no fact.
#[derive(Debug, Clone, PartialEq)]
pub enum WebhookFact {
    Charge { payment_id: PaymentId, answer: ChannelAnswer },
    Refund { payment_id: Option<PaymentId>, refund_id: RefundId, answer: RefundAnswer },
    Authorization { pre_auth_id: PreAuthId, answer: AuthorizationAnswer },
    Dispute(DisputeReport),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error("the signature is missing, wrong or too old")]
    BadSignature,
    #[error("the body is signed but cannot be read")]
    Malformed,
}

/// What a channel said no to, in a currency table of its own.
pub fn unsupported(currency: Currency, channel: &ChannelName) -> String {
    format!("channel {channel} cannot take {currency} in this amount")
}
