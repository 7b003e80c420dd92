//! A real ledger under a steady load of commands while its read models are rebuilt and rolled back: what is written,
//! what is asked meanwhile, and what every answer has to say. Everything is seen from outside: the real binary, HTTP,
//! and the operator's commands.

mod afterwards;
mod books;
mod followers;
mod known;
mod line;
mod rebuilds;
mod routes;
mod stage;
mod sweeps;
mod writers;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use known::Known;
use line::Line;
use stage::Stage;

/// How hard, and how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program, and how many of its processes serve side by side.
    pub program: String,
    pub nodes: usize,
    /// Clients' commands, asked for at this rate whatever the answers take.
    pub commands_per_second: u32,
    pub writers: usize,
    /// Tasks that ask every read route in turn.
    pub askers: usize,
    /// Written before the first rebuild begins.
    pub before: Duration,
    /// The least time under load in all.
    pub at_least: Duration,
    /// When a run that does not come to its end is given up.
    pub at_most: Duration,
    pub seed: u64,
}

/// What came of a run. Its faults are the verdict.
#[derive(Debug)]
pub struct Report {
    pub faults: Vec<String>,
    pub commands: u64,
    pub commands_per_second: f64,
    pub queries: u64,
    pub followed: u64,
    pub events: u64,
    pub lines: Vec<String>,
}

/// What the tasks of a run share.
struct Run {
    plan: Plan,
    stage: Stage,
    line: Line,
    known: Known,
    began: Instant,
    stop: AtomicBool,
}

impl Run {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && !self.line.faults.are_many()
    }
}

/// Plays the plan to its end.
pub async fn play(plan: Plan) -> Report {
    let stage = Stage::set(&plan).await.expect("the ledger starts");
    let line = Line::to(&stage);
    stage.furnish(&line).await;
    let run = Arc::new(Run {
        known: Known::default(),
        began: Instant::now(),
        stop: AtomicBool::new(false),
        plan,
        stage,
        line,
    });
    let mut tasks = JoinSet::new();
    tasks.spawn(writers::finance(run.clone()));
    for number in 0..run.plan.writers {
        tasks.spawn(writers::write(run.clone(), number));
    }
    for _ in 0..2 {
        tasks.spawn(followers::follow(run.clone()));
    }
    tasks.spawn(followers::watch_unfinished(run.clone()));
    for number in 0..run.plan.askers {
        tasks.spawn(routes::ask_every_route(run.clone(), number));
    }
    tasks.spawn(books::ask(run.clone()));
    tasks.spawn(sweeps::sweep(run.clone()));
    let driven = tokio::time::timeout(run.plan.at_most, rebuilds::drive(run.clone())).await;
    let written_for = run.began.elapsed();
    run.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a task does not panic");
    }
    let mut lines = driven.unwrap_or_else(|_| {
        run.line.faults.note(format!("the rebuilds did not end within {:?}", run.plan.at_most));
        vec![]
    });
    let commands = run.line.commands();
    if !run.line.faults.are_many() {
        lines.extend(afterwards::check(&run).await);
    }
    lines.extend(run.line.in_words());
    Report {
        faults: run.line.faults.all(),
        commands,
        commands_per_second: commands as f64 / written_for.as_secs_f64(),
        queries: run.line.queries(),
        followed: run.known.followed(),
        events: run.stage.events().await,
        lines,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { commands, commands_per_second, queries, followed, events, .. } = self;
        writeln!(f, "{commands} commands, {commands_per_second:.0} a second; {queries} queries; {events} events")?;
        writeln!(f, "{followed} acknowledged writes were asked for at their position")?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        for fault in &self.faults {
            writeln!(f, "FAULT {fault}")?;
        }
        Ok(())
    }
}
