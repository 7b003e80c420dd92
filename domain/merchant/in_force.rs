//! What holds for a merchant at a moment: its agreement and the terms of its tier, put together. The other aggregates
//! read this and nothing else of a merchant.

use super::{MerchantRejection, Record, ReservePlan, Status, Thresholds};
use crate::calendar::Calendar;
use crate::pricing::Pricing;
use crate::tier::{self, Limits, SettlementCycle, TierName};
use crate::{Currency, MerchantId, TimeZone, Timestamp};

/// Amounts are minor units of USD.
#[derive(Debug, Clone, PartialEq)]
pub struct InForce {
    pub merchant_id: MerchantId,
    pub status: Status,
    pub tier: TierName,
    /// What a payment created now is fixed to.
    pub pricing: Pricing,
    pub home_currency: Currency,
    pub several_currencies: bool,
    /// May it authorise now and capture later?
    pub pre_auth: bool,
    pub limits: Limits,
    /// How far refunds may overdraw it.
    pub credit_limit: i64,
    pub settlement_cycle: SettlementCycle,
    pub calendar: Calendar,
    pub reserve: ReservePlan,
    pub thresholds: Thresholds,
    pub api_calls_per_minute: u32,
}

impl InForce {
    /// `tier` is what the merchant's tier of that moment means then.
    pub fn of(record: &Record, tier: &tier::Terms) -> InForce {
        let agreement = &record.agreement;
        let own = &agreement.limits;
        InForce {
            merchant_id: record.merchant_id,
            status: record.status,
            tier: tier.tier,
            pricing: Pricing {
                model: agreement.pricing_model,
                markup_rate: tier.markup_rate,
                refund_fee_policy: agreement.refund_fee_policy,
            },
            home_currency: agreement.home_currency.unwrap_or(Currency::USD),
            several_currencies: tier.several_currencies && agreement.features.several_currencies,
            pre_auth: tier.pre_auth && agreement.features.pre_auth,
            limits: Limits {
                per_payment: own.per_payment.unwrap_or(tier.limits.per_payment),
                daily: own.daily.unwrap_or(tier.limits.daily),
                monthly: own.monthly.unwrap_or(tier.limits.monthly),
            },
            credit_limit: agreement.credit_limit.unwrap_or(tier.limits.per_payment),
            settlement_cycle: tier.settlement_cycle,
            calendar: record.calendar(),
            reserve: agreement.reserve,
            thresholds: agreement.thresholds,
            api_calls_per_minute: own.api_calls_per_minute.unwrap_or(tier.api_calls_per_minute),
        }
    }

    /// New payments and pre-authorisations need it.
    pub fn may_begin_new_business(&self) -> Result<(), MerchantRejection> {
        match self.status {
            Status::Active => Ok(()),
            Status::Suspended => Err(MerchantRejection::Suspended),
            Status::Closed => Err(MerchantRejection::Closed),
        }
    }

    /// A merchant that left takes out what it has; one that is suspended waits.
    pub fn may_withdraw(&self) -> Result<(), MerchantRejection> {
        match self.status {
            Status::Active | Status::Closed => Ok(()),
            Status::Suspended => Err(MerchantRejection::Suspended),
        }
    }

    /// May the merchant be paid in `currency`?
    pub fn may_take(&self, currency: Currency) -> Result<(), MerchantRejection> {
        if self.several_currencies || currency == self.home_currency {
            Ok(())
        } else {
            Err(MerchantRejection::CurrencyNotEnabled)
        }
    }

    pub fn may_authorize(&self) -> Result<(), MerchantRejection> {
        if self.pre_auth { Ok(()) } else { Err(MerchantRejection::PreAuthNotEnabled) }
    }
}

impl Record {
    pub fn calendar(&self) -> Calendar {
        Calendar {
            time_zone: self.time_zone(),
            cut_off: self.agreement.cut_off,
            weekend: self.agreement.weekend.clone(),
        }
    }

    fn time_zone(&self) -> TimeZone {
        let agreed = self.agreement.time_zone.clone();
        agreed.unwrap_or_else(|| "UTC".parse().expect("UTC is a time zone's name"))
    }

    /// The day that it is at `at` where the merchant is.
    pub fn local_day(&self, at: Timestamp) -> chrono::NaiveDate {
        crate::calendar::local_day(self.agreement.time_zone.as_ref(), at)
    }
}
