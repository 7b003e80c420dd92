//! The pure core: money, ids, aggregates, their events and the postings of every event.
//! Nothing here is async, reads a clock, draws randomness, does I/O or writes a log.

pub mod accounts;
pub mod adjustment;
pub mod bank_account;
pub mod bank_details;
pub mod buckets;
pub mod calendar;
pub mod chain;
pub mod channel_account;
pub mod country;
pub mod currency;
pub mod decider;
pub mod dispute;
pub mod entry;
pub mod iban;
pub mod ids;
pub mod invariants;
pub mod merchant;
pub mod merchant_account;
pub mod merchant_limits;
pub mod money;
pub mod order;
pub mod order_claim;
pub mod payment;
pub mod period;
pub mod pre_auth;
pub mod pricing;
pub mod rates;
pub mod reconciliation;
pub mod reconciliation_exception;
pub mod sealed;
pub mod settlement;
pub mod tier;
pub mod time;
pub mod withdrawal;

pub use accounts::{Account, AccountType};
pub use country::Country;
pub use currency::Currency;
pub use decider::{Decider, DomainEvent, Holding, Rejection, RejectionClass};
pub use entry::{BalancedEntry, Leg, NotAnEntry, Side};
pub use ids::{
    AdjustmentId, ApiKeyId, BankAccountId, BankName, ChannelName, DisputeId, ExceptionId, ExportId, JobRunId,
    MerchantId, OrderId, OrderNo, PaymentId, PreAuthId, ReconciliationRunId, RefundId, SettlementId, StatementId,
    TimeZone, WithdrawalId,
};
pub use money::Money;
pub use sealed::Sealed;
pub use time::Timestamp;
