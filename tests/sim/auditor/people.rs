//! What people must agree to: never whoever asked, never the same person twice, and nothing goes on without them
//! (invariant 4); an adjustment that was approved is posted once, and no other is (5). At the end nothing waits (8).

use std::collections::{BTreeMap, BTreeSet};

use commands::ports::RecordedEvent;
use serde_json::Value;

use super::{minor, text};
use crate::finding::Finding;

#[derive(Debug, Default)]
struct Case {
    /// Empty if nobody did: it was its time.
    asked_by: String,
    needed: i128,
    agreed: BTreeSet<String>,
    is_refused: bool,
    /// It neither went on nor was refused for good.
    is_open: bool,
}

/// By the stream that it is about.
#[derive(Default)]
pub struct People {
    cases: BTreeMap<String, Case>,
    /// Adjustments that a merchant's account has posted.
    posted: BTreeSet<String>,
}

impl People {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        let wrong = |number: u8, detail: &str| {
            let (id, position) = (&event.stream.id, event.position);
            Err(Finding::of(number, format!("{id} at position {position}: {detail}")))
        };
        if event.event_type.starts_with("merchant_account.") {
            let adjustment = text(body, "adjustment_id");
            let is_new = adjustment.is_empty() || self.posted.insert(adjustment.to_owned());
            return if is_new { Ok(()) } else { wrong(5, "an adjustment is posted twice") };
        }
        if !["withdrawal.", "adjustment.", "settlement."].iter().any(|category| event.event_type.starts_with(category))
        {
            return Ok(());
        }
        let case = self.cases.entry(event.stream.id.clone()).or_default();
        match event.event_type.as_str() {
            "withdrawal.requested" => case.open(body, minor(body, "approvals_needed")),
            "adjustment.proposed" => case.open(body, 1),
            "settlement.closed" => {
                let needed = body.get("needs_approval").and_then(Value::as_bool).unwrap_or_default();
                case.open(body, i128::from(needed && minor(body, "net") > 0));
            }
            "withdrawal.approved" | "adjustment.approved" | "settlement.approved" => {
                let by = text(body, "approved_by").to_owned();
                if by == case.asked_by {
                    return wrong(4, "whoever asked has approved it");
                }
                if !case.agreed.insert(by) && !case.is_refused {
                    return wrong(4, "the same person has approved it twice");
                }
                case.is_refused = false;
                let is_posted = body.get("legs").is_some() || self.posted.contains(&event.stream.id);
                if event.event_type.starts_with("adjustment.") {
                    case.is_open = false;
                    return if is_posted { Ok(()) } else { wrong(5, "it was approved and is not posted") };
                }
            }
            "settlement.held" => case.is_refused = true,
            "withdrawal.rejected" | "withdrawal.cancelled" | "adjustment.rejected" => {
                (case.is_refused, case.is_open) = (true, false);
            }
            "withdrawal.sending_started" | "settlement.released" => {
                let agreed = i128::try_from(case.agreed.len()).unwrap_or(i128::MAX);
                if agreed < case.needed || case.is_refused {
                    return wrong(4, "it went on without people's agreement");
                }
                case.is_open = false;
            }
            _ => {}
        }
        Ok(())
    }

    pub fn have_decided(&self) -> Result<(), Finding> {
        match self.cases.iter().find(|(_, case)| case.is_open) {
            Some((id, case)) => Err(Finding::of(8, format!("{id} waits: {case:?}"))),
            None => Ok(()),
        }
    }
}

impl Case {
    fn open(&mut self, body: &Value, needed: i128) {
        (self.asked_by, self.needed, self.is_open) = (text(body, "requested_by").to_owned(), needed, true);
    }
}
