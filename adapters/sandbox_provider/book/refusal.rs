//! Business refusals, in the order in which they are checked. A refusal is kept under its
//! idempotency key like any other answer, so that a late copy of the call cannot take effect.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    ChargeNotFound,
    DisputeNotFound,
    /// The reference was cancelled, perhaps before the charge was ever seen.
    ChargeCancelled,
    ReferenceInUse,
    ChargeCaptured,
    ChargeFailed,
    ChargeNotAuthorized,
    ChargeNotCaptured,
    ChargeNotWaiting,
    AmountTooLarge,
    ChargeDisputed,
    DisputeClosed,
}

impl Refusal {
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::ChargeNotFound | Self::DisputeNotFound => 404,
            Self::AmountTooLarge => 422,
            Self::ChargeCancelled
            | Self::ReferenceInUse
            | Self::ChargeCaptured
            | Self::ChargeFailed
            | Self::ChargeNotAuthorized
            | Self::ChargeNotCaptured
            | Self::ChargeNotWaiting
            | Self::ChargeDisputed
            | Self::DisputeClosed => 409,
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::ChargeNotFound => "charge_not_found",
            Self::DisputeNotFound => "dispute_not_found",
            Self::ChargeCancelled => "charge_cancelled",
            Self::ReferenceInUse => "reference_in_use",
            Self::ChargeCaptured => "charge_captured",
            Self::ChargeFailed => "charge_failed",
            Self::ChargeNotAuthorized => "charge_not_authorized",
            Self::ChargeNotCaptured => "charge_not_captured",
            Self::ChargeNotWaiting => "charge_not_waiting",
            Self::AmountTooLarge => "amount_too_large",
            Self::ChargeDisputed => "charge_disputed",
            Self::DisputeClosed => "dispute_closed",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::ChargeNotFound => "No charge or capture has this reference or id.",
            Self::DisputeNotFound => "No dispute has this id.",
            Self::ChargeCancelled => "The reference was cancelled; nothing takes effect under it any more.",
            Self::ReferenceInUse => "Another operation already took this reference.",
            Self::ChargeCaptured => "The charge is already captured.",
            Self::ChargeFailed => "The charge failed.",
            Self::ChargeNotAuthorized => "The charge is not authorised yet.",
            Self::ChargeNotCaptured => "Nothing of the charge is captured.",
            Self::ChargeNotWaiting => "The charge does not wait for an action of the customer.",
            Self::AmountTooLarge => "The amount is greater than what is left.",
            Self::ChargeDisputed => "What is left of the charge is disputed.",
            Self::DisputeClosed => "The dispute is closed.",
        }
    }

    pub(crate) fn field(self) -> Option<&'static str> {
        match self {
            Self::AmountTooLarge | Self::ChargeDisputed => Some("amount"),
            Self::ReferenceInUse => Some("reference"),
            _ => None,
        }
    }
}
