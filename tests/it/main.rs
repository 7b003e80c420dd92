//! The integration tests: one binary, a module per noun, over real parts that it starts itself.

mod app;
mod books;
mod crash;
mod event_catalogue;
mod keys;
mod nonces;
mod projections;
mod refund_race;
mod sagas;
mod sandbox_tokens;
mod stripe_ledger;
mod tidy;
mod vault;
mod webhooks;
