//! Two tests that run over every saga and step: each step executed twice, and a crash at each moment in turn.

use std::collections::{BTreeSet, HashMap};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::agenda::{ChangeKind, ClaimedSaga};
use commands::ports::{Clock, SagaId};
use domain::Timestamp;
use sagas::step::Due;
use sagas::{Interpreter, Step};
use test_support::wait::until;

use super::crash::{Crash, doomed_node};
use super::scenarios::{self, Driver, Scenario};
use super::stage::{Node, Stage, config};

/// The scenario's end, whatever happened on the way.
async fn assert_end(stage: &Stage, scenario: &Scenario, end: &str, how: &str) {
    assert_eq!(end, scenario.end, "{}, {how}", scenario.name);
    stage.assert_books().await;
}

/// A saga's kind and one of its steps.
type StepOfKind = (&'static str, &'static str);

/// Does each step that is due, twice, on what was seen before the first time: as two nodes would.
struct Twice {
    interpreter: Interpreter,
    /// The steps that wait: since which attempt, and until when.
    waiting: HashMap<SagaId, (Step, u32, Timestamp)>,
    done: BTreeSet<StepOfKind>,
}

impl Twice {
    fn new(stage: &Stage) -> Twice {
        let (store, clock) = (stage.store.clone(), Arc::new(stage.clock.clone()));
        let processes = stage.use_cases().processes();
        let interpreter = Interpreter::new(store, clock, processes, stage.calls.clone(), config().patience);
        Twice { interpreter, waiting: HashMap::new(), done: BTreeSet::new() }
    }

    /// Whether the step is due now; one that is seen for the first time may have to wait.
    fn is_due(&mut self, saga: &SagaId, due: &Due, now: Timestamp) -> bool {
        match self.waiting.get(saga) {
            Some((step, _, at)) if *step == due.step => *at <= now,
            _ => {
                self.waiting.insert(saga.clone(), (due.step, 0, due.at(now, 0)));
                due.is_at_once()
            }
        }
    }

    /// Every saga that the log ever made due.
    async fn sagas(&self, stage: &Stage) -> BTreeSet<SagaId> {
        let events = stage.store.read_all(0, usize::MAX).await.unwrap();
        let changes = events.iter().flat_map(|event| self.interpreter.processes().changes(slice::from_ref(event)));
        changes.filter(|change| change.kind == ChangeKind::Due).map(|change| change.saga).collect()
    }
}

#[async_trait]
impl Driver for Twice {
    async fn settle(&mut self, stage: &Stage) {
        loop {
            let mut found = vec![];
            for saga in self.sagas(stage).await {
                let claimed = ClaimedSaga { saga, attempts: 0, revision: 1, by_hand: false, metadata: None };
                if let Some((seen, due)) = self.interpreter.look(&claimed).await.unwrap() {
                    found.push((seen, due));
                }
            }
            let now = stage.clock.now();
            found.retain(|(seen, due)| self.is_due(&seen.saga, due, now));
            if found.is_empty() {
                return;
            }
            for (seen, due) in found {
                self.interpreter.perform(&seen, &due, 0).await.unwrap();
                self.interpreter.perform(&seen, &due, 0).await.unwrap();
                let process = self.interpreter.processes().of_kind(&seen.saga.kind).unwrap();
                self.done.insert((process.kind(), due.step.name));
                if let Some((_, attempts, at)) = self.waiting.get_mut(&seen.saga) {
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
    let mut declared = BTreeSet::new();
    for scenario in scenarios::all() {
        let stage = Stage::new().await;
        let mut driver = Twice::new(&stage);
        let end = (scenario.play)(&stage, &mut driver).await;
        assert_end(&stage, scenario, &end, "each step twice").await;
        done.append(&mut driver.done);
        for process in driver.interpreter.processes().iter() {
            declared.extend(process.steps().iter().map(|step| (process.kind(), step.name)));
        }
    }
    assert_eq!(done, declared, "the scenarios leave out a step, or a saga has one that it does not declare");
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
        let quiet = || async { stage.is_quiet().await.then_some(()) };
        until("the heir has nothing left that is due", Duration::from_secs(20), quiet).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_each_moment_comes_to_the_same_end() {
    let runs = scenarios::all().map(|scenario| {
        tokio::spawn(async move {
            for moment in 0.. {
                let stage = Stage::new().await;
                let mut driver = Dying::at(moment);
                let end = (scenario.play)(&stage, &mut driver).await;
                assert_end(&stage, scenario, &end, &format!("crash at moment {moment}")).await;
                if !driver.crash.has_happened() {
                    return moment;
                }
            }
            unreachable!("a scenario has an end")
        })
    });
    for (run, scenario) in futures::future::join_all(runs).await.into_iter().zip(scenarios::all()) {
        let moments = run.unwrap();
        // Entering the row, calling the channel and recording its answer are two moments each.
        assert!(moments >= 6, "{}: only {moments} moments to die at", scenario.name);
    }
}
