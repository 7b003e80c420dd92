//! The outside world, one file or folder per thing outside: stores, channels, the bank, Postgres itself.
//! Adapters implement the traits of `commands::ports`; they know no business rule and no HTTP route of ours.

pub mod agenda;
pub mod archive;
pub mod bank;
pub mod channel_calls;
pub mod channels;
pub mod embedded_postgres;
pub mod event_store;
pub mod jobs;
pub mod keys;
pub mod migrations;
pub mod nonces;
pub mod sandbox_provider;
pub mod seeds;
mod short_cache;
pub mod statements;
pub mod vault;
pub mod webhooks;
