//! The chart of accounts: every account that a posting may name, its path and its type.
//! A path outside this chart cannot be written, because it has no variant.

use std::fmt;
use std::str::FromStr;

use crate::{ChannelName, MerchantId, PaymentId, RefundId};

/// One account of the platform's books. The comment of each names what it must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Asset. Receivable less fee accruals is what the channel says it owes us.
    ChannelReceivable(ChannelName),
    /// Liability. Zero once the channel's fee for the payment is known.
    ChannelFeeAccrual(ChannelName, PaymentId),
    /// Liability. The activity since the last settlement cut-off; may go negative.
    MerchantPending(MerchantId),
    /// Liability. Never negative.
    MerchantAvailable(MerchantId),
    /// Liability. Zero once the refund is final.
    MerchantRefundHold(MerchantId, RefundId),
    /// Asset. What the merchant owes us; never negative.
    MerchantReceivable(MerchantId),
    /// Revenue. Our markup on captures.
    RevenueProcessing,
    /// Contra-expense. Channel fees passed on to cost-plus merchants.
    RecoveryChannelFee,
    /// Expense. What channels charge us for captures.
    ExpenseChannelFee(ChannelName),
}

/// How an account's balance is read: which side makes it grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountType {
    Asset,
    Liability,
    Revenue,
    Expense,
    ContraExpense,
}

impl AccountType {
    pub const ALL: [AccountType; 5] = [
        AccountType::Asset,
        AccountType::Liability,
        AccountType::Revenue,
        AccountType::Expense,
        AccountType::ContraExpense,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            AccountType::Asset => "asset",
            AccountType::Liability => "liability",
            AccountType::Revenue => "revenue",
            AccountType::Expense => "expense",
            AccountType::ContraExpense => "contra_expense",
        }
    }

    /// Balance in minor units, positive on the account's normal side.
    pub fn balance(&self, debits: i128, credits: i128) -> i128 {
        match self {
            AccountType::Asset | AccountType::Expense => debits - credits,
            AccountType::Liability | AccountType::Revenue | AccountType::ContraExpense => credits - debits,
        }
    }
}

impl FromStr for AccountType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let known = AccountType::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or("must be asset, liability, revenue, expense or contra_expense")
    }
}

impl Account {
    pub fn account_type(&self) -> AccountType {
        match self {
            Account::ChannelReceivable(_) | Account::MerchantReceivable(_) => AccountType::Asset,
            Account::ChannelFeeAccrual(..)
            | Account::MerchantPending(_)
            | Account::MerchantAvailable(_)
            | Account::MerchantRefundHold(..) => AccountType::Liability,
            Account::RevenueProcessing => AccountType::Revenue,
            Account::RecoveryChannelFee => AccountType::ContraExpense,
            Account::ExpenseChannelFee(_) => AccountType::Expense,
        }
    }

    /// The merchant whose money this account holds, if it holds a merchant's.
    pub fn merchant(&self) -> Option<MerchantId> {
        match self {
            Account::MerchantPending(merchant)
            | Account::MerchantAvailable(merchant)
            | Account::MerchantRefundHold(merchant, _)
            | Account::MerchantReceivable(merchant) => Some(*merchant),
            _ => None,
        }
    }

    /// Accounts that exist for one object must end at zero once that object is closed.
    pub fn is_per_object(&self) -> bool {
        matches!(self, Account::ChannelFeeAccrual(..) | Account::MerchantRefundHold(..))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::ChannelReceivable(channel) => write!(f, "channel:{channel}:receivable"),
            Account::ChannelFeeAccrual(channel, payment) => write!(f, "channel:{channel}:fee_accrual:{payment}"),
            Account::MerchantPending(merchant) => write!(f, "merchant:{merchant}:pending"),
            Account::MerchantAvailable(merchant) => write!(f, "merchant:{merchant}:available"),
            Account::MerchantRefundHold(merchant, refund) => write!(f, "merchant:{merchant}:refund_hold:{refund}"),
            Account::MerchantReceivable(merchant) => write!(f, "merchant:{merchant}:receivable"),
            Account::RevenueProcessing => f.write_str("revenue:processing"),
            Account::RecoveryChannelFee => f.write_str("recovery:channel_fee"),
            Account::ExpenseChannelFee(channel) => write!(f, "expense:channel_fee:{channel}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an account of the chart")]
pub struct NotAnAccount;

impl FromStr for Account {
    type Err = NotAnAccount;

    fn from_str(path: &str) -> Result<Self, NotAnAccount> {
        fn read<T: FromStr>(text: &str) -> Result<T, NotAnAccount> {
            text.parse().map_err(|_| NotAnAccount)
        }
        let segments: Vec<&str> = path.split(':').collect();
        Ok(match segments.as_slice() {
            ["channel", channel, "receivable"] => Account::ChannelReceivable(read(channel)?),
            ["channel", channel, "fee_accrual", payment] => Account::ChannelFeeAccrual(read(channel)?, read(payment)?),
            ["merchant", merchant, "pending"] => Account::MerchantPending(read(merchant)?),
            ["merchant", merchant, "available"] => Account::MerchantAvailable(read(merchant)?),
            ["merchant", merchant, "refund_hold", refund] => {
                Account::MerchantRefundHold(read(merchant)?, read(refund)?)
            }
            ["merchant", merchant, "receivable"] => Account::MerchantReceivable(read(merchant)?),
            ["revenue", "processing"] => Account::RevenueProcessing,
            ["recovery", "channel_fee"] => Account::RecoveryChannelFee,
            ["expense", "channel_fee", channel] => Account::ExpenseChannelFee(read(channel)?),
            _ => return Err(NotAnAccount),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_account_reads_back_from_its_path() {
        let channel: ChannelName = "sandbox".parse().unwrap();
        let merchant = MerchantId::from_uuid(Uuid::from_u128(1));
        let all = [
            Account::ChannelReceivable(channel.clone()),
            Account::ChannelFeeAccrual(channel.clone(), PaymentId::from_uuid(Uuid::from_u128(2))),
            Account::MerchantPending(merchant),
            Account::MerchantAvailable(merchant),
            Account::MerchantRefundHold(merchant, RefundId::from_uuid(Uuid::from_u128(3))),
            Account::MerchantReceivable(merchant),
            Account::RevenueProcessing,
            Account::RecoveryChannelFee,
            Account::ExpenseChannelFee(channel),
        ];
        for account in all {
            assert_eq!(account.to_string().parse(), Ok(account));
        }
    }

    #[test]
    fn paths_outside_the_chart_are_refused() {
        for path in
            ["", "revenue", "revenue:processing:x", "channel:SANDBOX:receivable", "merchant:mer_1:pending", "cash"]
        {
            assert_eq!(path.parse::<Account>(), Err(NotAnAccount), "{path}");
        }
    }
}
