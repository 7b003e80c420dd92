//! The integration tests: one binary, a module per noun, over real parts that it starts itself.

mod app;
mod auth;
mod bad_input;
mod books;
mod crash;
mod event_catalogue;
mod idempotency;
mod keys;
mod ledger_routes;
mod lists;
mod nonces;
mod openapi;
mod payments;
mod positions;
mod projections;
mod refund_race;
mod sagas;
mod sandbox_tokens;
mod stripe_ledger;
mod tidy;
mod vault;
mod webhooks;
