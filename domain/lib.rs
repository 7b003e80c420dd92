//! The pure core: money, ids, aggregates, their events and the postings of every event.
//! Nothing here is async, reads a clock, draws randomness, does I/O or writes a log.

pub mod accounts;
pub mod chain;
pub mod currency;
pub mod decider;
pub mod entry;
pub mod ids;
pub mod invariants;
pub mod merchant;
pub mod money;
pub mod order_claim;
pub mod payment;
pub mod pricing;
pub mod sealed;
pub mod time;

pub use accounts::{Account, AccountType};
pub use currency::Currency;
pub use decider::{Decider, DomainEvent, Holding, Rejection, RejectionClass};
pub use entry::{BalancedEntry, Leg, Side};
pub use ids::{
    AdjustmentId, ApiKeyId, BankAccountId, BankName, ChannelName, DisputeId, JobRunId, MerchantId, OrderId, OrderNo,
    PaymentId, PreAuthId, RefundId, SettlementId, StatementId, TimeZone, WithdrawalId,
};
pub use money::Money;
pub use sealed::Sealed;
pub use time::Timestamp;
