//! Why an exception says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExceptionRejection {
    #[error("no reconciliation has found such a difference")]
    NotFound,
    #[error("the exception is resolved already")]
    AlreadyResolved,
    #[error("a reason has 1 to 500 characters and no control characters")]
    InvalidReason,
    #[error(
        "the other exception is not this one's other side: one is missing here and the other there, of one counterparty, and the amounts add up to nothing"
    )]
    NotTheOtherSide,
    #[error("the adjustment is not approved")]
    AdjustmentNotApproved,
    #[error("no fee of a payment is an estimate here")]
    NoEstimate,
    #[error("only a difference of a channel that is not zero can be written off")]
    NothingToWriteOff,
    #[error("nobody approves what the same person asked for")]
    ApproverIsRequester,
}

impl Rejection for ExceptionRejection {
    fn code(&self) -> &'static str {
        match self {
            ExceptionRejection::NotFound => "exception_not_found",
            ExceptionRejection::AlreadyResolved => "exception_already_resolved",
            ExceptionRejection::InvalidReason => "invalid_reason",
            ExceptionRejection::NotTheOtherSide => "not_the_other_side",
            ExceptionRejection::AdjustmentNotApproved => "adjustment_not_approved",
            ExceptionRejection::NoEstimate => "no_estimated_fee",
            ExceptionRejection::NothingToWriteOff => "nothing_to_write_off",
            ExceptionRejection::ApproverIsRequester => "approver_is_requester",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            ExceptionRejection::NotFound => RejectionClass::NotFound,
            ExceptionRejection::AlreadyResolved => RejectionClass::Conflict,
            ExceptionRejection::InvalidReason
            | ExceptionRejection::NotTheOtherSide
            | ExceptionRejection::AdjustmentNotApproved
            | ExceptionRejection::NoEstimate
            | ExceptionRejection::NothingToWriteOff
            | ExceptionRejection::ApproverIsRequester => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            ExceptionRejection::AdjustmentNotApproved => true,
            ExceptionRejection::NotFound
            | ExceptionRejection::AlreadyResolved
            | ExceptionRejection::InvalidReason
            | ExceptionRejection::NotTheOtherSide
            | ExceptionRejection::NoEstimate
            | ExceptionRejection::NothingToWriteOff
            | ExceptionRejection::ApproverIsRequester => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            ExceptionRejection::InvalidReason => Some("/reason"),
            ExceptionRejection::NotTheOtherSide => Some("/exception_id"),
            ExceptionRejection::AdjustmentNotApproved => Some("/adjustment_id"),
            ExceptionRejection::NoEstimate | ExceptionRejection::NothingToWriteOff => Some("/action"),
            ExceptionRejection::NotFound
            | ExceptionRejection::AlreadyResolved
            | ExceptionRejection::ApproverIsRequester => None,
        }
    }
}
