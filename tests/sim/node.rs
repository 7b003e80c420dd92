//! One node of the ledger: the real use cases, sagas and webhooks over its own lines to the outside. What it keeps in
//! memory goes when it dies, wherever it is at that moment.

use std::sync::Arc;
use std::time::Duration;

use adapters::agenda::MemoryAgenda;
use adapters::channel_calls::MemoryChannelCalls;
use adapters::event_store::MemoryEventStore;
use adapters::jobs::MemoryJobBoard;
use commands::channel_account::ChannelAccounts;
use commands::dispute::Disputes;
use commands::jobs::{CloseSettlements, CollectPayouts, FindMissedDisputes};
use commands::payment::Payments;
use commands::ports::EventStore;
use commands::settlement::{Idle, Settlements};
use commands::webhook::Webhooks;
use commands::withdrawal::{WithdrawalPolicy, Withdrawals};
use commands::{Channels, Executor};
use parking_lot::Mutex;
use sagas::{Patience, SagaConfig, SagaRunner, Scheduler, SchedulerConfig, UseCases};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

use crate::agenda::AgendaLine;
use crate::bank::{BANK, BankLine, House};
use crate::board::BoardLine;
use crate::canary::Tampering;
use crate::channel::{ChannelLine, Provider};
use crate::funds::FoldedBooks;
use crate::inbox::{Inbox, InboxLine};
use crate::store::StoreLine;
use crate::vault::GlassVault;
use crate::weather::{VirtualClock, Weather};

/// What outlives every node.
#[derive(Clone)]
pub struct Surroundings {
    pub clock: VirtualClock,
    pub log: MemoryEventStore,
    pub agenda: Arc<MemoryAgenda>,
    pub board: Arc<MemoryJobBoard>,
    pub inbox: Arc<Inbox>,
    pub provider: Provider,
    pub house: House,
    pub policy: Arc<WithdrawalPolicy>,
    /// Between the nodes and what is ours.
    pub inside: Weather,
    /// Between the nodes, the channel and the bank.
    pub outside: Weather,
    pub tampering: Arc<Tampering>,
}

pub struct Node {
    pub payments: Payments,
    pub channel_accounts: ChannelAccounts,
    pub settlements: Settlements,
    pub withdrawals: Withdrawals,
    pub webhooks: Webhooks,
    tasks: Mutex<Vec<AbortHandle>>,
    stop: watch::Sender<bool>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    /// A node whose clock is wrong by a constant.
    pub fn start(around: &Surroundings, clock_ahead_by: Duration) -> Node {
        let line = StoreLine::new(around.log.clone(), around.inside.clone(), around.tampering.clone());
        let store: Arc<dyn EventStore> = Arc::new(line);
        let channel = ChannelLine::new(around.provider.clone(), around.outside.clone(), around.tampering.clone());
        let books = Arc::new(FoldedBooks::new(around.log.clone(), around.inside.clone()));
        let payments = Payments {
            executor: Executor::new(store),
            channels: Channels::of([Arc::new(channel) as _]),
            vault: Arc::new(GlassVault(around.inside.clone())),
            funds: books.clone(),
            clock: Arc::new(around.clock.ahead_by(clock_ahead_by)),
        };
        let agenda = AgendaLine::new(around.agenda.clone(), around.inside.clone(), around.tampering.clone());
        let pace = Pace::of(around.inside.is_rough());
        let settlements =
            Settlements { executor: payments.executor.clone(), activity: books.clone(), clock: payments.clock.clone() };
        let bank = BankLine::new(around.house.clone(), around.outside.clone(), around.tampering.clone());
        let withdrawals = Withdrawals {
            executor: payments.executor.clone(),
            vault: payments.vault.clone(),
            index: Arc::new(GlassVault(around.inside.clone())),
            pending: books,
            bank: Some(Arc::new(bank)),
            policy: around.policy.clone(),
            clock: payments.clock.clone(),
        };
        let use_cases = UseCases {
            payments: payments.clone(),
            withdrawals: withdrawals.clone(),
            settlements: settlements.clone(),
            calls: Arc::new(MemoryChannelCalls::default()),
        };
        let runner = SagaRunner::new(&use_cases, Arc::new(agenda), pace.sagas);
        let inbox = Arc::new(InboxLine::new(around.inbox.clone(), around.inside.clone()));
        let webhooks = Webhooks { payments: payments.clone(), inbox, nudge: nudge(&runner) };
        let channel_accounts =
            ChannelAccounts { payments: payments.clone(), bank: BANK.parse().expect("a bank's name") };
        let scheduler = Scheduler::new(
            vec![
                Arc::new(CloseSettlements { settlements: settlements.clone(), idle: Idle::default() }),
                Arc::new(CollectPayouts { channel_accounts: channel_accounts.clone() }),
                Arc::new(FindMissedDisputes::new(Disputes { payments: payments.clone() })),
            ],
            Arc::new(BoardLine::new(around.board.clone(), around.inside.clone(), around.tampering.clone())),
            payments.clock.clone(),
            SchedulerConfig { poll_every: pace.sweep_every, ..SchedulerConfig::default() },
        );
        let (stop, stopped) = watch::channel(false);
        let routine = routine(webhooks.clone(), withdrawals.clone(), pace.sweep_every);
        let running = tokio::spawn(run(runner, scheduler, routine, stopped));
        let (tasks, running) = (Mutex::default(), Mutex::new(Some(running)));
        Node { payments, channel_accounts, settlements, withdrawals, webhooks, tasks, stop, running }
    }

    /// Dies with the node.
    pub fn own(&self, task: AbortHandle) {
        self.tasks.lock().push(task);
    }

    /// `kill -9`.
    pub fn crash(&self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
        if let Some(running) = self.running.lock().take() {
            running.abort();
        }
    }

    /// `SIGTERM`.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let running = self.running.lock().take();
        if let Some(running) = running {
            let _ = running.await;
        }
        self.crash();
    }
}

async fn run(
    runner: SagaRunner,
    scheduler: Scheduler,
    routine: impl Future<Output = ()>,
    stopped: watch::Receiver<bool>,
) {
    let stop = || {
        let mut stopped = stopped.clone();
        async move { drop(stopped.wait_for(|stop| *stop).await) }
    };
    let routine = async {
        tokio::select! {
            biased;
            () = stop() => {}
            () = routine => {}
        }
    };
    tokio::join!(runner.run(stop()), scheduler.run(stop()), routine);
}

/// What every node does again and again beside its jobs: webhooks that were left over, news of the bank.
async fn routine(webhooks: Webhooks, withdrawals: Withdrawals, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let _ = webhooks.sweep().await;
        let _ = withdrawals.record_news().await;
    }
}

fn nudge(runner: &SagaRunner) -> commands::webhook::Nudge {
    let runner = runner.clone();
    Arc::new(move |stream_id| {
        let (runner, stream_id) = (runner.clone(), stream_id.to_owned());
        tokio::spawn(async move { runner.nudge(&stream_id).await });
    })
}

/// How often a node looks. In calm weather days go by, so it looks rarely.
struct Pace {
    sagas: SagaConfig,
    sweep_every: Duration,
}

impl Pace {
    fn of(is_rough: bool) -> Pace {
        let (poll_every, lead_for, sweep_every) = match is_rough {
            true => (Duration::from_secs(4), Duration::from_secs(9), Duration::from_secs(11)),
            false => (Duration::from_secs(7_200), Duration::from_secs(43_200), Duration::from_secs(14_400)),
        };
        let patience = Patience { park: Duration::from_secs(600), ..Patience::default() };
        let watch_every = lead_for;
        Pace { sagas: SagaConfig { poll_every, lead_for, watch_every, patience, ..SagaConfig::default() }, sweep_every }
    }
}
