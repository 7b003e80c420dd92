//! Why a settlement says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettlementRejection {
    #[error("there is no such settlement")]
    NotFound,
    #[error("the settlement was released already")]
    AlreadyReleased,
    #[error("whoever asked for a settlement cannot approve it")]
    ApprovalByRequester,
    #[error("the settlement is held back")]
    Held,
    #[error("the settlement waits for an approval")]
    NotApproved,
    #[error("the settlement is released later")]
    NotDue,
}

impl Rejection for SettlementRejection {
    fn code(&self) -> &'static str {
        match self {
            SettlementRejection::NotFound => "settlement_not_found",
            SettlementRejection::AlreadyReleased => "settlement_already_released",
            SettlementRejection::ApprovalByRequester => "approver_is_requester",
            SettlementRejection::Held => "settlement_held",
            SettlementRejection::NotApproved => "settlement_not_approved",
            SettlementRejection::NotDue => "settlement_not_due",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            SettlementRejection::NotFound => RejectionClass::NotFound,
            SettlementRejection::ApprovalByRequester => RejectionClass::Refused,
            SettlementRejection::AlreadyReleased
            | SettlementRejection::Held
            | SettlementRejection::NotApproved
            | SettlementRejection::NotDue => RejectionClass::Conflict,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            SettlementRejection::Held | SettlementRejection::NotApproved | SettlementRejection::NotDue => true,
            SettlementRejection::NotFound
            | SettlementRejection::AlreadyReleased
            | SettlementRejection::ApprovalByRequester => false,
        }
    }
}
