//! The integration tests: one binary, a module per noun, over real parts that it starts itself.

#![allow(clippy::unwrap_used)]

mod app;
mod auth;
mod bad_input;
mod books;
mod crash;
mod event_catalogue;
mod event_store;
mod events;
mod idempotency;
mod keys;
mod ledger;
mod lists;
mod merchants;
mod nonces;
mod openapi;
mod operations;
mod payments;
mod positions;
mod projections;
mod refund_race;
mod sagas;
mod sandbox_channel;
mod sandbox_tokens;
mod settlements;
mod stripe;
mod stripe_ledger;
mod telemetry;
mod tidy;
mod vault;
mod webhook_receiver;
mod webhooks;
