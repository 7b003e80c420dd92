//! The integration tests: one binary, a module per noun, over real parts that it starts itself.

mod app;
mod books;
mod crash;
mod event_catalogue;
mod event_store;
mod keys;
mod nonces;
mod projections;
mod refund_race;
mod sagas;
mod sandbox_channel;
mod sandbox_tokens;
mod stripe;
mod stripe_ledger;
mod telemetry;
mod tidy;
mod vault;
mod webhook_receiver;
mod webhooks;
