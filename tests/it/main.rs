//! The integration tests: one binary, a module per noun, over real parts that it starts itself.

#![allow(clippy::unwrap_used)]

mod adjustments;
mod app;
mod audit;
mod auth;
mod bad_input;
mod books;
mod channel_calls;
mod channel_payouts;
mod crash;
mod disputes;
mod event_catalogue;
mod event_store;
mod events;
mod idempotency;
mod jobs;
mod keys;
mod ledger;
mod lists;
mod merchants;
mod nonces;
mod openapi;
mod operations;
mod payments;
mod periods;
mod positions;
mod pre_auths;
mod projections;
mod refund_race;
mod sagas;
mod sandbox_channel;
mod sandbox_tokens;
mod settlements;
mod statements;
mod story;
mod stripe;
mod stripe_ledger;
mod telemetry;
mod tidy;
mod vault;
mod webhook_receiver;
mod webhooks;
mod withdrawals;
