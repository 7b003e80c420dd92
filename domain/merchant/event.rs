//! The facts of a merchant. Fields are added, never changed.

use serde::{Deserialize, Serialize};

use super::Agreement;
use crate::pricing::{PricingModel, RefundFeePolicy};
use crate::tier::TierName;
use crate::{Currency, DomainEvent, MerchantId, TimeZone, Timestamp};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    #[serde(rename = "merchant.onboarded")]
    Onboarded(Terms),
    #[serde(rename = "merchant.tier_changed")]
    TierChanged(TierChanged),
    #[serde(rename = "merchant.terms_changed")]
    TermsChanged(Box<TermsChanged>),
    #[serde(rename = "merchant.suspended")]
    Suspended { merchant_id: MerchantId, suspended_at: Timestamp },
    #[serde(rename = "merchant.activated")]
    Activated { merchant_id: MerchantId, activated_at: Timestamp },
    #[serde(rename = "merchant.closed")]
    Closed { merchant_id: MerchantId, closed_at: Timestamp },
}

/// What a merchant begins with; everything else is as the platform has it until it is changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    pub merchant_id: MerchantId,
    pub name: String,
    pub tier: TierName,
    pub pricing_model: PricingModel,
    pub refund_fee_policy: RefundFeePolicy,
    /// What the merchant reckons in; USD without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_currency: Option<Currency>,
    /// Where its business day begins and ends; UTC without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TimeZone>,
    pub onboarded_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TierChanged {
    pub merchant_id: MerchantId,
    /// The tier that was agreed for that time until now.
    pub from: TierName,
    pub tier: TierName,
    pub effective_from: Timestamp,
    pub changed_at: Timestamp,
}

/// The whole agreement as it stands from now on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TermsChanged {
    pub merchant_id: MerchantId,
    pub agreement: Agreement,
    pub changed_at: Timestamp,
}

impl DomainEvent for Event {
    const TYPES: &'static [(&'static str, u16)] = &[
        ("merchant.onboarded", 1),
        ("merchant.tier_changed", 1),
        ("merchant.terms_changed", 1),
        ("merchant.suspended", 1),
        ("merchant.activated", 1),
        ("merchant.closed", 1),
    ];

    fn event_type(&self) -> &'static str {
        match self {
            Event::Onboarded(_) => "merchant.onboarded",
            Event::TierChanged(_) => "merchant.tier_changed",
            Event::TermsChanged(_) => "merchant.terms_changed",
            Event::Suspended { .. } => "merchant.suspended",
            Event::Activated { .. } => "merchant.activated",
            Event::Closed { .. } => "merchant.closed",
        }
    }
}
