//! Two tests that run over every saga and step: each step executed twice, and a crash at each moment in turn.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use commands::ports::agenda::ClaimedSaga;
use commands::ports::{Clock, SagaId};
use domain::Timestamp;
use domain::payment::RefundStatus;
use sagas::step::next_steps;
use sagas::{Interpreter, Step};
use test_support::wait::until;

use super::crash::{Crash, doomed_node};
use super::scenarios::{Driver, SCENARIOS, Scenario};
use super::stage::{Node, Stage, config};

/// The stage's clock stands still for so long while a node works, in real time.
const STANDSTILL: Duration = Duration::from_secs(2);

/// The scenario's end, whatever happened on the way.
async fn assert_end(stage: &Stage, scenario: &Scenario, payment_id: domain::PaymentId, how: &str) {
    let record = stage.record(payment_id).await;
    let refunds: Vec<&str> = record
        .capture()
        .into_iter()
        .flat_map(|capture| &capture.refunds)
        .map(|refund| RefundStatus::as_str(&refund.status))
        .collect();
    let name = scenario.name;
    assert_eq!(record.status(), scenario.status, "{name}, {how}");
    assert_eq!(refunds, scenario.refunds, "{name}, {how}");
    assert_eq!(stage.channel.effects().len(), scenario.effects, "{name}, {how}");
    stage.assert_books().await;
}

/// Does each step that is due, twice, on what was seen before the first time: as two nodes would.
struct Twice {
    interpreter: Interpreter,
    /// The steps that wait: since which attempt, and until when.
    waiting: HashMap<SagaId, (Step, u32, Timestamp)>,
    done: BTreeSet<Step>,
}

impl Twice {
    fn new(stage: &Stage) -> Twice {
        let interpreter = Interpreter::new(stage.payments.clone(), config().patience);
        Twice { interpreter, waiting: HashMap::new(), done: BTreeSet::new() }
    }

    /// Whether the step is due now; one that is seen for the first time may have to wait.
    fn is_due(&mut self, due: &sagas::step::Due, now: Timestamp) -> bool {
        match self.waiting.get(&due.saga) {
            Some((step, _, at)) if *step == due.step => *at <= now,
            _ => {
                self.waiting.insert(due.saga, (due.step, 0, due.at(now, 0)));
                due.is_at_once()
            }
        }
    }
}

#[async_trait]
impl Driver for Twice {
    async fn settle(&mut self, stage: &Stage) {
        let events = stage.store.read_all(0, usize::MAX).await.unwrap();
        let payments: BTreeSet<domain::PaymentId> =
            events.iter().filter_map(|event| event.stream.id.parse().ok()).collect();
        loop {
            let now = stage.clock.now();
            let mut steps = vec![];
            for payment_id in &payments {
                steps.extend(next_steps(&stage.record(*payment_id).await, now));
            }
            steps.retain(|due| self.is_due(due, now));
            if steps.is_empty() {
                return;
            }
            for due in steps {
                let claimed = ClaimedSaga { saga: due.saga, attempts: 0, revision: 1, metadata: None };
                let (seen, due) = self.interpreter.look(&claimed).await.unwrap().unwrap();
                self.interpreter.perform(&seen, &due, 0).await.unwrap();
                self.interpreter.perform(&seen, &due, 0).await.unwrap();
                self.done.insert(due.step);
                if let Some((_, attempts, at)) = self.waiting.get_mut(&due.saga) {
                    *attempts += 1;
                    *at = due.at(now, *attempts);
                }
            }
        }
    }
}

#[tokio::test]
async fn each_step_executed_twice_comes_to_the_same_end() {
    let mut done = BTreeSet::new();
    for scenario in SCENARIOS {
        let stage = Stage::new().await;
        let mut driver = Twice::new(&stage);
        let payment_id = (scenario.play)(&stage, &mut driver).await;
        assert_end(&stage, scenario, payment_id, "each step twice").await;
        done.append(&mut driver.done);
    }
    assert_eq!(done, BTreeSet::from(Step::ALL), "the scenarios leave out a step");
}

/// A node that dies at its moment, and one that goes on after it.
struct Dying {
    crash: Crash,
    doomed: Option<Node>,
    heir: Option<Node>,
}

impl Dying {
    fn at(moment: i64) -> Dying {
        Dying { crash: Crash::at(moment), doomed: None, heir: None }
    }
}

#[async_trait]
impl Driver for Dying {
    async fn settle(&mut self, stage: &Stage) {
        if self.heir.is_none() {
            self.doomed.get_or_insert_with(|| doomed_node(stage, &self.crash));
            let crash = &self.crash;
            let quiet = || async { (crash.has_happened() || stage.is_quiet().await).then_some(()) };
            until("quiet, or a crash", Duration::from_secs(20), quiet).await;
            if !crash.has_happened() {
                return;
            }
            self.doomed = None;
            // The claims of the dead lapse.
            stage.clock.advance(config().claim_for);
            self.heir = Some(stage.node());
        }
        let waiting = Instant::now();
        let quiet = || async {
            if waiting.elapsed() > STANDSTILL {
                // Time goes on: a claim that somebody took just before the crash lapses too.
                stage.clock.advance(config().claim_for);
            }
            stage.is_quiet().await.then_some(())
        };
        until("the heir has nothing left that is due", Duration::from_secs(20), quiet).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_each_moment_comes_to_the_same_end() {
    let runs = SCENARIOS.iter().map(|scenario| {
        tokio::spawn(async move {
            for moment in 0.. {
                let stage = Stage::new().await;
                let mut driver = Dying::at(moment);
                let payment_id = (scenario.play)(&stage, &mut driver).await;
                assert_end(&stage, scenario, payment_id, &format!("crash at moment {moment}")).await;
                if !driver.crash.has_happened() {
                    return moment;
                }
            }
            unreachable!("a scenario has an end")
        })
    });
    for (run, scenario) in futures::future::join_all(runs).await.into_iter().zip(SCENARIOS) {
        let moments = run.unwrap();
        // Entering the row, calling the channel and recording its answer are two moments each.
        assert!(moments >= 6, "{}: only {moments} moments to die at", scenario.name);
    }
}
