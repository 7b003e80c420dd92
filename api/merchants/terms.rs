//! The body that changes what was agreed with a merchant. Knows no rule of it: the domain refuses what cannot be agreed.

use std::collections::BTreeSet;

use domain::calendar::{TimeOfDay, Weekday};
use domain::merchant::{Changes, OwnLimits, ReservePlan};
use domain::pricing::{PricingModel, RefundFeePolicy};
use domain::{Currency, TimeZone};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::extract::Parsed;

/// Amounts are minor units of USD. What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTermsBody {
    /// `cost_plus` or `blended`.
    #[schema(value_type = Option<String>, example = "blended")]
    pricing: Option<PricingModel>,
    /// `retain` or `proportional`.
    #[schema(value_type = Option<String>, example = "proportional")]
    refund_fee_policy: Option<RefundFeePolicy>,
    #[schema(value_type = Option<String>, example = "EUR")]
    home_currency: Option<Currency>,
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    time_zone: Option<TimeZone>,
    /// The merchant's own limits, all of them at once; one that is left out is its tier's.
    #[schema(value_type = Option<LimitsBody>)]
    limits: Option<OwnLimits>,
    /// How far refunds may overdraw the merchant; null is its tier's limit per payment.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>, example = 1_000_000)]
    credit_limit: Option<Option<i64>>,
    /// What is kept back of each settled capture, and for how many days.
    #[schema(value_type = Option<ReserveBody>)]
    reserve: Option<ReservePlan>,
    thresholds: Option<ThresholdsBody>,
    /// Local time of day at which settlements are cut off.
    #[schema(value_type = Option<String>, example = "17:00")]
    cut_off: Option<Parsed<TimeOfDay>>,
    /// The days without business: `monday` to `sunday`.
    #[schema(value_type = Option<Vec<String>>, example = json!(["saturday", "sunday"]))]
    weekend: Option<BTreeSet<Weekday>>,
    features: Option<FeaturesBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ThresholdsBody {
    /// A settlement above it waits for finance.
    #[schema(example = 10_000_000)]
    settlement_approval: Option<i64>,
    /// A withdrawal above it needs two people.
    #[schema(example = 1_000_000)]
    withdrawal_two_person: Option<i64>,
}

/// What is switched on of what the tier allows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FeaturesBody {
    pre_auth: Option<bool>,
    several_currencies: Option<bool>,
}

/// What the document says of a merchant's own limits.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct LimitsBody {
    #[schema(example = 1_000_000)]
    per_payment: Option<i64>,
    #[schema(example = 10_000_000)]
    daily: Option<i64>,
    #[schema(example = 30_000_000)]
    monthly: Option<i64>,
    /// Calls of the API that are allowed in a minute, on each node.
    #[schema(example = 500, minimum = 1)]
    api_calls_per_minute: Option<u32>,
}

/// What the document says of a reserve plan.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ReserveBody {
    #[schema(example = 500)]
    basis_points: u32,
    #[schema(example = 90)]
    days: u32,
}

/// Tells a null from a field that is not there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl ChangeTermsBody {
    pub fn changes(self) -> Changes {
        let (thresholds, features) = (self.thresholds.as_ref(), self.features.as_ref());
        Changes {
            pricing_model: self.pricing,
            refund_fee_policy: self.refund_fee_policy,
            home_currency: self.home_currency,
            limits: self.limits,
            credit_limit: self.credit_limit,
            reserve: self.reserve,
            settlement_approval: thresholds.and_then(|thresholds| thresholds.settlement_approval),
            withdrawal_two_person: thresholds.and_then(|thresholds| thresholds.withdrawal_two_person),
            cut_off: self.cut_off.map(|cut_off| cut_off.0),
            pre_auth: features.and_then(|features| features.pre_auth),
            several_currencies: features.and_then(|features| features.several_currencies),
            time_zone: self.time_zone,
            weekend: self.weekend,
        }
    }
}
