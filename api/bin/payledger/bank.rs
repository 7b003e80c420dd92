//! The bank that pays merchants out, as the flags have it: a real one over folders, or one to play with.

use std::path::PathBuf;
use std::time::Duration;

use adapters::bank::{FolderBank, FolderBankConfig, SandboxBankConfig};
use anyhow::{Context, anyhow};
use commands::withdrawal::WithdrawalPolicy;
use domain::Currency;
use domain::bank_details::{BankDetails, BankNumber};
use domain::iban::Bic;
use domain::money::AMOUNT_MAX;
use domain::withdrawal::FeePolicy;

use crate::cli::{BankFlags, WithdrawalFlags};

/// Our account at the sandbox bank.
const SANDBOX_IBAN: &str = "DE02120300000000202051";

/// Where merchants are paid out.
pub struct Counter {
    pub bank: FolderBank,
    /// The other side of the folders, if this program plays it.
    pub sandbox: Option<SandboxBankConfig>,
}

/// The bank of the flags, else a sandbox in `sandbox_folder`, else none.
pub fn counter(flags: &BankFlags, sandbox_folder: Option<PathBuf>) -> anyhow::Result<Option<Counter>> {
    match (&flags.bank_dir, sandbox_folder) {
        (Some(folder), _) => Ok(Some(Counter { bank: over_folders(flags, folder.clone())?, sandbox: None })),
        (None, Some(folder)) => sandbox(folder).map(Some),
        (None, None) => Ok(None),
    }
}

/// A bank to play with, which pays within a moment.
pub fn sandbox(folder: PathBuf) -> anyhow::Result<Counter> {
    let number = BankNumber::Iban(SANDBOX_IBAN.parse()?);
    let debtor = BankDetails::new(number, None, "Payledger sandbox")?;
    let config = FolderBankConfig { name: "sandbox".parse().map_err(|error| anyhow!("{error}"))?, folder, debtor };
    let sandbox = SandboxBankConfig::new(&config.folder, SANDBOX_IBAN);
    Ok(Counter { bank: open(config)?, sandbox: Some(sandbox) })
}

fn over_folders(flags: &BankFlags, folder: PathBuf) -> anyhow::Result<FolderBank> {
    let iban = flags.bank_iban.as_ref().context("--bank-iban is missing")?;
    let iban = iban.parse().map_err(|error| anyhow!("--bank-iban {error}"))?;
    let bic: Option<Bic> = flags.bank_bic.as_deref().map(str::parse).transpose().context("--bank-bic")?;
    let holder = flags.bank_holder.as_ref().context("--bank-holder is missing")?;
    let debtor = BankDetails::new(BankNumber::Iban(iban), bic, holder).context("--bank-holder")?;
    let name = flags.bank_name.parse().map_err(|error| anyhow!("--bank-name {error}"))?;
    open(FolderBankConfig { name, folder, debtor })
}

fn open(config: FolderBankConfig) -> anyhow::Result<FolderBank> {
    let folder = config.folder.display().to_string();
    FolderBank::open(config).with_context(|| format!("the bank's folders cannot be made in {folder}"))
}

/// `USD=100`
pub fn fee(text: &str) -> Result<(Currency, i64), String> {
    let (currency, amount) = text.split_once('=').ok_or("must be CURRENCY=AMOUNT")?;
    let currency = currency.parse::<Currency>().map_err(|error| error.to_string())?;
    let amount = amount.parse().ok().filter(|amount| (0..=AMOUNT_MAX).contains(amount));
    amount.map(|amount| (currency, amount)).ok_or_else(|| "must name an amount in minor units".to_owned())
}

impl WithdrawalFlags {
    pub fn policy(&self) -> WithdrawalPolicy {
        WithdrawalPolicy {
            cooling_off: Duration::from_secs(u64::from(self.withdrawal_cooling_off_hours) * 60 * 60),
            fees: self.withdrawal_fee.iter().copied().collect(),
            fee_policy: if self.withdrawal_keep_fee { FeePolicy::Retain } else { FeePolicy::Return },
        }
    }
}
