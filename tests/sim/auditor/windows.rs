//! Everything that moves a pending balance is settled exactly once: batches are windows of the log without gap or
//! overlap, and each holds what the auditor itself counts in it (invariant 5).

use std::collections::BTreeMap;

use commands::ports::RecordedEvent;
use serde_json::Value;

use super::books::Entry;
use super::{minor, text};
use crate::finding::Finding;

#[derive(Default)]
pub struct Windows {
    /// By pending account and currency.
    open: BTreeMap<(String, String), Window>,
}

/// What has come in since the last batch.
#[derive(Default)]
struct Window {
    from: i128,
    /// Position and credit, oldest first.
    items: Vec<(i128, i128)>,
}

impl Windows {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value, entry: Option<&Entry>) -> Result<(), Finding> {
        let position = i128::from(event.position);
        if event.event_type == "merchant_account.settlement_closed" {
            return self.close(event.position, body);
        }
        let Some(entry) = entry.filter(|_| !event.event_type.starts_with("merchant_account.")) else { return Ok(()) };
        let mut moved: BTreeMap<&String, i128> = BTreeMap::new();
        for (account, amount) in
            entry.lines.iter().filter(|(account, amount)| account.ends_with(":pending") && *amount != 0)
        {
            *moved.entry(account).or_default() -= amount;
        }
        for (account, credit) in moved {
            let window = self.open.entry((account.clone(), entry.currency.clone())).or_default();
            window.items.push((position, credit));
        }
        Ok(())
    }

    fn close(&mut self, position: u64, body: &Value) -> Result<(), Finding> {
        let pending = format!("merchant:{}:pending", text(body, "merchant_id"));
        let window = self.open.entry((pending, text(body, "currency").to_owned())).or_default();
        let (from, to) = (minor(body, "from"), minor(body, "to"));
        let settled: Vec<i128> = window.items.iter().filter(|(at, _)| *at <= to).map(|(_, credit)| *credit).collect();
        let counted = (window.from, settled.iter().sum::<i128>(), settled.len() as i128);
        let told = (from, minor(body, "net"), minor(body, "items"));
        if counted != told || to >= i128::from(position) {
            let detail =
                format!("the batch at {position} has (from, net, items) {told:?} to {to}, counted are {counted:?}");
            return Err(Finding::of(5, detail));
        }
        window.items.retain(|(at, _)| *at > to);
        window.from = to;
        Ok(())
    }
}
