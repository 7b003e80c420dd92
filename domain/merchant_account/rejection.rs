//! Why a merchant's account says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerchantAccountRejection {
    #[error("the window does not begin where the last batch ended")]
    WindowClosed,
    #[error("the window ends before it begins")]
    WindowEmpty,
    #[error("a reserve rate lies between 0 and 1")]
    InvalidRate,
    #[error("there is no such withdrawal")]
    WithdrawalNotFound,
    #[error("this withdrawal exists already with another amount")]
    WithdrawalAlreadyExists,
    #[error("the withdrawal was sent to the bank already")]
    WithdrawalSent,
    #[error("the withdrawal was rejected or cancelled")]
    WithdrawalReleased,
    #[error("the withdrawal was never sent to a bank")]
    WithdrawalNotSent,
    #[error("an amount or a fee is out of range")]
    AmountOutOfRange,
    #[error("this account cannot stand on the other side of an adjustment")]
    UnsuitableCounterAccount,
    #[error("the available balance does not cover it")]
    InsufficientBalance,
    #[error("the merchant owes less than that")]
    WriteOffExceedsReceivable,
    #[error("the balance would be larger than the ledger can count")]
    BalanceOutOfRange,
}

impl Rejection for MerchantAccountRejection {
    fn code(&self) -> &'static str {
        match self {
            MerchantAccountRejection::WindowClosed => "settlement_window_closed",
            MerchantAccountRejection::WindowEmpty => "settlement_window_empty",
            MerchantAccountRejection::InvalidRate => "invalid_rate",
            MerchantAccountRejection::WithdrawalNotFound => "withdrawal_not_found",
            MerchantAccountRejection::WithdrawalAlreadyExists => "withdrawal_already_exists",
            MerchantAccountRejection::WithdrawalSent => "withdrawal_already_sent",
            MerchantAccountRejection::WithdrawalReleased => "withdrawal_already_ended",
            MerchantAccountRejection::WithdrawalNotSent => "withdrawal_not_sent",
            MerchantAccountRejection::AmountOutOfRange => "amount_out_of_range",
            MerchantAccountRejection::UnsuitableCounterAccount => "unsuitable_counter_account",
            MerchantAccountRejection::InsufficientBalance => "insufficient_balance",
            MerchantAccountRejection::WriteOffExceedsReceivable => "write_off_exceeds_receivable",
            MerchantAccountRejection::BalanceOutOfRange => "balance_out_of_range",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            MerchantAccountRejection::WithdrawalNotFound => RejectionClass::NotFound,
            MerchantAccountRejection::WithdrawalAlreadyExists
            | MerchantAccountRejection::WithdrawalSent
            | MerchantAccountRejection::WithdrawalReleased
            | MerchantAccountRejection::WithdrawalNotSent => RejectionClass::Conflict,
            MerchantAccountRejection::WindowClosed
            | MerchantAccountRejection::WindowEmpty
            | MerchantAccountRejection::InvalidRate
            | MerchantAccountRejection::AmountOutOfRange
            | MerchantAccountRejection::UnsuitableCounterAccount
            | MerchantAccountRejection::InsufficientBalance
            | MerchantAccountRejection::WriteOffExceedsReceivable
            | MerchantAccountRejection::BalanceOutOfRange => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            MerchantAccountRejection::InsufficientBalance
            | MerchantAccountRejection::WithdrawalNotSent
            | MerchantAccountRejection::BalanceOutOfRange => true,
            MerchantAccountRejection::WindowClosed
            | MerchantAccountRejection::WindowEmpty
            | MerchantAccountRejection::InvalidRate
            | MerchantAccountRejection::WithdrawalNotFound
            | MerchantAccountRejection::WithdrawalAlreadyExists
            | MerchantAccountRejection::WithdrawalSent
            | MerchantAccountRejection::WithdrawalReleased
            | MerchantAccountRejection::AmountOutOfRange
            | MerchantAccountRejection::UnsuitableCounterAccount
            | MerchantAccountRejection::WriteOffExceedsReceivable => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            MerchantAccountRejection::AmountOutOfRange
            | MerchantAccountRejection::InsufficientBalance
            | MerchantAccountRejection::WriteOffExceedsReceivable => Some("/amount"),
            _ => None,
        }
    }
}
