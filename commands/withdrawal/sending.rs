//! The way to the bank: the intent, the instruction, and that it went out. Each may be repeated by anybody.

use domain::Money;
use domain::bank_account::BankAccount;
use domain::withdrawal::{Command, Record};

use super::Withdrawals;
use crate::executor::{CommandError, Issued};
use crate::ports::{Bank, Receipt, TransferOrder, state_of};

impl Withdrawals {
    /// From now on the withdrawal can no longer be stopped.
    pub async fn start_sending(&self, issued: Issued, record: &Record) -> Result<Receipt, CommandError> {
        let command = Command::StartSending { at: self.clock.now() };
        self.decide_with_money(issued, &record.terms, command).await
    }

    pub async fn record_sent(&self, issued: Issued, record: &Record) -> Result<Receipt, CommandError> {
        let command = Command::RecordSent { at: self.clock.now() };
        self.decide_with_money(issued, &record.terms, command).await
    }

    /// The instruction as it goes to the bank, the same in each repeat; `None` once the merchant was erased.
    pub async fn order(
        &self,
        record: &Record,
        ordered_at: domain::Timestamp,
    ) -> Result<Option<TransferOrder>, CommandError> {
        let terms = &record.terms;
        let stream = self.load_account(terms.bank_account_id).await?;
        let bug = |what: &str| CommandError::Bug(format!("{} {what}", terms.withdrawal_id));
        let account = state_of::<BankAccount>(&stream).record();
        let account = account.ok_or_else(|| bug("goes to a bank account that nobody registered"))?;
        let Some(beneficiary) = self.details(&account.terms).await? else {
            return Ok(None);
        };
        let amount = Money::new(terms.amount, terms.currency).map_err(|_| bug("is of no amount"))?;
        Ok(Some(TransferOrder { withdrawal_id: terms.withdrawal_id, amount, beneficiary, ordered_at }))
    }

    /// The bank that the withdrawal was requested from.
    pub fn bank_of(&self, record: &Record) -> Option<&dyn Bank> {
        self.bank.as_deref().filter(|bank| *bank.name() == record.terms.bank)
    }
}
