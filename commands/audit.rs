//! Replays the whole log and checks what it alone can prove: invariants 1, 2, 3 (its half), 4, 5, 9 and 10 (of events).
//! What compares the log with the outside (commands, read models, a channel's book) stands with its adapter.

mod orders;
mod settled;

use std::collections::{HashMap, HashSet};

use domain::Decider;
use domain::chain::ChainHash;
use domain::invariants::{self, Books, Density, Violation};
use domain::order::Order;
use domain::payment::{Event, Payment, Record};
use domain::pre_auth::PreAuth;
use serde::Serialize;
use uuid::Uuid;

use self::settled::Unsettled;
use crate::aggregates::{self, Aggregate};
use crate::ports::{EventStore, RecordedEvent, StoreError, StreamState};

/// Events read at once.
const PAGE: usize = 5_000;

/// One line of a verification: what was checked, on how much, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub invariant: u8,
    pub name: &'static str,
    /// How many things were checked, in `unit`.
    pub figure: u64,
    pub unit: &'static str,
    pub ok: bool,
    /// The first thing that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Check {
    pub fn of(invariant: u8, name: &'static str, unit: &'static str, outcome: Result<u64, Violation>) -> Check {
        let (figure, ok, detail) = match outcome {
            Ok(figure) => (figure, true, None),
            Err(violation) => (0, false, Some(violation.detail)),
        };
        Check { invariant, name, figure, unit, ok, detail }
    }
}

/// A log replayed up to `position`, and the first violation of each invariant.
#[derive(Default)]
pub struct LogAudit {
    pub position: u64,
    pub books: Books,
    /// By category and id, as of `position`.
    streams: HashMap<&'static str, HashMap<String, StreamState>>,
    density: Density,
    previous: Option<ChainHash>,
    last_command: Option<Uuid>,
    commands: HashSet<Uuid>,
    unsettled: Unsettled,
    transactions: u64,
    violations: Vec<Violation>,
}

/// Replays everything up to the head of this moment; `progress` is told each position reached.
pub async fn replay(store: &dyn EventStore, mut progress: impl FnMut(u64)) -> Result<LogAudit, StoreError> {
    let head = store.head().await?;
    let mut audit = LogAudit::default();
    while audit.position < head {
        let left = usize::try_from(head - audit.position).unwrap_or(usize::MAX);
        let page = store.read_all(audit.position, PAGE.min(left)).await?;
        if page.is_empty() {
            return Err(StoreError::Corrupt(format!("the log ends at {} before its head {head}", audit.position)));
        }
        for event in &page {
            audit.take(event);
        }
        progress(audit.position);
    }
    Ok(audit)
}

impl LogAudit {
    /// The next event of the log.
    pub fn take(&mut self, event: &RecordedEvent) {
        let stream = &event.stream;
        let name = (stream.category.as_ref(), stream.id.as_str());
        let dense = self.density.next(event.position, name, event.version, event.recorded_at);
        self.note(dense);
        self.position = event.position;
        self.note(invariants::nothing_in_clear(event.position, &event.payload));
        self.chain(event);
        self.command(event);
        match aggregates::find(&stream.category) {
            Some(aggregate) => self.fold(aggregate, event),
            None => {
                let detail = format!("position {} is of no known category: {}", event.position, stream.category);
                self.note(Err(Violation::of(1, detail)));
            }
        }
    }

    fn chain(&mut self, event: &RecordedEvent) {
        let previous = self.previous.unwrap_or(ChainHash::GENESIS);
        self.note(invariants::chain_link(event.position, &event.hash, &event.expected_hash(&previous)));
        self.previous = Some(event.hash);
    }

    /// A command's events stand side by side; one that comes again later took effect twice.
    fn command(&mut self, event: &RecordedEvent) {
        let Ok(metadata) = event.metadata() else {
            return self.note(Err(Violation::of(3, format!("position {} has unreadable metadata", event.position))));
        };
        let command_id = metadata.command_id;
        if self.last_command == Some(command_id) {
            return;
        }
        self.last_command = Some(command_id);
        if !self.commands.insert(command_id) {
            self.note(Err(Violation::of(3, format!("command {command_id} took effect again at {}", event.position))));
        }
    }

    fn fold(&mut self, aggregate: &'static Aggregate, recorded: &RecordedEvent) {
        let entry = match aggregate.postings(recorded) {
            Ok(entry) => entry,
            Err(error) => return self.note(Err(Violation::of(1, error.to_string()))),
        };
        if let Some(entry) = &entry {
            self.transactions += 1;
            let posted = self.books.post(entry.legs());
            self.note(posted);
        }
        let settled = self.unsettled.take(recorded, entry.as_ref());
        self.note(settled);
        let streams = self.streams.entry(aggregate.category.name).or_default();
        let stream = streams.entry(recorded.stream.id.clone()).or_insert_with(|| aggregate.category.empty());
        let before = stream.clone();
        match aggregate.category.apply_recorded(&before, recorded) {
            Ok(after) => *stream = after,
            Err(error) => return self.note(Err(Violation::of(1, error.to_string()))),
        }
        if let (Some(state), Ok(event)) = (before.of::<Payment>(), recorded.decode::<Event>()) {
            self.note(invariants::captured_once(state, &event));
        }
    }

    fn note(&mut self, outcome: Result<(), Violation>) {
        if let Err(violation) = outcome
            && !self.violations.iter().any(|known| known.invariant == violation.invariant)
        {
            self.violations.push(violation);
        }
    }

    /// Every payment of the log as of its end.
    pub fn payments(&self) -> impl Iterator<Item = &Record> {
        self.states::<Payment>().filter_map(|state| state.record())
    }

    /// The state of every stream of an aggregate as of the log's end.
    pub fn states<D: Decider>(&self) -> impl Iterator<Item = &D::State> {
        let streams = self.streams.get(D::CATEGORY).into_iter().flat_map(HashMap::values);
        streams.filter_map(|stream| stream.of::<D>())
    }

    /// The ids of the commands that appended something.
    pub fn commands(&self) -> &HashSet<Uuid> {
        &self.commands
    }

    pub fn checks(&mut self) -> Vec<Check> {
        let (states, holds) = self.state_checks();
        self.note(states);
        let pre_auths = self.states::<PreAuth>().filter_map(|state| state.record());
        let agreed = orders::agree(self.streams.get(Order::CATEGORY), self.payments(), pre_auths);
        self.note(agreed);
        let available = self.books.available_balances();
        let held = available.and_then(|available| holds.map(|holds| available + holds));
        let held = held.map(|count| count as u64);
        let unequal = self.books.totals().into_iter().find(|(_, total)| total.debits != total.credits);
        if let Some((currency, _)) = unequal {
            self.note(Err(Violation::of(1, format!("the books do not balance in {currency}"))));
        }
        let figure = |invariant: u8, figure: u64| match self.violations.iter().find(|v| v.invariant == invariant) {
            Some(violation) => Err(violation.clone()),
            None => Ok(figure),
        };
        vec![
            Check::of(1, "debits equal credits", "transactions", figure(1, self.transactions)),
            Check::of(2, "versions and positions have no gap", "events", figure(2, self.density.events())),
            Check::of(3, "each command took effect once", "commands", figure(3, self.commands.len() as u64)),
            Check::of(4, "refunded <= captured <= authorised", "payments", figure(4, self.payments().count() as u64)),
            Check::of(5, "available >= 0 and each hold ends at zero", "accounts", held),
            Check::of(5, "each batch is what its window holds", "batches", figure(5, self.unsettled.batches)),
            Check::of(9, "the hash chain verifies", "events", figure(9, self.density.events())),
            Check::of(10, "no secret or personal datum in clear", "events", figure(10, self.density.events())),
        ]
    }

    fn state_checks(&self) -> (Result<(), Violation>, Result<usize, Violation>) {
        let known = || {
            aggregates::all().iter().flat_map(|aggregate| {
                let streams = self.streams.get(aggregate.category.name).into_iter().flat_map(HashMap::values);
                streams.map(move |stream| (aggregate, stream))
            })
        };
        let states = known().try_for_each(|(aggregate, stream)| aggregate.check(stream));
        let guarded = known().flat_map(|(aggregate, stream)| aggregate.guarded(stream));
        (states, invariants::holds(&self.books, guarded))
    }
}
