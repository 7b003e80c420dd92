//! Why a withdrawal says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WithdrawalRejection {
    #[error("there is no such withdrawal")]
    NotFound,
    #[error("this withdrawal exists already with other terms")]
    AlreadyExists,
    #[error("an amount is 1 to 999999999999999 minor units")]
    InvalidAmount,
    #[error("the withdrawal was approved, rejected or cancelled already")]
    AlreadyDecided,
    #[error("whoever asked for the withdrawal cannot approve it")]
    ApproverIsRequester,
    #[error("another person must give the next approval")]
    ApproverHasApproved,
    #[error("the withdrawal has gone to the bank or has ended, and can no longer be cancelled")]
    NotCancellable,
    #[error("the withdrawal is not approved, so it cannot have gone to the bank")]
    NotApproved,
    #[error("the bank account has not cooled off yet")]
    CoolingOff,
    #[error("the bank reports a return of nothing or of more than was sent")]
    ReturnOutOfRange,
}

impl Rejection for WithdrawalRejection {
    fn code(&self) -> &'static str {
        match self {
            WithdrawalRejection::NotFound => "withdrawal_not_found",
            WithdrawalRejection::AlreadyExists => "withdrawal_already_exists",
            WithdrawalRejection::InvalidAmount => "invalid_amount",
            WithdrawalRejection::AlreadyDecided => "withdrawal_already_decided",
            WithdrawalRejection::ApproverIsRequester => "approver_is_requester",
            WithdrawalRejection::ApproverHasApproved => "approver_has_approved",
            WithdrawalRejection::NotCancellable => "withdrawal_not_cancellable",
            WithdrawalRejection::NotApproved => "withdrawal_not_approved",
            WithdrawalRejection::CoolingOff => "bank_account_cooling_off",
            WithdrawalRejection::ReturnOutOfRange => "return_out_of_range",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            WithdrawalRejection::NotFound => RejectionClass::NotFound,
            WithdrawalRejection::AlreadyExists
            | WithdrawalRejection::AlreadyDecided
            | WithdrawalRejection::NotCancellable
            | WithdrawalRejection::NotApproved
            | WithdrawalRejection::CoolingOff => RejectionClass::Conflict,
            WithdrawalRejection::InvalidAmount
            | WithdrawalRejection::ApproverIsRequester
            | WithdrawalRejection::ApproverHasApproved
            | WithdrawalRejection::ReturnOutOfRange => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            WithdrawalRejection::NotApproved | WithdrawalRejection::CoolingOff => true,
            WithdrawalRejection::NotFound
            | WithdrawalRejection::AlreadyExists
            | WithdrawalRejection::InvalidAmount
            | WithdrawalRejection::AlreadyDecided
            | WithdrawalRejection::ApproverIsRequester
            | WithdrawalRejection::ApproverHasApproved
            | WithdrawalRejection::NotCancellable
            | WithdrawalRejection::ReturnOutOfRange => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            WithdrawalRejection::InvalidAmount => Some("/amount"),
            _ => None,
        }
    }
}
