//! Stripe's objects, as far as they are read. Fields that other servers of the protocol leave out are optional.
//! Source: <https://docs.stripe.com/api>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Keys of the metadata by which webhooks and lists are matched with our objects.
pub(super) const PAYMENT_ID: &str = "payment_id";
pub(super) const PRE_AUTH_ID: &str = "pre_auth_id";
pub(super) const REFUND_ID: &str = "refund_id";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CaptureMethod {
    Automatic,
    Manual,
}

impl CaptureMethod {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            CaptureMethod::Automatic => "automatic",
            CaptureMethod::Manual => "manual",
        }
    }
}

/// Not printable: the client secret is in it.
#[derive(Clone, Deserialize)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) status: IntentStatus,
    pub(super) amount: i64,
    pub(super) amount_received: Option<i64>,
    pub(super) currency: String,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    pub(super) latest_charge: Option<Expandable<Charge>>,
    pub(super) last_payment_error: Option<ErrorBody>,
    pub(super) next_action: Option<NextAction>,
    pub(super) client_secret: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Canceled,
    Succeeded,
    #[serde(other)]
    Other,
}

/// The object where it was asked for, else its id, which is not needed here.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Expandable<T> {
    Object(T),
    Id(IgnoredAny),
}

impl<T> Expandable<T> {
    pub(super) fn object(&self) -> Option<&T> {
        match self {
            Expandable::Object(object) => Some(object),
            Expandable::Id(_) => None,
        }
    }
}

#[derive(Clone, Deserialize)]
pub(super) struct Charge {
    pub(super) balance_transaction: Option<Expandable<BalanceTransaction>>,
    /// Only in API versions before 2022-11-15, or where it was asked for.
    pub(super) refunds: Option<List<Refund>>,
    pub(super) payment_method_details: Option<MethodDetails>,
}

#[derive(Clone, Deserialize)]
pub(super) struct MethodDetails {
    pub(super) card: Option<CardDetails>,
}

#[derive(Clone, Deserialize)]
pub(super) struct CardDetails {
    /// Unix seconds: until then held money can be captured.
    pub(super) capture_before: Option<i64>,
}

#[derive(Clone, Deserialize)]
pub(super) struct BalanceTransaction {
    pub(super) fee: i64,
    /// The currency of our balance, not always that of the charge.
    pub(super) currency: String,
}

#[derive(Clone, Deserialize)]
pub(super) struct NextAction {
    pub(super) redirect_to_url: Option<Redirect>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Redirect {
    pub(super) url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) status: Option<String>,
    pub(super) metadata: Option<BTreeMap<String, String>>,
    pub(super) failure_reason: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Dispute {
    pub(super) id: String,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) payment_intent: Option<Expandable<DisputedIntent>>,
    /// What moved on our balance: the withdrawal, and its reversal if there was one.
    #[serde(default)]
    pub(super) balance_transactions: Vec<BalanceTransaction>,
    pub(super) evidence_details: Option<EvidenceDetails>,
}

#[derive(Clone, Deserialize)]
pub(super) struct DisputedIntent {
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize)]
pub(super) struct EvidenceDetails {
    /// Unix seconds.
    pub(super) due_by: Option<i64>,
}

#[derive(Clone, Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

#[derive(Deserialize)]
pub(super) struct ErrorEnvelope {
    pub(super) error: ErrorBody,
}

/// Without Stripe's text, which may quote what was sent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) r#type: Option<String>,
    pub(super) code: Option<String>,
    pub(super) decline_code: Option<String>,
}

pub(super) fn metadata<'a>(metadata: &'a Option<BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    metadata.as_ref()?.get(key).map(String::as_str)
}
