//! Why a channel's account says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelAccountRejection {
    #[error("there is no such payout")]
    PayoutNotFound,
    #[error("the channel tells another amount of a payout that is booked")]
    ContradictsPayout,
    #[error("the payout was as expected, or its difference is explained already")]
    NoDifference,
    #[error("nobody approves what the same person asked for")]
    ApproverIsRequester,
    #[error("the channel's reference of a payout has 1 to 255 characters")]
    InvalidReference,
    #[error("the channel tells an impossible amount")]
    AmountOutOfRange,
}

impl Rejection for ChannelAccountRejection {
    fn code(&self) -> &'static str {
        match self {
            ChannelAccountRejection::PayoutNotFound => "payout_not_found",
            ChannelAccountRejection::ContradictsPayout => "contradicts_payout",
            ChannelAccountRejection::NoDifference => "payout_has_no_difference",
            ChannelAccountRejection::ApproverIsRequester => "approver_is_requester",
            ChannelAccountRejection::InvalidReference => "invalid_payout_reference",
            ChannelAccountRejection::AmountOutOfRange => "payout_out_of_range",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            ChannelAccountRejection::PayoutNotFound => RejectionClass::NotFound,
            ChannelAccountRejection::ContradictsPayout | ChannelAccountRejection::NoDifference => {
                RejectionClass::Conflict
            }
            ChannelAccountRejection::ApproverIsRequester
            | ChannelAccountRejection::InvalidReference
            | ChannelAccountRejection::AmountOutOfRange => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        false
    }
}
