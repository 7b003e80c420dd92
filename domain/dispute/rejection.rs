//! Why a dispute says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DisputeRejection {
    #[error("there is no such dispute")]
    NotFound,
    #[error("the dispute is closed")]
    Closed,
    #[error("the dispute was accepted already")]
    AlreadyAccepted,
    #[error("evidence was submitted already, and channels take it once")]
    EvidenceAlreadySubmitted,
    #[error("an inquiry has moved no money and cannot be accepted: answer it, or refund the payment")]
    NotAcceptable,
    #[error("the channel's time for evidence is over")]
    EvidenceTooLate,
}

impl Rejection for DisputeRejection {
    fn code(&self) -> &'static str {
        match self {
            DisputeRejection::NotFound => "dispute_not_found",
            DisputeRejection::Closed => "dispute_closed",
            DisputeRejection::AlreadyAccepted => "dispute_already_accepted",
            DisputeRejection::EvidenceAlreadySubmitted => "evidence_already_submitted",
            DisputeRejection::NotAcceptable => "dispute_not_acceptable",
            DisputeRejection::EvidenceTooLate => "evidence_too_late",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            DisputeRejection::NotFound => RejectionClass::NotFound,
            DisputeRejection::Closed
            | DisputeRejection::AlreadyAccepted
            | DisputeRejection::EvidenceAlreadySubmitted
            | DisputeRejection::NotAcceptable => RejectionClass::Conflict,
            DisputeRejection::EvidenceTooLate => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            DisputeRejection::NotAcceptable => true,
            DisputeRejection::NotFound
            | DisputeRejection::Closed
            | DisputeRejection::AlreadyAccepted
            | DisputeRejection::EvidenceAlreadySubmitted
            | DisputeRejection::EvidenceTooLate => false,
        }
    }
}
