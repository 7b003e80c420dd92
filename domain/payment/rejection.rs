//! Why a payment says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PaymentRejection {
    #[error("there is no such payment")]
    NotFound,
    #[error("this payment exists already with other terms")]
    AlreadyExists,
    #[error("the channel reports another capture than the one that is booked")]
    ContradictsCapture,
    #[error("the channel tells of a dispute what an earlier message contradicts")]
    ContradictsDispute,
    #[error("the channel disputes a payment whose capture is not known yet")]
    NotCaptured,
    #[error("the payment has not succeeded, so there is nothing to refund")]
    NotRefundable,
    #[error("this refund exists already with another amount")]
    RefundAlreadyExists,
    #[error("everything that was captured is refunded or being refunded already")]
    AlreadyRefunded,
    #[error("a payment takes at most 1000 refunds")]
    TooManyRefunds,
    #[error("an amount is 1 to 999999999999999 minor units")]
    InvalidAmount,
    #[error("the expiry must lie after the creation, by at most 90 days")]
    InvalidExpiry,
    #[error("a fee rate lies between 0 and 1")]
    InvalidRate,
    #[error("the refund exceeds what is left of the captured amount")]
    RefundExceedsCaptured,
    #[error("the merchant's balance and credit limit do not cover the refund")]
    InsufficientBalance,
    #[error("the payment has ended or is a capture of a pre-auth, and cannot be cancelled")]
    NotCancellable,
    #[error("the channel reports a capture of nothing or of more than was authorised")]
    CaptureOutOfRange,
    #[error("a payment takes at most 100 disputes")]
    TooManyDisputes,
    #[error("the channel reports amounts of a dispute that cannot be")]
    DisputeOutOfRange,
}

impl Rejection for PaymentRejection {
    fn code(&self) -> &'static str {
        match self {
            PaymentRejection::NotFound => "payment_not_found",
            PaymentRejection::AlreadyExists => "payment_already_exists",
            PaymentRejection::NotRefundable => "payment_not_refundable",
            PaymentRejection::ContradictsCapture => "contradicts_capture",
            PaymentRejection::ContradictsDispute => "contradicts_dispute",
            PaymentRejection::NotCaptured => "payment_not_captured",
            PaymentRejection::RefundAlreadyExists => "refund_already_exists",
            PaymentRejection::AlreadyRefunded => "payment_already_refunded",
            PaymentRejection::TooManyRefunds => "too_many_refunds",
            PaymentRejection::InvalidRate => "invalid_rate",
            PaymentRejection::InvalidAmount => "invalid_amount",
            PaymentRejection::InvalidExpiry => "invalid_expiry",
            PaymentRejection::RefundExceedsCaptured => "refund_exceeds_captured",
            PaymentRejection::InsufficientBalance => "insufficient_balance",
            PaymentRejection::NotCancellable => "payment_not_cancellable",
            PaymentRejection::CaptureOutOfRange => "capture_out_of_range",
            PaymentRejection::TooManyDisputes => "too_many_disputes",
            PaymentRejection::DisputeOutOfRange => "dispute_out_of_range",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            PaymentRejection::NotFound => RejectionClass::NotFound,
            PaymentRejection::AlreadyExists
            | PaymentRejection::ContradictsCapture
            | PaymentRejection::ContradictsDispute
            | PaymentRejection::NotCaptured
            | PaymentRejection::NotRefundable
            | PaymentRejection::RefundAlreadyExists
            | PaymentRejection::NotCancellable => RejectionClass::Conflict,
            PaymentRejection::AlreadyRefunded
            | PaymentRejection::TooManyRefunds
            | PaymentRejection::InvalidRate
            | PaymentRejection::InvalidAmount
            | PaymentRejection::InvalidExpiry
            | PaymentRejection::RefundExceedsCaptured
            | PaymentRejection::InsufficientBalance
            | PaymentRejection::CaptureOutOfRange
            | PaymentRejection::TooManyDisputes
            | PaymentRejection::DisputeOutOfRange => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            PaymentRejection::NotCaptured | PaymentRejection::NotRefundable | PaymentRejection::InsufficientBalance => {
                true
            }
            PaymentRejection::NotFound
            | PaymentRejection::AlreadyExists
            | PaymentRejection::ContradictsCapture
            | PaymentRejection::ContradictsDispute
            | PaymentRejection::RefundAlreadyExists
            | PaymentRejection::AlreadyRefunded
            | PaymentRejection::TooManyRefunds
            | PaymentRejection::InvalidRate
            | PaymentRejection::InvalidAmount
            | PaymentRejection::InvalidExpiry
            | PaymentRejection::RefundExceedsCaptured
            | PaymentRejection::NotCancellable
            | PaymentRejection::CaptureOutOfRange
            | PaymentRejection::TooManyDisputes
            | PaymentRejection::DisputeOutOfRange => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            PaymentRejection::InvalidAmount
            | PaymentRejection::RefundExceedsCaptured
            | PaymentRejection::InsufficientBalance => Some("/amount"),
            PaymentRejection::InvalidExpiry => Some("/expires_in"),
            _ => None,
        }
    }
}
