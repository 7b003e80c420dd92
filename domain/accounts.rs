//! The chart of accounts: every account that a posting may name, its path and its type.
//! A path outside this chart cannot be written, because it has no variant.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{BankName, ChannelName, DisputeId, MerchantId, PaymentId, PreAuthId, RefundId, SettlementId, WithdrawalId};

/// One account of the platform's books. The comment of each names what it must hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Asset. Receivable less fee accruals is what the channel says it owes us.
    ChannelReceivable(ChannelName),
    /// Asset. What the channel has taken back for a dispute; zero once the dispute is closed.
    ChannelDisputed(ChannelName, DisputeId),
    /// Liability. Zero once the channel's fee for the payment is known.
    ChannelFeeAccrual(ChannelName, PaymentId),
    /// Asset. Equals the bank's statement.
    BankCash(BankName),
    /// Liability. Sent and not yet debited by the bank; zero once paid or returned.
    BankInTransit(BankName, WithdrawalId),
    /// Liability. The activity since the last settlement cut-off; may go negative.
    MerchantPending(MerchantId),
    /// Liability. Never negative.
    MerchantAvailable(MerchantId),
    /// Liability. A reserve lot, known by the settlement that withheld it; zero once released or drawn.
    MerchantReserve(MerchantId, SettlementId),
    /// Liability. Zero once the refund is final.
    MerchantRefundHold(MerchantId, RefundId),
    /// Liability. Zero once the dispute is closed.
    MerchantDisputeHold(MerchantId, DisputeId),
    /// Liability. A closed batch; zero once it is released.
    MerchantSettlement(MerchantId, SettlementId),
    /// Liability. Zero once the withdrawal is sent, rejected or cancelled.
    MerchantWithdrawalHold(MerchantId, WithdrawalId),
    /// Asset. What the merchant owes us; never negative.
    MerchantReceivable(MerchantId),
    /// Revenue. Our markup on captures.
    RevenueProcessing,
    /// Revenue. Dispute fees passed on to merchants.
    RevenueDisputeFee,
    /// Revenue. What merchants pay for withdrawals.
    RevenueWithdrawalFee,
    /// Contra-expense. Channel fees passed on to cost-plus merchants.
    RecoveryChannelFee,
    /// Expense. What channels charge us for captures.
    ExpenseChannelFee(ChannelName),
    /// Expense. What channels charge us for disputes.
    ExpenseDisputeFee(ChannelName),
    /// Expense. What banks keep of transfers.
    ExpenseBankFee,
    /// Expense. What merchants owed us and will never pay.
    ExpenseMerchantLoss,
    /// Expense. Differences of a reconciliation that nobody will ever explain.
    ExpenseReconWriteoff,
    /// Equity. The owner's own money.
    EquityOwner,
    /// Liability. Taxes collected and owed.
    LiabilityTax,
    /// Revenue. What exchange rates brought or cost us.
    FxGainLoss,
    /// Asset. Differences with a channel; zero once every exception is resolved.
    SuspenseRecon(ChannelName),
    /// Memo. Everything authorised and not yet captured or released at a channel.
    MemoAuth(ChannelName),
    /// Memo. Zero once captured and released add up to what was authorised.
    MemoAuthorized(MerchantId, PreAuthId),
}

/// How an account's balance is read: which side makes it grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountType {
    Asset,
    Liability,
    Revenue,
    Expense,
    ContraExpense,
    Equity,
    /// Off the balance sheet: no money has moved yet.
    Memo,
}

impl AccountType {
    pub const ALL: [AccountType; 7] = [
        AccountType::Asset,
        AccountType::Liability,
        AccountType::Revenue,
        AccountType::Expense,
        AccountType::ContraExpense,
        AccountType::Equity,
        AccountType::Memo,
    ];

    pub fn as_str(&self) -> &'static str {
        match self {
            AccountType::Asset => "asset",
            AccountType::Liability => "liability",
            AccountType::Revenue => "revenue",
            AccountType::Expense => "expense",
            AccountType::ContraExpense => "contra_expense",
            AccountType::Equity => "equity",
            AccountType::Memo => "memo",
        }
    }

    /// Balance in minor units, positive on the account's normal side; memo accounts are read from the debit side.
    pub fn balance(&self, debits: i128, credits: i128) -> i128 {
        match self {
            AccountType::Asset | AccountType::Expense | AccountType::Memo => debits - credits,
            AccountType::Liability | AccountType::Revenue | AccountType::ContraExpense | AccountType::Equity => {
                credits - debits
            }
        }
    }
}

impl FromStr for AccountType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let known = AccountType::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or("must be asset, liability, revenue, expense, contra_expense, equity or memo")
    }
}

impl Account {
    pub fn account_type(&self) -> AccountType {
        match self {
            Account::ChannelReceivable(_)
            | Account::ChannelDisputed(..)
            | Account::BankCash(_)
            | Account::MerchantReceivable(_)
            | Account::SuspenseRecon(_) => AccountType::Asset,
            Account::ChannelFeeAccrual(..)
            | Account::BankInTransit(..)
            | Account::MerchantPending(_)
            | Account::MerchantAvailable(_)
            | Account::MerchantReserve(..)
            | Account::MerchantRefundHold(..)
            | Account::MerchantDisputeHold(..)
            | Account::MerchantSettlement(..)
            | Account::MerchantWithdrawalHold(..)
            | Account::LiabilityTax => AccountType::Liability,
            Account::RevenueProcessing
            | Account::RevenueDisputeFee
            | Account::RevenueWithdrawalFee
            | Account::FxGainLoss => AccountType::Revenue,
            Account::RecoveryChannelFee => AccountType::ContraExpense,
            Account::ExpenseChannelFee(_)
            | Account::ExpenseDisputeFee(_)
            | Account::ExpenseBankFee
            | Account::ExpenseMerchantLoss
            | Account::ExpenseReconWriteoff => AccountType::Expense,
            Account::EquityOwner => AccountType::Equity,
            Account::MemoAuth(_) | Account::MemoAuthorized(..) => AccountType::Memo,
        }
    }

    /// The merchant whose money this account holds, if it holds a merchant's.
    pub fn merchant(&self) -> Option<MerchantId> {
        match self {
            Account::MerchantPending(merchant)
            | Account::MerchantAvailable(merchant)
            | Account::MerchantReserve(merchant, _)
            | Account::MerchantRefundHold(merchant, _)
            | Account::MerchantDisputeHold(merchant, _)
            | Account::MerchantSettlement(merchant, _)
            | Account::MerchantWithdrawalHold(merchant, _)
            | Account::MerchantReceivable(merchant)
            | Account::MemoAuthorized(merchant, _) => Some(*merchant),
            _ => None,
        }
    }

    /// One stream's events alone post to it, so that stream's state says what it must hold at any moment.
    pub fn has_one_guard(&self) -> bool {
        matches!(
            self,
            Account::ChannelFeeAccrual(..)
                | Account::ChannelDisputed(..)
                | Account::BankInTransit(..)
                | Account::MerchantAvailable(_)
                | Account::MerchantReserve(..)
                | Account::MerchantRefundHold(..)
                | Account::MerchantDisputeHold(..)
                | Account::MerchantSettlement(..)
                | Account::MerchantWithdrawalHold(..)
                | Account::MerchantReceivable(_)
                | Account::MemoAuthorized(..)
        )
    }

    /// How long after its last posting an account of one object may still hold something; longer is a mistake, or a
    /// counterparty that does not answer. None of an account that may hold something for good.
    pub fn clears_within(&self) -> Option<Duration> {
        let days: u64 = match self {
            Account::BankInTransit(..) => 7,
            Account::MerchantSettlement(..) | Account::MerchantWithdrawalHold(..) => 14,
            Account::MerchantRefundHold(..) => 30,
            Account::ChannelFeeAccrual(..) | Account::MemoAuthorized(..) => 35,
            Account::ChannelDisputed(..) | Account::MerchantDisputeHold(..) => 180,
            // The longest term of a reserve, and the days around it.
            Account::MerchantReserve(..) => 740,
            _ => return None,
        };
        Some(Duration::from_secs(days * 24 * 60 * 60))
    }

    /// Accounts that exist for one object must end at zero once that object is closed.
    pub fn is_per_object(&self) -> bool {
        self.has_one_guard() && !matches!(self, Account::MerchantAvailable(_) | Account::MerchantReceivable(_))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::ChannelReceivable(channel) => write!(f, "channel:{channel}:receivable"),
            Account::ChannelDisputed(channel, dispute) => write!(f, "channel:{channel}:disputed:{dispute}"),
            Account::ChannelFeeAccrual(channel, payment) => write!(f, "channel:{channel}:fee_accrual:{payment}"),
            Account::BankCash(bank) => write!(f, "bank:{bank}:cash"),
            Account::BankInTransit(bank, withdrawal) => write!(f, "bank:{bank}:in_transit:{withdrawal}"),
            Account::MerchantPending(merchant) => write!(f, "merchant:{merchant}:pending"),
            Account::MerchantAvailable(merchant) => write!(f, "merchant:{merchant}:available"),
            Account::MerchantReserve(merchant, lot) => write!(f, "merchant:{merchant}:reserve:{lot}"),
            Account::MerchantRefundHold(merchant, refund) => write!(f, "merchant:{merchant}:refund_hold:{refund}"),
            Account::MerchantDisputeHold(merchant, dispute) => {
                write!(f, "merchant:{merchant}:dispute_hold:{dispute}")
            }
            Account::MerchantSettlement(merchant, settlement) => {
                write!(f, "merchant:{merchant}:settlement:{settlement}")
            }
            Account::MerchantWithdrawalHold(merchant, withdrawal) => {
                write!(f, "merchant:{merchant}:withdrawal_hold:{withdrawal}")
            }
            Account::MerchantReceivable(merchant) => write!(f, "merchant:{merchant}:receivable"),
            Account::RevenueProcessing => f.write_str("revenue:processing"),
            Account::RevenueDisputeFee => f.write_str("revenue:dispute_fee"),
            Account::RevenueWithdrawalFee => f.write_str("revenue:withdrawal_fee"),
            Account::RecoveryChannelFee => f.write_str("recovery:channel_fee"),
            Account::ExpenseChannelFee(channel) => write!(f, "expense:channel_fee:{channel}"),
            Account::ExpenseDisputeFee(channel) => write!(f, "expense:dispute_fee:{channel}"),
            Account::ExpenseBankFee => f.write_str("expense:bank_fee"),
            Account::ExpenseMerchantLoss => f.write_str("expense:merchant_loss"),
            Account::ExpenseReconWriteoff => f.write_str("expense:recon_writeoff"),
            Account::EquityOwner => f.write_str("equity:owner"),
            Account::LiabilityTax => f.write_str("liability:tax"),
            Account::FxGainLoss => f.write_str("fx:gain_loss"),
            Account::SuspenseRecon(channel) => write!(f, "suspense:recon:{channel}"),
            Account::MemoAuth(channel) => write!(f, "memo:auth:{channel}"),
            Account::MemoAuthorized(merchant, pre_auth) => write!(f, "memo:merchant:{merchant}:authorized:{pre_auth}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an account of the chart")]
pub struct NotAnAccount;

impl FromStr for Account {
    type Err = NotAnAccount;

    fn from_str(path: &str) -> Result<Self, NotAnAccount> {
        let segments: Vec<&str> = path.split(':').collect();
        Ok(match segments.as_slice() {
            ["channel", channel, "receivable"] => Account::ChannelReceivable(read(channel)?),
            ["channel", channel, "disputed", dispute] => Account::ChannelDisputed(read(channel)?, read(dispute)?),
            ["channel", channel, "fee_accrual", payment] => Account::ChannelFeeAccrual(read(channel)?, read(payment)?),
            ["bank", bank, "cash"] => Account::BankCash(read(bank)?),
            ["bank", bank, "in_transit", withdrawal] => Account::BankInTransit(read(bank)?, read(withdrawal)?),
            ["merchant", merchant, rest @ ..] => of_merchant(read(merchant)?, rest)?,
            ["revenue", "processing"] => Account::RevenueProcessing,
            ["revenue", "dispute_fee"] => Account::RevenueDisputeFee,
            ["revenue", "withdrawal_fee"] => Account::RevenueWithdrawalFee,
            ["recovery", "channel_fee"] => Account::RecoveryChannelFee,
            ["expense", "channel_fee", channel] => Account::ExpenseChannelFee(read(channel)?),
            ["expense", "dispute_fee", channel] => Account::ExpenseDisputeFee(read(channel)?),
            ["expense", "bank_fee"] => Account::ExpenseBankFee,
            ["expense", "merchant_loss"] => Account::ExpenseMerchantLoss,
            ["expense", "recon_writeoff"] => Account::ExpenseReconWriteoff,
            ["equity", "owner"] => Account::EquityOwner,
            ["liability", "tax"] => Account::LiabilityTax,
            ["fx", "gain_loss"] => Account::FxGainLoss,
            ["suspense", "recon", channel] => Account::SuspenseRecon(read(channel)?),
            ["memo", "auth", channel] => Account::MemoAuth(read(channel)?),
            ["memo", "merchant", merchant, "authorized", pre_auth] => {
                Account::MemoAuthorized(read(merchant)?, read(pre_auth)?)
            }
            _ => return Err(NotAnAccount),
        })
    }
}

/// As its path.
impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        path.parse().map_err(serde::de::Error::custom)
    }
}

fn of_merchant(merchant: MerchantId, rest: &[&str]) -> Result<Account, NotAnAccount> {
    Ok(match rest {
        ["pending"] => Account::MerchantPending(merchant),
        ["available"] => Account::MerchantAvailable(merchant),
        ["reserve", lot] => Account::MerchantReserve(merchant, read(lot)?),
        ["refund_hold", refund] => Account::MerchantRefundHold(merchant, read(refund)?),
        ["dispute_hold", dispute] => Account::MerchantDisputeHold(merchant, read(dispute)?),
        ["settlement", settlement] => Account::MerchantSettlement(merchant, read(settlement)?),
        ["withdrawal_hold", withdrawal] => Account::MerchantWithdrawalHold(merchant, read(withdrawal)?),
        ["receivable"] => Account::MerchantReceivable(merchant),
        _ => return Err(NotAnAccount),
    })
}

fn read<T: FromStr>(text: &str) -> Result<T, NotAnAccount> {
    text.parse().map_err(|_| NotAnAccount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_account_reads_back_from_its_path() {
        let channel: ChannelName = "sandbox".parse().unwrap();
        let merchant = MerchantId::from_uuid(Uuid::from_u128(1));
        let id = Uuid::from_u128;
        let bank: BankName = "sandbox".parse().unwrap();
        let dispute = DisputeId::from_uuid(id(4));
        let settlement = SettlementId::from_uuid(id(5));
        let withdrawal = WithdrawalId::from_uuid(id(6));
        let all = [
            Account::ChannelReceivable(channel.clone()),
            Account::ChannelDisputed(channel.clone(), dispute),
            Account::ChannelFeeAccrual(channel.clone(), PaymentId::from_uuid(id(2))),
            Account::BankCash(bank.clone()),
            Account::BankInTransit(bank, withdrawal),
            Account::MerchantPending(merchant),
            Account::MerchantAvailable(merchant),
            Account::MerchantReserve(merchant, settlement),
            Account::MerchantRefundHold(merchant, RefundId::from_uuid(id(3))),
            Account::MerchantDisputeHold(merchant, dispute),
            Account::MerchantSettlement(merchant, settlement),
            Account::MerchantWithdrawalHold(merchant, withdrawal),
            Account::MerchantReceivable(merchant),
            Account::RevenueProcessing,
            Account::RevenueDisputeFee,
            Account::RevenueWithdrawalFee,
            Account::RecoveryChannelFee,
            Account::ExpenseChannelFee(channel.clone()),
            Account::ExpenseDisputeFee(channel.clone()),
            Account::ExpenseBankFee,
            Account::ExpenseMerchantLoss,
            Account::ExpenseReconWriteoff,
            Account::EquityOwner,
            Account::LiabilityTax,
            Account::FxGainLoss,
            Account::SuspenseRecon(channel.clone()),
            Account::MemoAuth(channel),
            Account::MemoAuthorized(merchant, PreAuthId::from_uuid(id(7))),
        ];
        for account in all {
            assert_eq!(account.clears_within().is_some(), account.is_per_object(), "{account}");
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
