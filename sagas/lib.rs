//! The process managers: what each object needs next, and the machinery that does it and never forgets it;
//! beside it the scheduler, which runs the jobs that go by the clock.
//! A saga's progress is the stream of what it drives; the agenda only remembers when to look. Knows no SQL, no
//! channel's protocol and no HTTP.
//!
//! ```text
//! event log ──follower──▶ agenda (durable rows) ──runner──▶ interpreter ──▶ process ──▶ channel
//!     ▲                                                                       │
//!     └───────────────────────── what the channel said ───────────────────────┘
//! ```

pub mod attempt;
pub mod dispute;
mod follower;
pub mod interpreter;
pub mod payment;
pub mod pre_auth;
pub mod process;
pub mod refund;
mod runner;
pub mod schedule;
mod scheduler;
pub mod settlement;
pub mod step;
mod watchdog;
pub mod withdrawal;

use std::sync::Arc;

use commands::payment::Payments;
use commands::ports::ChannelCallLog;
use commands::settlement::Settlements;
use commands::withdrawal::Withdrawals;

pub use interpreter::{Interpreter, Patience};
pub use process::{Process, Processes};
pub use runner::{SagaConfig, SagaRunner};
pub use scheduler::{Scheduler, SchedulerConfig};
pub use step::Step;

/// What the sagas act through. Cheap to clone.
#[derive(Clone)]
pub struct UseCases {
    pub payments: Payments,
    pub withdrawals: Withdrawals,
    pub settlements: Settlements,
    /// Where the calls that they make are noted.
    pub calls: Arc<dyn ChannelCallLog>,
}

impl UseCases {
    /// Every saga of the ledger, one line each.
    pub fn processes(&self) -> Processes {
        Processes::new(vec![
            Arc::new(dispute::DisputeProcess::new(self.payments.clone())),
            Arc::new(payment::PaymentProcess::new(self.payments.clone())),
            Arc::new(pre_auth::PreAuthProcess::new(&self.payments)),
            Arc::new(refund::RefundProcess::new(self.payments.clone())),
            Arc::new(withdrawal::WithdrawalProcess::new(self.withdrawals.clone())),
            Arc::new(settlement::ReserveProcess::new(self.settlements.clone())),
            Arc::new(settlement::SettlementProcess::new(self.settlements.clone())),
        ])
    }
}
