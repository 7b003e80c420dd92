//! Why an adjustment says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdjustmentRejection {
    #[error("there is no such adjustment")]
    NotFound,
    #[error("this adjustment id is taken")]
    AlreadyExists,
    #[error("the adjustment was approved or rejected already")]
    AlreadyDecided,
    #[error("nobody approves what the same person asked for")]
    ApproverIsRequester,
    #[error("a reason has 1 to 500 characters and no control characters")]
    InvalidReason,
    #[error("an adjustment has at most 100 legs")]
    TooManyLegs,
    #[error("a leg names an account that its own stream guards, or one of authorisations")]
    AccountNotAdjustable,
    #[error("the amount of a leg is 1 to 999999999999999 minor units")]
    InvalidAmount,
    #[error("debits and credits differ, or there are fewer than two legs")]
    EntryUnbalanced,
    #[error("an adjustment cannot count from a time that has not come")]
    EffectiveInFuture,
    #[error("the effective time lies in a period that is closed")]
    PeriodClosed,
}

impl Rejection for AdjustmentRejection {
    fn code(&self) -> &'static str {
        match self {
            AdjustmentRejection::NotFound => "adjustment_not_found",
            AdjustmentRejection::AlreadyExists => "adjustment_already_exists",
            AdjustmentRejection::AlreadyDecided => "adjustment_already_decided",
            AdjustmentRejection::ApproverIsRequester => "approver_is_requester",
            AdjustmentRejection::InvalidReason => "invalid_reason",
            AdjustmentRejection::TooManyLegs => "too_many_legs",
            AdjustmentRejection::AccountNotAdjustable => "account_not_adjustable",
            AdjustmentRejection::InvalidAmount => "invalid_amount",
            AdjustmentRejection::EntryUnbalanced => "entry_unbalanced",
            AdjustmentRejection::EffectiveInFuture => "effective_in_future",
            AdjustmentRejection::PeriodClosed => "period_closed",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            AdjustmentRejection::NotFound => RejectionClass::NotFound,
            AdjustmentRejection::AlreadyExists | AdjustmentRejection::AlreadyDecided => RejectionClass::Conflict,
            AdjustmentRejection::ApproverIsRequester
            | AdjustmentRejection::InvalidReason
            | AdjustmentRejection::TooManyLegs
            | AdjustmentRejection::AccountNotAdjustable
            | AdjustmentRejection::InvalidAmount
            | AdjustmentRejection::EntryUnbalanced
            | AdjustmentRejection::EffectiveInFuture
            | AdjustmentRejection::PeriodClosed => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            AdjustmentRejection::EffectiveInFuture => true,
            AdjustmentRejection::NotFound
            | AdjustmentRejection::AlreadyExists
            | AdjustmentRejection::AlreadyDecided
            | AdjustmentRejection::ApproverIsRequester
            | AdjustmentRejection::InvalidReason
            | AdjustmentRejection::TooManyLegs
            | AdjustmentRejection::AccountNotAdjustable
            | AdjustmentRejection::InvalidAmount
            | AdjustmentRejection::EntryUnbalanced
            | AdjustmentRejection::PeriodClosed => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            AdjustmentRejection::InvalidReason => Some("/reason"),
            AdjustmentRejection::TooManyLegs
            | AdjustmentRejection::AccountNotAdjustable
            | AdjustmentRejection::InvalidAmount
            | AdjustmentRejection::EntryUnbalanced => Some("/legs"),
            AdjustmentRejection::EffectiveInFuture | AdjustmentRejection::PeriodClosed => Some("/effective_at"),
            _ => None,
        }
    }
}
