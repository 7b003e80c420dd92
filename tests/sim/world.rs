//! One world, from a seed: rough weather for a few minutes, then calm for as long as it takes until nothing is left to
//! do, then the auditor.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Once};
use std::time::Duration;

use adapters::event_store::MemoryEventStore;
use commands::executor::Executor;
use commands::ports::{Agenda, Clock, EventStore};
use commands::withdrawal::WithdrawalPolicy;
use commands::{Issued, adjustment, merchant};
use domain::adjustment::Propose;
use domain::merchant::{Changes, ReservePlan, Terms};
use domain::pricing::{PricingModel, RefundFeePolicy};
use domain::tier::TierName;
use domain::withdrawal::FeePolicy;
use domain::{Account, AdjustmentId, BalancedEntry, Currency, MerchantId};
use test_support::seeds;
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use crate::auditor::{self, Evidence};
use crate::bank::House;
use crate::board;
use crate::canary::{Canary, Tampering};
use crate::chance::Chance;
use crate::channel::Provider;
use crate::clients::Clients;
use crate::cluster::Cluster;
use crate::finding::Finding;
use crate::node::Surroundings;
use crate::trace::Trace;
use crate::weather::{VirtualClock, Weather};

/// Whatever is not done this long after the last fault will never be.
const PATIENCE: Duration = Duration::from_secs(14 * 24 * 3_600);

pub struct World;

/// What became of a world.
pub struct Outcome {
    pub verdict: Result<(), Finding>,
    /// The hash of the log's last event.
    pub digest: String,
    pub events: usize,
    /// The types of event that happened.
    pub types: BTreeSet<String>,
    /// For people; empty unless one seed was asked for.
    pub trace: String,
}

impl World {
    pub fn run(seed: u64, canary: Option<Canary>) -> Outcome {
        // The backoff between attempts draws from the thread's own generator.
        fastrand::seed(seed);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        catching_panics(|| runtime.expect("a runtime needs nothing but memory").block_on(live(seed, canary)))
    }
}

async fn live(seed: u64, canary: Option<Canary>) -> Outcome {
    let chance = Chance::of(seed);
    let clock = VirtualClock::new();
    let trace = Trace::new(clock, std::env::var_os("PAYLEDGER_SIM_SEED").is_some());
    let (provider, mailbox) = Provider::new(chance.fork(), clock, trace.clone());
    let house = House::new(chance.fork(), trace.clone());
    let around = Surroundings {
        clock,
        log: MemoryEventStore::new(Arc::new(clock)),
        agenda: Arc::default(),
        board: Arc::default(),
        inbox: Arc::default(),
        provider,
        house,
        policy: Arc::new(policy(&chance)),
        inside: Weather::rough(chance.fork()),
        outside: Weather::rough(chance.fork()),
        tampering: Arc::new(Tampering::new(canary, chance.fork())),
    };
    let cluster = Cluster::start(around.clone(), chance.fork(), trace.clone());
    let clients = Clients::new(cluster.clone(), &around, chance.fork(), trace.clone());
    clients.carry(mailbox);
    seeds::sow(&Executor::new(Arc::new(around.log.clone()))).await;
    clients.settle();
    clients.keep_the_desk();
    around.provider.pay_out_at_times();
    for _ in 0..chance.between(1..=2) {
        let terms = onboard(&around, &chance).await;
        if chance.percent(75) {
            endow(&around, &terms, chance.pick(&[5_000, 90_000])).await;
        }
        clients.shop(&terms, chance.below(4) + 1);
        clients.hold(&terms, chance.below(3));
        clients.adjust(&terms, chance.below(3));
        clients.withdraw(&terms, chance.below(4));
    }
    tokio::spawn(cluster.clone().storm());
    sleep(chance.seconds(60..=300)).await;

    around.inside.calm_down();
    around.outside.calm_down();
    trace.note(|| "      the weather is calm".to_owned());
    // What went out in rough weather has its answer by then.
    sleep(Duration::from_secs(120)).await;
    cluster.restart().await;
    // Sometimes until the cut-off of another business day, or two.
    sleep(Duration::from_secs(3_600 * chance.pick(&[0, 0, 0, 26, 50]))).await;
    let rest = come_to_rest(&around, &clients).await;

    let log = around.log.read_all(0, usize::MAX).await.expect("the log in memory can be read");
    let log = around.tampering.rewritten(log);
    let evidence = Evidence {
        log: &log,
        acknowledged: &clients.acknowledged(),
        provider: &around.provider.book(),
        transfers: &around.house.transfers(),
        tampering: &around.tampering,
    };
    let verdict = auditor::audit(&evidence, rest);
    let digest = log.last().map(|event| event.hash.to_string()).unwrap_or_default();
    let types = log.iter().map(|event| event.event_type.clone()).collect();
    Outcome { verdict, digest, events: log.len(), types, trace: trace.with(&log) }
}

async fn onboard(around: &Surroundings, chance: &Chance) -> Terms {
    let terms = Terms {
        merchant_id: MerchantId::from_uuid(chance.uuid()),
        name: "Acme".to_owned(),
        tier: chance.pick(&TierName::ALL),
        pricing_model: chance.pick(&[PricingModel::CostPlus, PricingModel::Blended]),
        refund_fee_policy: chance.pick(&[RefundFeePolicy::Retain, RefundFeePolicy::Proportional]),
        home_currency: Some(chance.pick(&[Currency::USD, Currency::JPY, Currency::KWD])),
        time_zone: None,
        onboarded_at: around.clock.now(),
    };
    let executor = Executor::new(Arc::new(around.log.clone()));
    let purpose = terms.merchant_id.to_string();
    let receipt = merchant::onboard(&executor, Issued::internally("simulation", &purpose, &purpose), terms.clone());
    assert_eq!(receipt.await.expect("the log in memory takes commands").rejection, None);
    let changes = Changes {
        reserve: chance.pick(&[None, Some(ReservePlan { basis_points: 1_000, days: 1 })]),
        settlement_approval: chance.pick(&[None, Some(0), Some(5_000)]),
        withdrawal_two_person: chance.pick(&[None, Some(0), Some(1_000)]),
        ..Changes::default()
    };
    let issued = Issued::internally("simulation", &format!("{purpose}:terms"), &purpose);
    let receipt = merchant::change_terms(&executor, issued, terms.merchant_id, changes, around.clock.now());
    assert_eq!(receipt.await.expect("the log in memory takes commands").rejection, None);
    terms
}

/// Puts minor units at a merchant's disposal, as two people agreed before anything happened: business of earlier days.
async fn endow(around: &Surroundings, terms: &Terms, amount: i64) {
    let executor = Executor::new(Arc::new(around.log.clone()));
    let (adjustment_id, at) = (AdjustmentId::from_uuid(terms.merchant_id.as_uuid()), around.clock.now());
    let entry = BalancedEntry::in_currency(terms.home_currency.unwrap_or(Currency::USD))
        .transfer(Account::EquityOwner, Account::MerchantAvailable(terms.merchant_id), amount)
        .build()
        .expect("it moves something");
    let propose = Propose {
        adjustment_id,
        reason: "business of earlier days".to_owned(),
        legs: entry.legs().to_vec(),
        effective_at: None,
        closed_until: None,
        by: "finance:ada".to_owned(),
        at,
    };
    let issued = |what: &str| Issued::internally("simulation", &format!("{adjustment_id}:{what}"), "endowment");
    let proposed = adjustment::propose(&executor, issued("propose"), propose).await;
    let approved = adjustment::approve(&executor, issued("approve"), adjustment_id, "finance:bob".to_owned(), at).await;
    for receipt in [proposed, approved] {
        assert_eq!(receipt.expect("the log in memory takes commands").rejection, None);
    }
}

/// What this installation asks of withdrawals.
fn policy(chance: &Chance) -> WithdrawalPolicy {
    let fee = chance.pick(&[0, 0, 25]);
    WithdrawalPolicy {
        cooling_off: chance.pick(&[0, 0, 20, 86_400].map(Duration::from_secs)),
        fees: [Currency::USD, Currency::JPY, Currency::KWD].map(|currency| (currency, fee)).into(),
        fee_policy: chance.pick(&[FeePolicy::Return, FeePolicy::Retain]),
    }
}

/// Waits until nobody has anything left to do.
async fn come_to_rest(around: &Surroundings, clients: &Clients) -> Result<(), Finding> {
    let began = Instant::now();
    loop {
        let decided = clients.clear_the_desk().await;
        let left = left_to_do(around, clients).await.or(decided);
        let Some(left) = left else { return Ok(()) };
        if began.elapsed() > PATIENCE {
            return Err(Finding::of(8, left));
        }
        sleep(Duration::from_secs(3_600)).await;
    }
}

async fn left_to_do(around: &Surroundings, clients: &Clients) -> Option<String> {
    let now = around.clock.now();
    let rows = around.agenda.list(None, 1).await.expect("the agenda in memory answers");
    let followed = around.agenda.census(now).await.expect("the agenda in memory answers").position;
    let head = around.log.head().await.expect("the log in memory answers");
    if !clients.are_done() {
        return Some("a client or a webhook waits for its answer".to_owned());
    }
    if !around.provider.is_done() {
        return Some("the channel is not done".to_owned());
    }
    if clients.payouts_booked() < around.provider.book().payouts().count() {
        return Some("a payout was not collected".to_owned());
    }
    if !around.house.is_done() {
        return Some("the bank is not done".to_owned());
    }
    if followed < head {
        return Some(format!("the log was followed to {followed} of {head}"));
    }
    if let Some(webhook) = around.inbox.left_to_do() {
        return Some(webhook);
    }
    if let Some(row) = rows.first() {
        return Some(format!("a saga is not finished: {row:?}"));
    }
    board::left_to_do(&around.board, around.clock).await
}

thread_local! {
    /// The first panic of the world that runs on this thread, if one runs.
    static PANIC: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// A panic anywhere in a world is a finding, also where the code under test goes on after it.
fn catching_panics(live: impl FnOnce() -> Outcome) -> Outcome {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_ours = PANIC.with_borrow_mut(|first| match first {
                Some(first) => !first.get_or_insert_with(|| panic.to_string()).is_empty(),
                None => false,
            });
            if !is_ours {
                report(panic);
            }
        }));
    });
    PANIC.set(Some(None));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(live));
    let panic = PANIC.take().flatten().map(|panic| Finding::of(0, panic));
    match outcome {
        Ok(outcome) => Outcome { verdict: panic.map_or(Ok(()), Err).and(outcome.verdict), ..outcome },
        Err(_) => Outcome {
            verdict: Err(panic.unwrap_or_else(|| Finding::of(0, "a panic"))),
            digest: String::new(),
            events: 0,
            types: BTreeSet::new(),
            trace: String::new(),
        },
    }
}
