//! A bank to play with: it takes instructions from the folders of a [`FolderBank`](super::FolderBank) and answers with
//! the messages that a real one sends. The beneficiary's name chooses what happens:
//!
//! - `... reject ...`: refused, the account is closed;
//! - `... return ...`: paid, and a moment later it comes back; `... short return ...`: less than was sent;
//!   `... split return ...`: in two parts;
//! - `... silent ...`: taken, and never spoken of again;
//! - anything else: paid.
//!
//! What it did stands in its own folders, so it can be killed anywhere, and several may serve the same folders.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::{Money, Timestamp};
use tokio::sync::watch;

use super::iso20022::camt053::{self, Booking, EntrySide};
use super::iso20022::pain001::{self, Instruction};
use super::iso20022::pain002;
use super::mailbox::{self, Letter};

const CLOSED: &str = "AC04";

#[derive(Debug, Clone)]
pub struct SandboxBankConfig {
    /// The same as the [`FolderBank`](super::FolderBank)'s.
    pub folder: PathBuf,
    /// The IBAN that its statements are about.
    pub iban: String,
    pub look_every: Duration,
    /// How long after paying a transfer comes back.
    pub returns_after: Duration,
}

impl SandboxBankConfig {
    pub fn new(folder: impl Into<PathBuf>, iban: &str) -> SandboxBankConfig {
        SandboxBankConfig {
            folder: folder.into(),
            iban: iban.to_owned(),
            look_every: Duration::from_millis(200),
            returns_after: Duration::from_secs(1),
        }
    }
}

pub struct SandboxBank {
    config: SandboxBankConfig,
    outbox: PathBuf,
    inbox: PathBuf,
    /// Instructions that were answered.
    taken: PathBuf,
    /// Statements whose time has not come.
    later: PathBuf,
}

impl SandboxBank {
    pub fn open(config: SandboxBankConfig) -> io::Result<SandboxBank> {
        let folder = |name: &str| {
            let folder = config.folder.join(name);
            std::fs::create_dir_all(&folder).map(|()| folder)
        };
        let (outbox, inbox) = (folder("outbox")?, folder("inbox")?);
        let (taken, later) = (folder("taken")?, folder("later")?);
        Ok(SandboxBank { config, outbox, inbox, taken, later })
    }

    /// Serves until `stopped` says so.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let bank = std::sync::Arc::new(self);
        loop {
            let working = bank.clone();
            let worked = tokio::task::spawn_blocking(move || working.work(Timestamp::from(chrono::Utc::now()))).await;
            if let Ok(Err(error)) = worked {
                tracing::warn!(%error, "the sandbox bank cannot work");
            }
            tokio::select! {
                () = tokio::time::sleep(bank.config.look_every) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Answers every instruction that lies there, and tells what has become due.
    pub fn work(&self, now: Timestamp) -> io::Result<()> {
        for letter in mailbox::letters(&self.later)? {
            if letter.age >= self.config.returns_after {
                mailbox::move_to(&letter.path, &self.inbox, &letter.name)?;
            }
        }
        for letter in mailbox::letters(&self.outbox)? {
            self.answer(&letter, now)?;
        }
        Ok(())
    }

    /// The answers first, then the instruction is put away: killed in between, it answers again in the same words.
    fn answer(&self, letter: &Letter, now: Timestamp) -> io::Result<()> {
        let Some(Ok(instruction)) = letter.text().map(pain001::read) else {
            tracing::error!(file = letter.name, "the sandbox bank cannot read an instruction");
            return mailbox::move_to(&letter.path, &self.taken, &format!("unreadable.{}", letter.name));
        };
        let id = &instruction.message_id;
        if self.taken.join(&letter.name).exists() {
            self.report(&instruction, &format!("DUP-{id}"), "RJCT", Some("DU01"), now)?;
            return mailbox::remove(&letter.path);
        }
        match Behaviour::of(&instruction) {
            Behaviour::Reject => self.report(&instruction, &format!("S-{id}"), "RJCT", Some(CLOSED), now)?,
            Behaviour::Silent => self.report(&instruction, &format!("S-{id}"), "ACCP", None, now)?,
            Behaviour::Pay => {
                self.report(&instruction, &format!("S-{id}"), "ACCP", None, now)?;
                self.book(&self.inbox, &instruction, "D", instruction.amount, now)?;
            }
            Behaviour::Return(parts) => {
                for (mark, amount) in ["C", "C2"].into_iter().zip(parts) {
                    self.book(&self.later, &instruction, mark, amount, now)?;
                }
                self.book(&self.inbox, &instruction, "D", instruction.amount, now)?;
            }
        }
        mailbox::move_to(&letter.path, &self.taken, &letter.name)
    }

    fn report(
        &self,
        about: &Instruction,
        report_id: &str,
        code: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> io::Result<()> {
        let message = pain002::write(about, report_id, code, reason, now);
        mailbox::put(&self.inbox, &format!("{report_id}.pain.002.xml"), &message)
    }

    /// `mark` is `D` for what is paid, and tells one return from another.
    fn book(&self, folder: &Path, about: &Instruction, mark: &str, amount: Money, now: Timestamp) -> io::Result<()> {
        let side = if mark == "D" { EntrySide::Debit } else { EntrySide::Credit };
        let statement_id = format!("{mark}-{}", about.message_id);
        let return_reason = (side == EntrySide::Credit).then_some(CLOSED);
        let booking = Booking { withdrawal_id: about.withdrawal_id, side, amount, return_reason };
        let message = camt053::write(&booking, &self.config.iban, &statement_id, now);
        mailbox::put(folder, &format!("{statement_id}.camt.053.xml"), &message)
    }
}

enum Behaviour {
    Pay,
    Reject,
    /// What comes back, in its parts.
    Return(Vec<Money>),
    Silent,
}

impl Behaviour {
    fn of(instruction: &Instruction) -> Behaviour {
        let name = instruction.beneficiary.name().to_lowercase();
        let amount = instruction.amount;
        let has = |word: &str| name.split_whitespace().any(|known| known == word);
        if has("reject") {
            Behaviour::Reject
        } else if has("silent") {
            Behaviour::Silent
        } else if has("return") && has("short") {
            let kept = (amount.minor() / 10).min(100);
            Behaviour::Return(vec![Money::new(amount.minor() - kept, amount.currency()).unwrap_or(amount)])
        } else if has("return") && has("split") {
            let part = |minor| Money::new(minor, amount.currency()).ok();
            let first = amount.minor() / 3;
            Behaviour::Return([part(first), part(amount.minor() - first)].into_iter().flatten().collect())
        } else if has("return") {
            Behaviour::Return(vec![amount])
        } else {
            Behaviour::Pay
        }
    }
}
