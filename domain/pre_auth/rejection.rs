//! Why a pre-auth says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PreAuthRejection {
    #[error("there is no such pre-auth")]
    NotFound,
    #[error("this pre-auth exists already with other terms")]
    AlreadyExists,
    #[error("this capture exists already with another amount")]
    CaptureAlreadyExists,
    #[error("the channel takes one capture of each authorisation, and it is made")]
    SingleCapture,
    #[error("nothing can be captured: it is not authorised, or closed, or its final capture is in flight")]
    NotCapturable,
    #[error("a pre-auth takes at most 1000 captures")]
    TooManyCaptures,
    #[error("an amount is 1 to 999999999999999 minor units")]
    InvalidAmount,
    #[error("the expiry must lie after the creation, by at most 30 days")]
    InvalidExpiry,
    #[error("a fee rate lies between 0 and 1")]
    InvalidRate,
    #[error("the capture exceeds what is left of the authorised amount")]
    CaptureExceedsAuthorized,
    #[error("the pre-auth has ended and can no longer be cancelled")]
    NotCancellable,
    #[error("the channel reports another authorisation than the one that is booked")]
    ContradictsAuthorization,
    #[error("the channel reports an authorisation of nothing or of more than was asked for")]
    AuthorizationOutOfRange,
    #[error("the pre-auth has no such capture")]
    CaptureNotFound,
    #[error("the channel reports a capture of nothing or of more than was asked for")]
    CaptureOutOfRange,
}

impl Rejection for PreAuthRejection {
    fn code(&self) -> &'static str {
        match self {
            PreAuthRejection::NotFound => "pre_auth_not_found",
            PreAuthRejection::AlreadyExists => "pre_auth_already_exists",
            PreAuthRejection::CaptureAlreadyExists => "capture_already_exists",
            PreAuthRejection::SingleCapture => "pre_auth_single_capture",
            PreAuthRejection::NotCapturable => "pre_auth_not_capturable",
            PreAuthRejection::TooManyCaptures => "too_many_captures",
            PreAuthRejection::InvalidAmount => "invalid_amount",
            PreAuthRejection::InvalidExpiry => "invalid_expiry",
            PreAuthRejection::InvalidRate => "invalid_rate",
            PreAuthRejection::CaptureExceedsAuthorized => "capture_exceeds_authorized",
            PreAuthRejection::NotCancellable => "pre_auth_not_cancellable",
            PreAuthRejection::ContradictsAuthorization => "contradicts_authorization",
            PreAuthRejection::AuthorizationOutOfRange => "authorization_out_of_range",
            PreAuthRejection::CaptureNotFound => "capture_not_found",
            PreAuthRejection::CaptureOutOfRange => "capture_out_of_range",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            PreAuthRejection::NotFound | PreAuthRejection::CaptureNotFound => RejectionClass::NotFound,
            PreAuthRejection::AlreadyExists
            | PreAuthRejection::CaptureAlreadyExists
            | PreAuthRejection::SingleCapture
            | PreAuthRejection::NotCapturable
            | PreAuthRejection::NotCancellable
            | PreAuthRejection::ContradictsAuthorization => RejectionClass::Conflict,
            PreAuthRejection::TooManyCaptures
            | PreAuthRejection::InvalidAmount
            | PreAuthRejection::InvalidExpiry
            | PreAuthRejection::InvalidRate
            | PreAuthRejection::CaptureExceedsAuthorized
            | PreAuthRejection::AuthorizationOutOfRange
            | PreAuthRejection::CaptureOutOfRange => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            // It may be authorised later, and what is in flight may fail and be capturable again.
            PreAuthRejection::NotCapturable
            | PreAuthRejection::SingleCapture
            | PreAuthRejection::CaptureExceedsAuthorized => true,
            PreAuthRejection::NotFound
            | PreAuthRejection::AlreadyExists
            | PreAuthRejection::CaptureAlreadyExists
            | PreAuthRejection::TooManyCaptures
            | PreAuthRejection::InvalidAmount
            | PreAuthRejection::InvalidExpiry
            | PreAuthRejection::InvalidRate
            | PreAuthRejection::NotCancellable
            | PreAuthRejection::ContradictsAuthorization
            | PreAuthRejection::AuthorizationOutOfRange
            | PreAuthRejection::CaptureNotFound
            | PreAuthRejection::CaptureOutOfRange => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            PreAuthRejection::InvalidAmount | PreAuthRejection::CaptureExceedsAuthorized => Some("/amount"),
            PreAuthRejection::InvalidExpiry => Some("/expires_in"),
            _ => None,
        }
    }
}
