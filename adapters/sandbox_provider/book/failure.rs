//! Why a charge or a refund failed: stable codes that are never reused.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    Declined,
    InsufficientFunds,
    ExpiredCard,
    InvalidToken,
    ActionDeclined,
    RefundRejected,
    RefundReversed,
}

impl Failure {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Declined | Self::InsufficientFunds | Self::ExpiredCard => "card_declined",
            Self::InvalidToken => "invalid_token",
            Self::ActionDeclined => "action_declined",
            Self::RefundRejected => "refund_rejected",
            Self::RefundReversed => "refund_reversed",
        }
    }

    pub(crate) fn decline_code(self) -> Option<&'static str> {
        match self {
            Self::Declined => Some("declined"),
            Self::InsufficientFunds => Some("insufficient_funds"),
            Self::ExpiredCard => Some("expired_card"),
            Self::ActionDeclined => Some("authentication_failed"),
            Self::InvalidToken | Self::RefundRejected | Self::RefundReversed => None,
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Declined => "The card was declined.",
            Self::InsufficientFunds => "The card has insufficient funds.",
            Self::ExpiredCard => "The card has expired.",
            Self::InvalidToken => "The token is not known to the sandbox.",
            Self::ActionDeclined => "The customer declined the payment.",
            Self::RefundRejected => "The refund was rejected by the acquirer.",
            Self::RefundReversed => "The refund was reversed by the acquirer after it had succeeded.",
        }
    }
}
