//! The process managers: what a payment or a refund needs next, and the machinery that does it and never forgets it.
//! A saga's progress is its payment's own stream; the agenda only remembers when to look. Knows no SQL, no channel's
//! protocol and no HTTP.
//!
//! ```text
//! event log ──follower──▶ agenda (durable rows) ──runner──▶ interpreter ──▶ channel
//!     ▲                                                        │
//!     └──────────────── what the channel said ─────────────────┘
//! ```

mod follower;
pub mod interpreter;
pub mod payment;
pub mod refund;
mod runner;
pub mod schedule;
pub mod step;
mod watchdog;

pub use interpreter::{Interpreter, Patience};
pub use runner::{SagaConfig, SagaRunner};
pub use step::Step;
