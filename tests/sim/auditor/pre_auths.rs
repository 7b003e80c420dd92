//! Each pre-auth as the log tells it: captures never take more than is held (invariant 4), the channel holds and took what
//! the log says (6), and at the end nobody's money is held for nothing (8).

use std::collections::BTreeMap;

use commands::ports::RecordedEvent;
use serde_json::Value;

use super::{minor, text};
use crate::channel::{Book, ChargeState, HoldState};
use crate::finding::Finding;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Capture {
    InFlight(i128),
    Made(i128),
    /// After it had been called failed: a fact that nobody could refuse.
    MadeLate(i128),
    Failed,
}

#[derive(Debug, Default)]
struct PreAuth {
    asked: i128,
    /// None until it was authorised.
    held: Option<i128>,
    captures: BTreeMap<String, Capture>,
    /// No more can be captured.
    is_closed: bool,
    /// Before anything was held.
    is_over: bool,
}

#[derive(Default)]
pub struct PreAuths {
    by_id: BTreeMap<String, PreAuth>,
}

impl PreAuths {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        let Some(kind) = event.event_type.strip_prefix("pre_auth.") else { return Ok(()) };
        let id = &event.stream.id;
        let wrong = |detail: &str| Err(Finding::of(4, format!("{id} at position {}: {detail}", event.position)));
        let pre_auth = self.by_id.entry(id.clone()).or_default();
        let (payment, amount) = (text(body, "payment_id").to_owned(), minor(body, "amount"));
        match kind {
            "created" => pre_auth.asked = amount,
            "authorized" if amount > pre_auth.asked || pre_auth.held.is_some() => {
                return wrong("more is held than was asked for");
            }
            "authorized" => pre_auth.held = Some(amount),
            "capture_requested" if pre_auth.is_closed => return wrong("it is captured after its end"),
            "capture_requested" => drop(pre_auth.captures.insert(payment, Capture::InFlight(amount))),
            "captured" => match pre_auth.captures.insert(payment, Capture::Made(amount)) {
                Some(Capture::InFlight(asked)) if amount <= asked => {}
                _ => return wrong("a capture took what nobody asked for"),
            },
            "capture_failed" => drop(pre_auth.captures.insert(payment, Capture::Failed)),
            "captured_late" => drop(pre_auth.captures.insert(payment, Capture::MadeLate(amount))),
            "closed" => pre_auth.is_closed = true,
            "failed" | "cancelled" | "expired" => pre_auth.is_over = true,
            _ => {}
        }
        if pre_auth.taken() > pre_auth.held.unwrap_or_default() {
            return wrong("captures take more than is held");
        }
        Ok(())
    }

    pub fn have_ended(&self) -> Result<(), Finding> {
        let waits = |pre_auth: &&PreAuth| {
            let in_flight = pre_auth.captures.values().any(|capture| matches!(capture, Capture::InFlight(_)));
            in_flight || !(pre_auth.is_over || pre_auth.is_closed)
        };
        match self.by_id.iter().find(|(_, pre_auth)| waits(pre_auth)) {
            Some((id, pre_auth)) => Err(Finding::of(8, format!("{id} has not ended: {pre_auth:?}"))),
            None => Ok(()),
        }
    }

    pub fn agree_with(&self, provider: &Book) -> Result<(), Finding> {
        for hold in provider.holds() {
            let id = hold.pre_auth_id.to_string();
            let holds = provider.holds().filter(|other| other.pre_auth_id == hold.pre_auth_id).count();
            if holds > 1 || !self.by_id.contains_key(&id) {
                return Err(Finding::of(6, format!("the channel has {holds} holds for {id}")));
            }
            let waits = matches!(hold.state, HoldState::Accepted | HoldState::ActionRequired);
            if waits || provider.capturable(hold.pre_auth_id) > 0 {
                return Err(Finding::of(8, format!("the channel holds money for nothing: {hold:?}")));
            }
        }
        for (id, pre_auth) in &self.by_id {
            let of_it =
                provider.charges().filter(|charge| charge.pre_auth_id.is_some_and(|held| held.to_string() == *id));
            let took = of_it.filter(|charge| charge.state == ChargeState::Captured);
            let took: i128 = took.map(|charge| i128::from(charge.amount)).sum();
            if took != pre_auth.made() || took > pre_auth.held.unwrap_or_default() {
                return Err(Finding::of(6, format!("{id}: the channel took {took} of {pre_auth:?}")));
            }
        }
        Ok(())
    }
}

impl PreAuth {
    /// What captures took or may take, but for what came too late to be refused.
    fn taken(&self) -> i128 {
        let taken = |capture: &Capture| match capture {
            Capture::InFlight(amount) | Capture::Made(amount) => *amount,
            Capture::MadeLate(_) | Capture::Failed => 0,
        };
        self.captures.values().map(taken).sum()
    }

    fn made(&self) -> i128 {
        let made = |capture: &Capture| match capture {
            Capture::Made(amount) | Capture::MadeLate(amount) => *amount,
            Capture::InFlight(_) | Capture::Failed => 0,
        };
        self.captures.values().map(made).sum()
    }
}
