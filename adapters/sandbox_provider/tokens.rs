//! What a payment does is chosen by its token: the table of behaviours. The tokens are part of the
//! published contract of the sandbox channel; none is ever renamed or given another behaviour.

use super::book::failure::Failure;
use serde::{Deserialize, Serialize};

/// What happens when a charge or an authorisation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtCharge {
    Succeed,
    Fail(Failure),
    /// The customer must first complete `next_action`.
    Redirect,
    /// Accepted; the result comes by webhook.
    Later,
    /// Takes effect, and the call that made it so is never answered.
    SucceedUnanswered,
    /// The first call for the reference hangs without effect.
    HangOnce,
    /// The first two calls for the reference answer 503 without effect.
    UnavailableTwice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtRefund {
    Succeed,
    Fail,
    /// Succeeds first, and is reversed by the acquirer later.
    FailLate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterCapture {
    Quiet,
    /// A dispute is opened; the verdict follows by itself only where there is one.
    Dispute {
        won: Option<bool>,
    },
}

/// How many times each webhook is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    None,
    One,
    /// Five, each after a random delay, so that they come shuffled.
    FiveShuffled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Token {
    Success,
    Declined,
    InsufficientFunds,
    ExpiredCard,
    RequiresAction,
    Async,
    TimeoutCharged,
    TimeoutUncharged,
    ErrorThenSuccess,
    DuplicateWebhooks,
    WebhookLost,
    RefundFails,
    RefundFailsLate,
    Dispute,
    DisputeWon,
    DisputeLost,
    /// Not a token of ours. Its text is not kept: it may be somebody's card number.
    Unknown,
}

pub(super) const TOKENS: [(&str, Token); 16] = [
    ("tok_success", Token::Success),
    ("tok_declined", Token::Declined),
    ("tok_insufficient_funds", Token::InsufficientFunds),
    ("tok_expired_card", Token::ExpiredCard),
    ("tok_requires_action", Token::RequiresAction),
    ("tok_async", Token::Async),
    ("tok_timeout_charged", Token::TimeoutCharged),
    ("tok_timeout_uncharged", Token::TimeoutUncharged),
    ("tok_error_then_success", Token::ErrorThenSuccess),
    ("tok_duplicate_webhooks", Token::DuplicateWebhooks),
    ("tok_webhook_lost", Token::WebhookLost),
    ("tok_refund_fails", Token::RefundFails),
    ("tok_refund_fails_late", Token::RefundFailsLate),
    ("tok_dispute", Token::Dispute),
    ("tok_dispute_won", Token::DisputeWon),
    ("tok_dispute_lost", Token::DisputeLost),
];

impl Token {
    pub(super) fn parse(text: &str) -> Self {
        TOKENS.iter().find(|(name, _)| *name == text).map_or(Self::Unknown, |(_, token)| *token)
    }

    pub(super) fn at_charge(self) -> AtCharge {
        match self {
            Self::Declined => AtCharge::Fail(Failure::Declined),
            Self::InsufficientFunds => AtCharge::Fail(Failure::InsufficientFunds),
            Self::ExpiredCard => AtCharge::Fail(Failure::ExpiredCard),
            Self::Unknown => AtCharge::Fail(Failure::InvalidToken),
            Self::RequiresAction => AtCharge::Redirect,
            Self::Async => AtCharge::Later,
            Self::TimeoutCharged => AtCharge::SucceedUnanswered,
            Self::TimeoutUncharged => AtCharge::HangOnce,
            Self::ErrorThenSuccess => AtCharge::UnavailableTwice,
            Self::Success
            | Self::DuplicateWebhooks
            | Self::WebhookLost
            | Self::RefundFails
            | Self::RefundFailsLate
            | Self::Dispute
            | Self::DisputeWon
            | Self::DisputeLost => AtCharge::Succeed,
        }
    }

    pub(super) fn at_refund(self) -> AtRefund {
        match self {
            Self::RefundFails => AtRefund::Fail,
            Self::RefundFailsLate => AtRefund::FailLate,
            _ => AtRefund::Succeed,
        }
    }

    pub(super) fn after_capture(self) -> AfterCapture {
        match self {
            Self::Dispute => AfterCapture::Dispute { won: None },
            Self::DisputeWon => AfterCapture::Dispute { won: Some(true) },
            Self::DisputeLost => AfterCapture::Dispute { won: Some(false) },
            _ => AfterCapture::Quiet,
        }
    }

    pub(super) fn copies(self) -> Copies {
        match self {
            Self::WebhookLost => Copies::None,
            Self::DuplicateWebhooks => Copies::FiveShuffled,
            _ => Copies::One,
        }
    }
}
