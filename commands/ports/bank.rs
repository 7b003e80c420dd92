//! A bank of ours: takes instructions to transfer money and tells later what came of them.

use async_trait::async_trait;
use domain::bank_details::BankDetails;
use domain::withdrawal::TransferOutcome;
use domain::{BankName, Money, Timestamp, WithdrawalId};

/// - `send` may be repeated: the same order is the same instruction, under the same ids, and a bank makes it once.
/// - News is told again and again until it is acknowledged, perhaps to several nodes at once, and a bank may repeat itself.
#[async_trait]
pub trait Bank: Send + Sync {
    fn name(&self) -> &BankName;

    /// Whether an instruction to this bank can say this amount at all.
    fn expresses(&self, amount: Money) -> bool;

    /// The instruction is on its way, and survives a crash, when this returns.
    async fn send(&self, order: &TransferOrder) -> Result<(), BankUnavailable>;

    /// What the bank has told and nobody has acknowledged, oldest first.
    async fn news(&self) -> Result<Vec<BankNews>, BankUnavailable>;

    /// Not told again.
    async fn acknowledge(&self, news: &BankNews) -> Result<(), BankUnavailable>;
}

#[derive(Debug, Clone, PartialEq)]
pub struct TransferOrder {
    pub withdrawal_id: WithdrawalId,
    pub amount: Money,
    pub beneficiary: BankDetails,
    /// The same in each repeat.
    pub ordered_at: Timestamp,
}

/// One message of the bank.
#[derive(Debug, Clone, PartialEq)]
pub struct BankNews {
    /// Of its content: the same message twice has the same digest.
    pub digest: String,
    /// Where the adapter has it.
    pub source: String,
    pub facts: Vec<TransferFact>,
}

/// What a message says of one transfer of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct TransferFact {
    pub withdrawal_id: WithdrawalId,
    pub outcome: TransferOutcome,
    /// What moved on our account, where the message tells it.
    pub moved: Option<Money>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bank cannot be reached: {0}")]
pub struct BankUnavailable(pub String);
