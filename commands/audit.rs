//! Replays the whole log and checks what it alone can prove: invariants 1, 2, 3 (its half), 4, 5 and 9.
//! What compares the log with the outside (commands, read models, a channel's book) stands with its adapter.

use std::collections::{HashMap, HashSet};

use domain::chain::ChainHash;
use domain::invariants::{self, Books, Density, Violation};
use domain::merchant::Merchant;
use domain::order_claim::OrderClaim;
use domain::payment::{Event, Payment, Record, State};
use domain::{Decider, DomainEvent};
use serde::Serialize;
use uuid::Uuid;

use crate::ports::{EventStore, RecordedEvent, StoreError};

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
    payments: HashMap<String, State>,
    density: Density,
    previous: Option<ChainHash>,
    last_command: Option<Uuid>,
    commands: HashSet<Uuid>,
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
        self.chain(event);
        self.command(event);
        match stream.category.as_ref() {
            Payment::CATEGORY => self.payment(event),
            OrderClaim::CATEGORY => self.readable::<OrderClaim>(event),
            Merchant::CATEGORY => self.readable::<Merchant>(event),
            unknown => {
                self.note(Err(Violation::of(
                    1,
                    format!("position {} is of no known category: {unknown}", event.position),
                )));
            }
        }
    }

    /// What posts nothing must be readable all the same.
    fn readable<D: Decider>(&mut self, recorded: &RecordedEvent) {
        let read = recorded.decode::<D::Event>();
        self.note(read.map(drop).map_err(|error| Violation::of(1, error.to_string())));
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

    fn payment(&mut self, recorded: &RecordedEvent) {
        let event = match recorded.decode::<Event>() {
            Ok(event) => event,
            Err(error) => return self.note(Err(Violation::of(1, error.to_string()))),
        };
        if let Some(entry) = event.postings() {
            self.transactions += 1;
            let posted = self.books.post(entry.legs());
            self.note(posted);
        }
        let state = self.payments.remove(&recorded.stream.id).unwrap_or_default();
        self.note(invariants::captured_once(&state, &event));
        self.payments.insert(recorded.stream.id.clone(), Payment::evolve(state, &event));
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
        self.payments.values().filter_map(State::record)
    }

    /// The ids of the commands that appended something.
    pub fn commands(&self) -> &HashSet<Uuid> {
        &self.commands
    }

    pub fn checks(&mut self) -> Vec<Check> {
        let (amounts, holds) = self.payment_checks();
        self.note(amounts);
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
            Check::of(4, "refunded <= captured <= authorised", "payments", figure(4, self.payments.len() as u64)),
            Check::of(5, "available >= 0 and each hold ends at zero", "accounts", held),
            Check::of(9, "the hash chain verifies", "events", figure(9, self.density.events())),
        ]
    }

    fn payment_checks(&self) -> (Result<(), Violation>, Result<usize, Violation>) {
        let amounts = self.payments().try_for_each(invariants::payment_amounts);
        (amounts, invariants::holds(&self.books, self.payments()))
    }
}
