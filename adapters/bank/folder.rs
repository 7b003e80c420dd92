//! A bank that is reached over folders, as banks offer it over SFTP: instructions are laid in `outbox`, its messages are
//! found in `inbox`. What was read goes to `archive` under the digest of its content, what cannot be read to
//! `quarantine`. Knows no ledger; what a message means is read by `iso20022`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::{Bank, BankNews, BankUnavailable, TransferFact, TransferOrder};
use domain::bank_details::BankDetails;
use domain::withdrawal::{Failure, TransferOutcome};
use domain::{BankName, Money};

use super::iso20022::camt053::{Entry, EntrySide};
use super::iso20022::pain002::{Status, TransferStatus};
use super::iso20022::{self, FromBank, Malformed, end_to_end_id, pain001};
use super::mailbox::{self, Letter};

/// A message that cannot be read may still be being written; after this it is put aside.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub struct FolderBankConfig {
    pub name: BankName,
    /// Holds the four folders; they are made.
    pub folder: PathBuf,
    /// Our own account there, which pays.
    pub debtor: BankDetails,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct FolderBank(Arc<Parts>);

struct Parts {
    config: FolderBankConfig,
    outbox: PathBuf,
    inbox: PathBuf,
    archive: PathBuf,
    quarantine: PathBuf,
}

impl FolderBank {
    pub fn open(config: FolderBankConfig) -> std::io::Result<FolderBank> {
        let folder = |name: &str| {
            let folder = config.folder.join(name);
            std::fs::create_dir_all(&folder).map(|()| folder)
        };
        let (outbox, inbox) = (folder("outbox")?, folder("inbox")?);
        let (archive, quarantine) = (folder("archive")?, folder("quarantine")?);
        Ok(FolderBank(Arc::new(Parts { config, outbox, inbox, archive, quarantine })))
    }
}

#[async_trait]
impl Bank for FolderBank {
    fn name(&self) -> &BankName {
        &self.0.config.name
    }

    fn expresses(&self, amount: Money) -> bool {
        iso20022::expresses(amount)
    }

    /// The same order is the same file with the same content: one that still lies there is replaced by its like.
    async fn send(&self, order: &TransferOrder) -> Result<(), BankUnavailable> {
        let message = pain001::write(order, &self.0.config.debtor);
        let name = format!("{}.pain.001.xml", end_to_end_id(order.withdrawal_id));
        self.blocking(move |parts| mailbox::put(&parts.outbox, &name, &message)).await
    }

    async fn news(&self) -> Result<Vec<BankNews>, BankUnavailable> {
        self.blocking(|parts| {
            let letters = mailbox::letters(&parts.inbox)?;
            let told: std::io::Result<Vec<Option<BankNews>>> =
                letters.iter().map(|letter| parts.open(letter)).collect();
            Ok(told?.into_iter().flatten().collect())
        })
        .await
    }

    async fn acknowledge(&self, news: &BankNews) -> Result<(), BankUnavailable> {
        let (name, digest) = (news.source.clone(), news.digest.clone());
        self.blocking(move |parts| parts.put_away(&name, &digest, &parts.archive)).await
    }
}

impl FolderBank {
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Parts) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, BankUnavailable> {
        let parts = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&parts)).await;
        let done = done.map_err(|error| BankUnavailable(error.to_string()))?;
        done.map_err(|error| BankUnavailable(error.to_string()))
    }
}

impl Parts {
    /// What the message says; nothing of one that was read before, and of one that cannot be read.
    fn open(&self, letter: &Letter) -> std::io::Result<Option<BankNews>> {
        let digest = letter.digest();
        if self.archive.join(format!("{digest}.xml")).exists() {
            tracing::info!(file = letter.name, "the bank's message was read before");
            self.put_away(&letter.name, &digest, &self.archive)?;
            return Ok(None);
        }
        let text = letter.text().ok_or_else(|| Malformed("the message is not UTF-8".to_owned()));
        match text.and_then(iso20022::read) {
            Ok(message) => Ok(Some(BankNews { digest, source: letter.name.clone(), facts: facts(message) })),
            Err(_) if letter.age < SETTLED_AFTER => Ok(None),
            Err(error) => {
                tracing::error!(file = letter.name, %error, "a bank's message cannot be read: a person should look");
                self.put_away(&letter.name, &digest, &self.quarantine)?;
                Ok(None)
            }
        }
    }

    /// Under the digest, so that the same message twice is one file.
    fn put_away(&self, name: &str, digest: &str, folder: &Path) -> std::io::Result<()> {
        mailbox::put_away(&self.inbox, name, digest, folder, &format!("{digest}.xml"))
    }
}

fn facts(message: FromBank) -> Vec<TransferFact> {
    match message {
        FromBank::Status(told) => told.iter().filter_map(fact_of_status).collect(),
        FromBank::Statement(entries) => entries.iter().filter_map(fact_of_entry).collect(),
    }
}

fn fact_of_status(told: &TransferStatus) -> Option<TransferFact> {
    let withdrawal_id = told.withdrawal_id?;
    let outcome = match told.status {
        Status::Settled => TransferOutcome::Paid,
        Status::Rejected => TransferOutcome::Refused(Failure::of_bank_code(told.reason.as_deref())),
        Status::Duplicate => {
            tracing::warn!(withdrawal.id = %withdrawal_id, "the bank has this instruction already");
            return None;
        }
        Status::UnderWay => return None,
    };
    Some(TransferFact { withdrawal_id, outcome, moved: None })
}

fn fact_of_entry(entry: &Entry) -> Option<TransferFact> {
    let withdrawal_id = entry.withdrawal_id?;
    let outcome = match entry.side {
        EntrySide::Debit => TransferOutcome::Paid,
        EntrySide::Credit => TransferOutcome::Returned {
            amount: entry.amount.minor(),
            failure: Failure::of_bank_code(entry.return_reason.as_deref()),
            booking: entry.booking.clone(),
        },
    };
    Some(TransferFact { withdrawal_id, outcome, moved: Some(entry.amount) })
}
