//! Webhooks to the client: signed, in order per charge unless a fault says otherwise, retried
//! until delivered. What is undelivered is part of the book and so survives a restart.

mod dispatch;
mod lanes;
mod sign;

pub(super) use dispatch::{Dispatcher, Target};
pub use sign::{SIGNATURE_HEADER, sign};
