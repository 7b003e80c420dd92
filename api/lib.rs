//! The HTTP surface: routes, authentication, problems, the OpenAPI document and telemetry. Handlers parse, call a
//! command or a query, and render. Knows no SQL, no channel and no rule of the business.

mod adjustments;
pub mod app;
pub mod auth;
mod balances;
mod bank_accounts;
mod disputes;
mod docs;
mod document;
pub mod errors;
mod events;
pub mod extract;
pub mod health;
mod idempotency;
mod jobs;
mod keys;
mod ledger;
mod merchants;
mod middleware;
mod orders;
mod outcome;
mod page;
mod params;
mod payments;
mod payouts;
mod periods;
pub mod position;
mod pre_auths;
pub mod problem;
mod projections;
mod rates;
mod refunds;
pub mod render;
mod router;
mod sagas;
mod settlements;
mod statements;
mod story;
pub mod telemetry;
mod tiers;
mod webhooks;
mod withdrawals;

pub use app::{App, Parts};
pub use document::openapi;
pub use router::{api_router, ops_router, router};
