//! The withdrawal and the bank account object, functions of their streams' histories alone.

use commands::CommandError;
use commands::ports::StreamState;
use commands::withdrawal::Withdrawals;
use domain::Timestamp;
use domain::bank_account::{self, BankAccount};
use domain::withdrawal::{self, Approval, Phase, Record, Withdrawal};
use projections::streams::StreamRow;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::roles::ObjectReader;

/// Money on its way to a merchant's bank account. Amounts in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Withdrawal)]
pub struct WithdrawalObject {
    #[schema(example = "wd_01k9zc6n3qv0r8s5x2b7j4w9ed")]
    pub id: String,
    /// Always `withdrawal`.
    #[schema(example = "withdrawal")]
    pub object: &'static str,
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    pub merchant_id: String,
    #[schema(example = 250_000)]
    pub amount: i64,
    /// What the merchant pays for it beside the amount.
    #[schema(example = 0)]
    pub fee: i64,
    #[schema(example = "EUR")]
    pub currency: String,
    /// `requested`, `approved`, `sent`, `paid`, `failed`, `rejected` or `cancelled`.
    #[schema(example = "requested")]
    pub status: &'static str,
    pub bank_account: Destination,
    pub approvals: Vec<ApprovalObject>,
    /// How many more people must approve it.
    #[schema(example = 1)]
    pub approvals_left: u32,
    pub rejection_reason: Option<String>,
    pub failure: Option<TransferFailure>,
    /// What came back of a withdrawal that failed after it was paid.
    #[schema(example = 0)]
    pub amount_returned: i64,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:45:00.123456Z")]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:45:00.123456Z")]
    pub updated_at: Timestamp,
    #[schema(example = 1)]
    pub version: u64,
}

/// The bank account that a withdrawal goes to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Destination {
    #[schema(example = "ba_5q0ch7w9s2k4e8m1v3t6y0d2fg")]
    pub id: String,
    /// The last four characters of the number; null once the merchant's data was erased.
    #[schema(example = "DE****************3000")]
    pub masked: Option<String>,
    /// `requested` until finance has approved it, then `approved`.
    #[schema(example = "requested")]
    pub status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Approval)]
pub struct ApprovalObject {
    /// Null for merchants.
    #[schema(example = "finance-one")]
    pub approved_by: Option<String>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:45:00.123456Z")]
    pub approved_at: Timestamp,
}

/// Why the bank did not pay, or sent the money back, in stable codes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TransferFailure {
    #[schema(example = "account_closed")]
    pub code: String,
    pub message: String,
    /// The ISO 20022 reason.
    #[schema(example = "AC04")]
    pub bank_code: Option<String>,
}

/// A merchant's account at a bank.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = BankAccount)]
pub struct BankAccountObject {
    #[schema(example = "ba_5q0ch7w9s2k4e8m1v3t6y0d2fg")]
    pub id: String,
    /// Always `bank_account`.
    #[schema(example = "bank_account")]
    pub object: &'static str,
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    pub merchant_id: String,
    /// The last four characters of the number; null once the merchant's data was erased.
    #[schema(example = "DE****************3000")]
    pub masked: Option<String>,
    /// The holder.
    #[schema(example = "Acme Ltd")]
    pub name: Option<String>,
    /// `requested` until finance has approved it, then `approved`.
    #[schema(example = "approved")]
    pub status: &'static str,
    /// Nothing is sent to the account before.
    #[schema(value_type = Option<String>, format = DateTime, example = "2026-11-21T09:45:00.123456Z")]
    pub usable_from: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime, example = "2026-11-20T09:45:00.123456Z")]
    pub created_at: Timestamp,
    #[schema(example = 1)]
    pub version: u64,
}

/// Both streams as of one position.
pub async fn object(
    withdrawals: &Withdrawals,
    withdrawal: &StreamState,
    account: &StreamState,
    reader: ObjectReader,
) -> Result<WithdrawalObject, CommandError> {
    let row = StreamRow {
        version: withdrawal.version,
        updated_at: withdrawal.updated_at,
        state: withdrawal.of::<Withdrawal>().cloned().unwrap_or_default(),
    };
    let account = account.of::<BankAccount>().cloned().unwrap_or_default();
    of_row(withdrawals, &row, &account, reader).await
}

/// Rows of the read models: the same as of the streams.
pub async fn of_row(
    withdrawals: &Withdrawals,
    row: &StreamRow<withdrawal::State>,
    account: &bank_account::State,
    reader: ObjectReader,
) -> Result<WithdrawalObject, CommandError> {
    let record = row.state.record().ok_or_else(|| CommandError::Bug("a withdrawal without terms".to_owned()))?;
    let terms = &record.terms;
    let bug = || CommandError::Bug(format!("{} goes to no bank account", terms.withdrawal_id));
    let account = account.record().ok_or_else(bug)?;
    let (rejection_reason, amount_returned) = match &record.phase {
        Phase::Rejected { reason: Some(reason) } => {
            (withdrawals.open_text(&terms.withdrawal_id.to_string(), reason).await?, 0)
        }
        Phase::Returned { amount, .. } => (None, *amount),
        _ => (None, 0),
    };
    Ok(WithdrawalObject {
        id: terms.withdrawal_id.to_string(),
        object: "withdrawal",
        merchant_id: terms.merchant_id.to_string(),
        amount: terms.amount,
        fee: terms.fee,
        currency: terms.currency.to_string(),
        status: record.status().as_str(),
        bank_account: destination(withdrawals, account).await?,
        approvals: record.approvals.iter().map(|approval| approved(approval, reader)).collect(),
        approvals_left: approvals_left(record),
        rejection_reason,
        failure: record.failure().map(TransferFailure::from),
        amount_returned,
        created_at: terms.requested_at,
        updated_at: row.updated_at,
        version: row.version,
    })
}

async fn destination(withdrawals: &Withdrawals, account: &bank_account::Record) -> Result<Destination, CommandError> {
    let details = withdrawals.details(&account.terms).await?;
    Ok(Destination {
        id: account.terms.bank_account_id.to_string(),
        masked: details.map(|details| details.number.masked()),
        status: account.status().as_str(),
    })
}

/// Who of our people approved is not the merchant's business.
fn approved(approval: &Approval, reader: ObjectReader) -> ApprovalObject {
    let approved_by = (reader == ObjectReader::All).then(|| approval.by.clone());
    ApprovalObject { approved_by, approved_at: approval.at }
}

/// None is asked for any more once the withdrawal has ended.
fn approvals_left(record: &Record) -> u32 {
    if record.phase == Phase::Requested { record.approvals_left() } else { 0 }
}

impl From<&withdrawal::Failure> for TransferFailure {
    fn from(failure: &withdrawal::Failure) -> TransferFailure {
        TransferFailure {
            code: failure.code.clone(),
            message: failure.message.clone(),
            bank_code: failure.bank_code.clone(),
        }
    }
}

pub async fn of_account(
    withdrawals: &Withdrawals,
    row: &StreamRow<bank_account::State>,
) -> Result<BankAccountObject, CommandError> {
    let record = row.state.record().ok_or_else(|| CommandError::Bug("a bank account without terms".to_owned()))?;
    let details = withdrawals.details(&record.terms).await?;
    Ok(BankAccountObject {
        id: record.terms.bank_account_id.to_string(),
        object: "bank_account",
        merchant_id: record.terms.merchant_id.to_string(),
        masked: details.as_ref().map(|details| details.number.masked()),
        name: details.map(|details| details.name().to_owned()),
        status: record.status().as_str(),
        usable_from: record.approval.as_ref().map(|approval| approval.usable_from),
        created_at: record.terms.registered_at,
        version: row.version,
    })
}
