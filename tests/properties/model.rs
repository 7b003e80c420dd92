//! One aggregate under test, its type erased: what every aggregate must do, whatever it is about.

use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::invariants::Books;
use domain::{Decider, DomainEvent, Holding, Rejection, Timestamp};

use crate::draw::Draw;

/// How random commands of one aggregate look.
pub trait Model: 'static {
    type D: Decider;

    /// Which of the streams of this aggregate.
    const STREAMS: u128 = 2;

    /// A command on this state, plausible or not.
    fn command(
        stream: u128,
        state: &<Self::D as Decider>::State,
        draw: &Draw,
        now: Timestamp,
    ) -> <Self::D as Decider>::Command;
}

pub trait Stream {
    /// Decides one random command, and checks all that concerns this stream alone.
    fn step(&mut self, draw: &Draw, now: Timestamp, books: &mut Books) -> Result<Vec<&'static str>, String>;

    fn guarded(&self) -> Vec<Holding>;

    fn types(&self) -> Vec<&'static str>;
}

struct Folded<M: Model> {
    stream: u128,
    state: <M::D as Decider>::State,
    /// What happened, also to states that this one has left behind.
    events: Vec<<M::D as Decider>::Event>,
}

/// Every stream of one aggregate.
pub fn streams<M: Model>() -> impl Iterator<Item = Box<dyn Stream>> {
    let stream = |stream| Folded::<M> { stream, state: <M::D as Decider>::State::default(), events: vec![] };
    (1..=M::STREAMS).map(move |number| Box::new(stream(number)) as Box<dyn Stream>)
}

impl<M: Model> Stream for Folded<M> {
    fn step(&mut self, draw: &Draw, now: Timestamp, books: &mut Books) -> Result<Vec<&'static str>, String> {
        let before = self.state.clone();
        let command = M::command(self.stream, &before, draw, now);
        let stepped = catch_unwind(AssertUnwindSafe(|| self.decide(command.clone(), draw, books)));
        let stepped = stepped.unwrap_or_else(|_| Err("a panic".to_owned()));
        stepped.map_err(|broken| format!("{broken}\n  on {before:?}\n  by {command:?}"))
    }

    fn guarded(&self) -> Vec<Holding> {
        M::D::guarded(&self.state)
    }

    fn types(&self) -> Vec<&'static str> {
        <M::D as Decider>::Event::TYPES.iter().map(|(name, _)| *name).collect()
    }
}

impl<M: Model> Folded<M> {
    fn decide(
        &mut self,
        command: <M::D as Decider>::Command,
        draw: &Draw,
        books: &mut Books,
    ) -> Result<Vec<&'static str>, String> {
        let decided = M::D::decide(&self.state, command.clone());
        if decided != M::D::decide(&self.state, command.clone()) {
            return Err("the same command on the same state is decided in two ways".to_owned());
        }
        self.fold_anything(draw);
        let events = match decided {
            Ok(events) => events,
            Err(rejection) => return is_told_well(&rejection).map(|()| vec![]),
        };
        for event in &events {
            reads_back(event)?;
            if let Some(entry) = event.postings() {
                books.post(entry.legs()).map_err(|violation| violation.to_string())?;
            }
            self.state = M::D::evolve(self.state.clone(), event);
        }
        M::D::check(&self.state).map_err(|violation| violation.to_string())?;
        self.moves_money_once(command)?;
        self.state_reads_back()?;
        let types = events.iter().map(DomainEvent::event_type).collect();
        self.events.extend(events);
        Ok(types)
    }

    /// A command that comes again, under whatever key, finds what it asked for done: it moves nothing more.
    fn moves_money_once(&self, command: <M::D as Decider>::Command) -> Result<(), String> {
        let again = M::D::decide(&self.state, command).unwrap_or_default();
        match again.iter().find(|event| event.postings().is_some()) {
            Some(event) => Err(format!("the same command again moves money again: {event:?}")),
            None => Ok(()),
        }
    }

    /// A fold cannot fail, whichever event comes to whichever state: it must not panic on a log that a bug wrote.
    fn fold_anything(&self, draw: &Draw) {
        if !self.events.is_empty() {
            let stray = &self.events[usize::from(draw.kind) % self.events.len()];
            let lost = M::D::evolve(M::D::evolve(self.state.clone(), stray), stray);
            let _ = M::D::guarded(&lost);
            let _ = M::D::check(&lost);
            let _ = M::D::evolve(<M::D as Decider>::State::default(), stray);
        }
    }

    /// States are kept in snapshots.
    fn state_reads_back(&self) -> Result<(), String> {
        let text = serde_json::to_string(&self.state).map_err(|error| error.to_string())?;
        let read: <M::D as Decider>::State = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
        if read == self.state { Ok(()) } else { Err(format!("the state reads back as another: {text}")) }
    }
}

fn reads_back<E: DomainEvent>(event: &E) -> Result<(), String> {
    let text = serde_json::to_string(event).map_err(|error| error.to_string())?;
    let read: E = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
    if read != *event {
        return Err(format!("the event reads back as another: {text}"));
    }
    let is_known = E::TYPES.iter().any(|(name, _)| *name == event.event_type());
    let is_tagged = text.starts_with(&format!("{{\"{}\":", event.event_type()));
    if is_known && is_tagged { Ok(()) } else { Err(format!("the event's type is not its tag: {text}")) }
}

fn is_told_well<R: Rejection>(rejection: &R) -> Result<(), String> {
    let code = rejection.code();
    let is_snake_case = code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let points = rejection.pointer().is_none_or(|pointer| pointer.starts_with('/'));
    let is_well = !code.is_empty() && is_snake_case && points && !rejection.to_string().is_empty();
    if is_well { Ok(()) } else { Err(format!("a rejection that cannot be told: {rejection:?}")) }
}
