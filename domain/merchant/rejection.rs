//! Why a merchant's command, or what asks for its terms, is refused; in the order in which it is checked.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerchantRejection {
    #[error("there is no such merchant")]
    NotFound,
    #[error("this merchant id is taken")]
    AlreadyOnboarded,
    #[error("the merchant is closed for good")]
    Closed,
    #[error("the merchant takes no new business at present")]
    Suspended,
    #[error("the merchant's tier has one currency, and it is another one")]
    CurrencyNotEnabled,
    #[error("the merchant's tier has no pre-authorisations, or they are switched off")]
    PreAuthNotEnabled,
    #[error("a name has 1 to 200 characters and no control characters")]
    InvalidName,
    #[error("must be an IANA time zone such as Europe/Berlin")]
    InvalidTimeZone,
    #[error("a change of tier holds from now on or from a later time, not from the past")]
    InvalidEffectiveFrom,
    #[error("a limit is 1 to 999999999999999 minor units of USD, and at least one call per minute")]
    InvalidOwnLimits,
    #[error("a credit limit is 0 to 999999999999999 minor units of USD")]
    InvalidCreditLimit,
    #[error("a reserve is 0 to 10000 basis points for up to 730 days, and neither without the other")]
    InvalidReserve,
    #[error("a threshold is 0 to 999999999999999 minor units of USD")]
    InvalidThreshold,
    #[error("a weekend leaves at least one day for business")]
    InvalidWeekend,
}

impl Rejection for MerchantRejection {
    fn code(&self) -> &'static str {
        match self {
            MerchantRejection::NotFound => "merchant_not_found",
            MerchantRejection::AlreadyOnboarded => "merchant_already_onboarded",
            MerchantRejection::Closed => "merchant_closed",
            MerchantRejection::Suspended => "merchant_suspended",
            MerchantRejection::CurrencyNotEnabled => "currency_not_enabled",
            MerchantRejection::PreAuthNotEnabled => "pre_auth_not_enabled",
            MerchantRejection::InvalidName => "invalid_merchant_name",
            MerchantRejection::InvalidTimeZone => "invalid_time_zone",
            MerchantRejection::InvalidEffectiveFrom => "invalid_effective_from",
            MerchantRejection::InvalidOwnLimits => "invalid_limits",
            MerchantRejection::InvalidCreditLimit => "invalid_credit_limit",
            MerchantRejection::InvalidReserve => "invalid_reserve",
            MerchantRejection::InvalidThreshold => "invalid_threshold",
            MerchantRejection::InvalidWeekend => "invalid_weekend",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            MerchantRejection::NotFound => RejectionClass::NotFound,
            MerchantRejection::AlreadyOnboarded | MerchantRejection::Closed => RejectionClass::Conflict,
            _ => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        matches!(self, MerchantRejection::Suspended)
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            MerchantRejection::NotFound
            | MerchantRejection::AlreadyOnboarded
            | MerchantRejection::Closed
            | MerchantRejection::Suspended
            | MerchantRejection::PreAuthNotEnabled => None,
            MerchantRejection::CurrencyNotEnabled => Some("/currency"),
            MerchantRejection::InvalidName => Some("/name"),
            MerchantRejection::InvalidTimeZone => Some("/time_zone"),
            MerchantRejection::InvalidEffectiveFrom => Some("/effective_from"),
            MerchantRejection::InvalidOwnLimits => Some("/limits"),
            MerchantRejection::InvalidCreditLimit => Some("/credit_limit"),
            MerchantRejection::InvalidReserve => Some("/reserve"),
            MerchantRejection::InvalidThreshold => Some("/thresholds"),
            MerchantRejection::InvalidWeekend => Some("/weekend"),
        }
    }
}
