//! What was agreed with a merchant beside its tier, and a change of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{MerchantRejection, Terms};
use crate::calendar::{self, TimeOfDay, Weekday, saturday_and_sunday};
use crate::money::AMOUNT_MAX;
use crate::pricing::{PricingModel, RefundFeePolicy};
use crate::{Currency, TimeZone};

/// Amounts are minor units of USD. What is not set is as the merchant's tier or the platform has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    pub pricing_model: PricingModel,
    pub refund_fee_policy: RefundFeePolicy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_currency: Option<Currency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<TimeZone>,
    pub limits: OwnLimits,
    /// How far refunds may overdraw the merchant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_limit: Option<i64>,
    pub reserve: ReservePlan,
    pub thresholds: Thresholds,
    /// Local time at which settlements are cut off.
    pub cut_off: TimeOfDay,
    pub weekend: BTreeSet<Weekday>,
    pub features: Features,
}

/// Limits that were agreed with this merchant instead of its tier's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnLimits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_payment: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly: Option<i64>,
    /// Calls of the API, on each node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_calls_per_minute: Option<u32>,
}

/// What is kept back of each settled capture, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservePlan {
    /// Hundredths of a per cent of the gross captured: 500 is 5 %.
    pub basis_points: u32,
    pub days: u32,
}

/// Above these, in minor units of USD, people must agree. An amount at the threshold passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// A settlement above it waits for finance.
    pub settlement_approval: i64,
    /// A withdrawal above it needs two approvals.
    pub withdrawal_two_person: i64,
}

/// What the merchant has switched on of what its tier allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    pub pre_auth: bool,
    pub several_currencies: bool,
}

/// A change of an agreement: what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    pub pricing_model: Option<PricingModel>,
    pub refund_fee_policy: Option<RefundFeePolicy>,
    pub home_currency: Option<Currency>,
    pub time_zone: Option<TimeZone>,
    pub limits: Option<OwnLimits>,
    /// `Some(None)` goes back to the tier's.
    pub credit_limit: Option<Option<i64>>,
    pub reserve: Option<ReservePlan>,
    pub settlement_approval: Option<i64>,
    pub withdrawal_two_person: Option<i64>,
    pub cut_off: Option<TimeOfDay>,
    pub weekend: Option<BTreeSet<Weekday>>,
    pub pre_auth: Option<bool>,
    pub several_currencies: Option<bool>,
}

/// The longest that a reserve is kept: two years.
const RESERVE_DAYS_MAX: u32 = 730;

impl Default for Thresholds {
    /// 100,000 USD a settlement, 10,000 USD a withdrawal.
    fn default() -> Thresholds {
        Thresholds { settlement_approval: 10_000_000, withdrawal_two_person: 1_000_000 }
    }
}

impl Default for Features {
    fn default() -> Features {
        Features { pre_auth: true, several_currencies: true }
    }
}

impl Agreement {
    pub(super) fn of(terms: &Terms) -> Agreement {
        Agreement {
            pricing_model: terms.pricing_model,
            refund_fee_policy: terms.refund_fee_policy,
            home_currency: terms.home_currency,
            time_zone: terms.time_zone.clone(),
            limits: OwnLimits::default(),
            credit_limit: None,
            reserve: ReservePlan::default(),
            thresholds: Thresholds::default(),
            cut_off: TimeOfDay::end_of_business(),
            weekend: saturday_and_sunday(),
            features: Features::default(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), MerchantRejection> {
        let own = [self.limits.per_payment, self.limits.daily, self.limits.monthly];
        if own.into_iter().flatten().any(|limit| !(1..=AMOUNT_MAX).contains(&limit)) {
            return Err(MerchantRejection::InvalidOwnLimits);
        }
        if self.limits.api_calls_per_minute == Some(0) {
            return Err(MerchantRejection::InvalidOwnLimits);
        }
        if self.credit_limit.is_some_and(|limit| !(0..=AMOUNT_MAX).contains(&limit)) {
            return Err(MerchantRejection::InvalidCreditLimit);
        }
        if self.reserve.basis_points > 10_000
            || self.reserve.days > RESERVE_DAYS_MAX
            || (self.reserve.basis_points > 0) != (self.reserve.days > 0)
        {
            return Err(MerchantRejection::InvalidReserve);
        }
        let thresholds = [self.thresholds.settlement_approval, self.thresholds.withdrawal_two_person];
        if thresholds.iter().any(|threshold| !(0..=AMOUNT_MAX).contains(threshold)) {
            return Err(MerchantRejection::InvalidThreshold);
        }
        if self.weekend.len() > 6 {
            return Err(MerchantRejection::InvalidWeekend);
        }
        if self.time_zone.as_ref().is_some_and(|time_zone| !calendar::is_known(time_zone)) {
            return Err(MerchantRejection::InvalidTimeZone);
        }
        Ok(())
    }
}

impl Changes {
    pub(super) fn applied_to(self, before: &Agreement) -> Agreement {
        Agreement {
            pricing_model: self.pricing_model.unwrap_or(before.pricing_model),
            refund_fee_policy: self.refund_fee_policy.unwrap_or(before.refund_fee_policy),
            home_currency: self.home_currency.or(before.home_currency),
            time_zone: self.time_zone.or_else(|| before.time_zone.clone()),
            limits: self.limits.unwrap_or(before.limits),
            credit_limit: self.credit_limit.unwrap_or(before.credit_limit),
            reserve: self.reserve.unwrap_or(before.reserve),
            thresholds: Thresholds {
                settlement_approval: self.settlement_approval.unwrap_or(before.thresholds.settlement_approval),
                withdrawal_two_person: self.withdrawal_two_person.unwrap_or(before.thresholds.withdrawal_two_person),
            },
            cut_off: self.cut_off.unwrap_or(before.cut_off),
            weekend: self.weekend.unwrap_or_else(|| before.weekend.clone()),
            features: Features {
                pre_auth: self.pre_auth.unwrap_or(before.features.pre_auth),
                several_currencies: self.several_currencies.unwrap_or(before.features.several_currencies),
            },
        }
    }
}
