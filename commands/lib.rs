//! The use cases: gather facts, load, decide, append, retry. `ports` holds every trait that adapters implement.
//! Knows no SQL, no HTTP and no channel's protocol.

pub mod adjustment;
pub mod aggregates;
pub mod archive;
pub mod as_of;
pub mod audit;
pub mod bridge;
pub mod calls;
pub mod channel_account;
pub mod channels;
pub mod dispute;
pub mod executor;
pub mod jobs;
pub mod keys;
pub mod merchant;
pub mod merchant_limits;
pub mod order;
pub mod payment;
pub mod period;
pub mod ports;
pub mod pre_auth;
pub mod rates;
pub mod reconciliation;
pub mod settlement;
pub mod story;
pub mod tier;
pub mod trace;
pub mod webhook;
pub mod withdrawal;

pub use channels::Channels;
pub use executor::{CommandError, Executor, Issued};
