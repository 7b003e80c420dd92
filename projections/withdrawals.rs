//! The read models `withdrawals` and `bank_accounts`: a row for each withdrawal, and for each account that they go to.

use domain::bank_account::{self, BankAccount, BankAccountStatus};
use domain::withdrawal::{State, Withdrawal, WithdrawalStatus};

use crate::StatusText;
use crate::streams::{Columns, Listed, StreamRow, stream_read_model};

stream_read_model! {
    /// Withdrawals by their ids.
    Withdrawals of Withdrawal, "withdrawals" version 3
}

stream_read_model! {
    /// Bank accounts of merchants by their ids.
    BankAccounts of BankAccount, "bank_accounts" version 2
}

pub type WithdrawalRow = StreamRow<State>;
pub type BankAccountRow = StreamRow<bank_account::State>;

impl Listed for State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        let terms = &record.terms;
        Some(Columns {
            id: terms.withdrawal_id.to_string(),
            merchant_id: Some(terms.merchant_id),
            order_no: None,
            status: record.status().as_str(),
            currency: Some(terms.currency),
            amount: Some(terms.amount),
            channel: None,
            created_at: terms.requested_at,
        })
    }
}

impl Listed for bank_account::State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        Some(Columns {
            id: record.terms.bank_account_id.to_string(),
            merchant_id: Some(record.terms.merchant_id),
            order_no: None,
            status: record.status().as_str(),
            currency: None,
            amount: None,
            channel: None,
            created_at: record.terms.registered_at,
        })
    }
}

impl StatusText for WithdrawalStatus {
    fn as_str(&self) -> &'static str {
        WithdrawalStatus::as_str(self)
    }
}

impl StatusText for BankAccountStatus {
    fn as_str(&self) -> &'static str {
        BankAccountStatus::as_str(self)
    }
}
