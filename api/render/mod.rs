//! The objects of the API, made from aggregates and rows. Decides nothing.

pub mod dispute;
pub mod event;
pub mod figures;
pub mod order;
pub mod payment;
pub mod pre_auth;
pub mod refund;
pub mod settlement;
pub mod story;
pub mod withdrawal;

use serde::Serialize;
use utoipa::ToSchema;

/// Why the channel said no, in stable codes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Failure {
    #[schema(example = "card_declined")]
    pub code: String,
    pub message: String,
    #[schema(example = "insufficient_funds")]
    pub decline_code: Option<String>,
}

impl From<&domain::payment::Failure> for Failure {
    fn from(failure: &domain::payment::Failure) -> Failure {
        Failure {
            code: failure.code.clone(),
            message: failure.message.clone(),
            decline_code: failure.decline_code.clone(),
        }
    }
}
