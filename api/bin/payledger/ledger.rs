//! The composition root: which adapter stands behind which port, on one database.

use std::sync::Arc;

use adapters::agenda::PostgresAgenda;
use adapters::archive::PostgresArchive;
use adapters::bank::SandboxBankConfig;
use adapters::channel_calls::PostgresChannelCalls;
use adapters::channels::sandbox::{SandboxChannel, SandboxChannelConfig};
use adapters::channels::stripe::{StripeChannel, StripeConfig};
use adapters::event_store::postgres::{PostgresEventStore, PostgresOptions};
use adapters::jobs::PostgresJobBoard;
use adapters::keys::PostgresKeys;
use adapters::migrations;
use adapters::nonces::PostgresNonces;
use adapters::statements::PostgresStatementBook;
use adapters::vault::{KeyVault, MasterKey, PostgresVault};
use adapters::webhooks::PostgresInbox;
use anyhow::{Context, bail};
use api::CallLimits;
use commands::archive::{Archive, Shelf, Terms};
use commands::channel_account::ChannelAccounts;
use commands::dispute::Disputes;
use commands::jobs::{
    CheckDailyAssertions, CloseSettlements, CollectPayouts, ExpireOverduePayments, FindMissedDisputes,
    FinishReconciliations, ForgetNonces, Job, PutAway,
};
use commands::keys::ApiKeys;
use commands::payment::Payments;
use commands::ports::clock::SystemClock;
use commands::ports::{Agenda, Channel, ChannelCallLog, Clock, EventStore, JobBoard, Nonces, WebhookInbox};
use commands::reconciliation::Reconciliations;
use commands::settlement::{Idle, Settlements};
use commands::story::Storyteller;
use commands::withdrawal::{WithdrawalPolicy, Withdrawals};
use commands::{Channels, Executor};
use projections::books::{BooksActivity, BooksFunds};
use projections::daily_assertions::AssertionsOfBooks;
use projections::exports::EndedExports;
use projections::overdue::OverdueOfReadModel;
use projections::reconciliations::PendingRunsOfReadModel;
use projections::{Progress, Reader};
use sagas::{Scheduler, SchedulerConfig, UseCases};
use sqlx::PgPool;

use crate::bank::Counter;
use crate::cli::ChannelFlags;
use crate::sandbox::WEBHOOK_SECRET;

/// One node's view of the ledger. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    pub pool: PgPool,
    pub store: Arc<dyn EventStore>,
    pub payments: Payments,
    pub channel_accounts: ChannelAccounts,
    pub withdrawals: Withdrawals,
    /// The other side of the bank's folders, where this node plays it.
    pub sandbox_bank: Option<SandboxBankConfig>,
    pub reconciliations: Reconciliations,
    pub settlements: Settlements,
    pub keys: ApiKeys,
    pub nonces: Arc<dyn Nonces>,
    pub inbox: Arc<dyn WebhookInbox>,
    pub agenda: Arc<dyn Agenda>,
    pub jobs: Arc<dyn JobBoard>,
    pub calls: Arc<dyn ChannelCallLog>,
    /// How long this node's jobs keep what stands beside the log.
    pub terms: Terms,
    pub progress: Progress,
    pub reader: Reader,
    /// What its nodes do about merchants that call more often than agreed.
    pub call_limits: CallLimits,
}

impl Ledger {
    /// Puts the adapters together. The schema must be the one that this program knows.
    pub async fn open(pool: PgPool, master: &MasterKey, channels: Channels) -> anyhow::Result<Ledger> {
        if !migrations::is_current(&pool).await {
            bail!("the database is not at this program's schema: run `payledger migrate` first");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let vault: PostgresVault = KeyVault::on_postgres(pool.clone(), master);
        vault.check_master_key().await.context("the master key is not the one that this database was sealed with")?;
        let store: Arc<dyn EventStore> =
            Arc::new(PostgresEventStore::start(pool.clone(), clock.clone(), PostgresOptions::default()));
        let executor = Executor::new(store.clone());
        adapters::seeds::sow(&pool, &executor, clock.now()).await?;
        let progress = Progress::default();
        let reader = Reader::new(pool.clone(), progress.clone());
        let (vault, funds) = (Arc::new(vault), Arc::new(BooksFunds::new(reader.clone())));
        let payments = Payments {
            executor: executor.clone(),
            channels,
            vault: vault.clone(),
            funds: funds.clone(),
            clock: clock.clone(),
        };
        let withdrawals = Withdrawals {
            executor: executor.clone(),
            vault: vault.clone(),
            index: vault,
            pending: funds,
            bank: None,
            policy: Arc::new(WithdrawalPolicy::default()),
            clock: clock.clone(),
        };
        let settlements = Settlements {
            executor: executor.clone(),
            activity: Arc::new(BooksActivity::new(reader.clone())),
            clock: clock.clone(),
        };
        let book = Arc::new(PostgresStatementBook::new(pool.clone(), reader.clone()));
        let directory = Arc::new(PostgresKeys::new(pool.clone(), master).remembering());
        let bank = "sandbox".parse().expect("the name has only lower-case letters");
        Ok(Ledger {
            store,
            channel_accounts: ChannelAccounts { payments: payments.clone(), bank },
            reconciliations: Reconciliations { payments: payments.clone(), book },
            payments,
            withdrawals,
            sandbox_bank: None,
            settlements,
            keys: ApiKeys { directory, executor, clock },
            nonces: Arc::new(PostgresNonces::new(pool.clone())),
            inbox: Arc::new(PostgresInbox::new(pool.clone(), master)),
            agenda: Arc::new(PostgresAgenda::new(pool.clone())),
            jobs: Arc::new(PostgresJobBoard::new(pool.clone())),
            calls: Arc::new(PostgresChannelCalls::start(pool.clone())),
            terms: Terms::default(),
            progress,
            reader,
            call_limits: CallLimits::default(),
            pool,
        })
    }

    /// Every job of the ledger, one line each, and who runs them.
    pub fn scheduler(&self) -> Scheduler {
        let overdue = Arc::new(OverdueOfReadModel::new(self.reader.clone()));
        let pending = Arc::new(PendingRunsOfReadModel::new(self.reader.clone()));
        let assertions = Arc::new(AssertionsOfBooks::new(self.reader.clone(), self.pool.clone(), self.store.clone()));
        let archive = self.archive(self.terms);
        let put_away = |shelf: Shelf| -> Arc<dyn Job> { Arc::new(PutAway { archive: archive.clone(), shelf }) };
        let mut jobs: Vec<Arc<dyn Job>> = vec![
            Arc::new(CheckDailyAssertions { assertions }),
            Arc::new(CloseSettlements { settlements: self.settlements.clone(), idle: Idle::default() }),
            Arc::new(CollectPayouts { channel_accounts: self.channel_accounts.clone() }),
            Arc::new(ExpireOverduePayments { payments: self.payments.clone(), overdue }),
            Arc::new(FindMissedDisputes::new(Disputes { payments: self.payments.clone() })),
            Arc::new(FinishReconciliations { reconciliations: self.reconciliations.clone(), pending }),
            Arc::new(ForgetNonces { nonces: self.nonces.clone() }),
        ];
        jobs.extend(Shelf::ALL.map(put_away));
        Scheduler::new(jobs, self.jobs.clone(), self.payments.clock.clone(), SchedulerConfig::default())
    }

    /// What the sagas of this node act through.
    pub fn use_cases(&self) -> UseCases {
        UseCases {
            payments: self.payments.clone(),
            settlements: self.settlements.clone(),
            withdrawals: self.withdrawals.clone(),
            calls: self.calls.clone(),
        }
    }

    /// Where goes what has had its time.
    pub fn archive(&self, terms: Terms) -> Archive {
        Archive {
            calls: self.calls.clone(),
            exports: Arc::new(EndedExports::new(self.pool.clone())),
            board: self.jobs.clone(),
            inbox: self.inbox.clone(),
            payments: self.payments.clone(),
            reader: Arc::new(PostgresArchive::new(self.pool.clone())),
            terms,
        }
    }

    /// The same ledger with other terms.
    pub fn keeping(mut self, terms: Terms) -> Ledger {
        self.terms = terms;
        self
    }

    /// Where the stories of objects are read from.
    pub fn storyteller(&self) -> Storyteller {
        Storyteller {
            store: self.store.clone(),
            calls: self.calls.clone(),
            inbox: self.inbox.clone(),
            agenda: self.agenda.clone(),
            batches: Arc::new(BooksActivity::new(self.reader.clone())),
        }
    }

    /// The same ledger, whose nodes do that about merchants that call too often.
    pub fn limiting_calls(self, call_limits: CallLimits) -> Ledger {
        Ledger { call_limits, ..self }
    }

    /// The same ledger with a bank that pays merchants out.
    pub fn paying_out(mut self, counter: Counter, policy: WithdrawalPolicy) -> Ledger {
        self.withdrawals.bank = Some(Arc::new(counter.bank));
        self.withdrawals.policy = Arc::new(policy);
        self.sandbox_bank = counter.sandbox;
        self
    }
}

/// Puts the tiers and rates that a new ledger starts with into the log, where they are missing.
pub async fn seed(pool: &PgPool) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = PostgresEventStore::start(pool.clone(), clock.clone(), PostgresOptions::default());
    Ok(adapters::seeds::sow(pool, &Executor::new(Arc::new(store)), clock.now()).await?)
}

/// The channels that the flags name; the first is the default.
pub fn channels(flags: &ChannelFlags) -> anyhow::Result<Channels> {
    let mut channels: Vec<Arc<dyn Channel>> = vec![];
    if let Some(url) = &flags.sandbox_url {
        let secret = flags.sandbox_webhook_secret.clone().unwrap_or_else(|| WEBHOOK_SECRET.to_owned());
        channels.push(Arc::new(SandboxChannel::new(SandboxChannelConfig::new(url, secret))?));
    }
    if let Some(key) = &flags.stripe_secret_key {
        let secret = flags.stripe_webhook_secret.clone().unwrap_or_default();
        let config = StripeConfig { url: flags.stripe_url.clone(), ..StripeConfig::new(key, secret) };
        channels.push(Arc::new(StripeChannel::new(config, Arc::new(SystemClock))?));
    }
    Ok(Channels::of(channels))
}
