//! Each order's number is taken by one live payment or pre-auth at a time (invariant 4).

use std::collections::BTreeMap;

use commands::ports::RecordedEvent;
use serde_json::Value;

use super::text;
use crate::finding::Finding;

#[derive(Default)]
pub struct Orders {
    /// Who has which, by the id of the payment or pre-auth.
    live: BTreeMap<String, (String, String)>,
    /// Of each pre-auth, how many captures took money or may, and whether more can come.
    captures: BTreeMap<String, (usize, bool)>,
}

impl Orders {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        let id = &event.stream.id;
        let is_capture = !text(body, "pre_auth_id").is_empty();
        match event.event_type.as_str() {
            "payment.created" if is_capture => Ok(()),
            "payment.created" | "pre_auth.created" => self.claim(event, body),
            "payment.failed"
            | "payment.cancelled"
            | "payment.expired"
            | "payment.cancellation_requested"
            | "pre_auth.failed"
            | "pre_auth.cancelled"
            | "pre_auth.expired"
            | "pre_auth.cancellation_requested" => {
                self.live.remove(id);
                Ok(())
            }
            "pre_auth.capture_requested" => self.count(id, |(captures, _)| *captures += 1),
            "pre_auth.capture_failed" => self.count(id, |(captures, _)| *captures -= 1),
            "pre_auth.closed" => self.count(id, |(_, is_closed)| *is_closed = true),
            _ => Ok(()),
        }
    }

    fn claim(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        let order = (text(body, "merchant_id").to_owned(), text(body, "order_no").to_owned());
        if let Some((other, _)) = self.live.iter().find(|(_, taken)| **taken == order) {
            let id = &event.stream.id;
            return Err(Finding::of(4, format!("{id} takes order {order:?}, which {other} has")));
        }
        self.live.insert(event.stream.id.clone(), order);
        Ok(())
    }

    /// A pre-auth that is closed and took nothing is no longer in the way.
    fn count(&mut self, id: &str, change: impl FnOnce(&mut (usize, bool))) -> Result<(), Finding> {
        let counted = self.captures.entry(id.to_owned()).or_default();
        change(counted);
        if *counted == (0, true) {
            self.live.remove(id);
        }
        Ok(())
    }
}
