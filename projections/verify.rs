//! Compares read models with the log: what their tables say at one exact position with what the domain's own code makes
//! of every event up to there, in memory. Writes nothing.

mod analytics;
mod books;
mod channel_operations;
mod payments;
mod statements;
mod streams;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use commands::ports::{EventStore, RecordedEvent};

use crate::adjustments::Adjustments;
use crate::disputes::Disputes;
use crate::merchants::Merchants;
use crate::payments::Payments;
use crate::reconciliations::{ReconciliationExceptions, Reconciliations};
use crate::settlements::Settlements;
use crate::withdrawals::{BankAccounts, Withdrawals};
use crate::{ApplyError, ParkedStream, Projection, ReadError, Reader, Snapshot};

/// Differences that are told; more of them say nothing new.
const TOLD_MAX: usize = 20;
const PAGE: usize = 2_000;

/// What came of comparing one read model with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    pub projection: &'static str,
    /// Up to which both sides were compared.
    pub position: u64,
    /// Rows that the log asks for.
    pub checked: usize,
    /// The first rows that differ, and how.
    pub differences: Vec<String>,
}

impl Verification {
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Compares the projection `name` with the log; `None` if there is no such projection.
pub async fn verify(reader: &Reader, store: &dyn EventStore, name: &str) -> Result<Option<Verification>, ReadError> {
    Ok(Some(match name {
        "adjustments" => streams::verify::<Adjustments>(reader, store, &Adjustments).await?,
        "analytics" => analytics::verify(reader, store).await?,
        "bank_accounts" => streams::verify::<BankAccounts>(reader, store, &BankAccounts).await?,
        "books" => books::verify(reader, store).await?,
        "channel_operations" => channel_operations::verify(reader, store).await?,
        "disputes" => streams::verify::<Disputes>(reader, store, &Disputes).await?,
        "merchants" => streams::verify::<Merchants>(reader, store, &Merchants).await?,
        "orders" => payments::verify_orders(reader, store).await?,
        "payments" => streams::verify::<Payments>(reader, store, &Payments).await?,
        "pre_auths" => streams::verify(reader, store, &crate::pre_auths::PreAuths).await?,
        "reconciliation_exceptions" => {
            streams::verify::<ReconciliationExceptions>(reader, store, &ReconciliationExceptions).await?
        }
        "reconciliations" => streams::verify::<Reconciliations>(reader, store, &Reconciliations).await?,
        "refunds" => payments::verify_refunds(reader, store).await?,
        "settlements" => streams::verify::<Settlements>(reader, store, &Settlements).await?,
        "statements" => statements::verify(reader, store).await?,
        "withdrawals" => streams::verify::<Withdrawals>(reader, store, &Withdrawals).await?,
        _ => return Ok(None),
    }))
}

/// Compares every projection with the log (invariant 7).
pub async fn verify_all(reader: &Reader, store: &dyn EventStore) -> Result<Vec<Verification>, ReadError> {
    let mut verifications = vec![];
    for projection in crate::all() {
        verifications.extend(verify(reader, store, projection.name()).await?);
    }
    Ok(verifications)
}

/// Rows by what names them, each as a text that is equal exactly if the rows are.
type Rows = HashMap<String, String>;

/// A row that is too long to be kept, as 64 bits of it: enough against mistakes, which is what is looked for here.
fn digest(row: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    row.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// What a read model had seen of the log when it was looked at.
struct Seen {
    position: u64,
    parked: Vec<ParkedStream>,
}

impl Seen {
    async fn by(view: &mut Snapshot, projection: &dyn Projection) -> Result<Seen, ReadError> {
        Ok(Seen { position: view.position, parked: view.parked(projection).await? })
    }

    /// Whether the event waits in a parked stream.
    fn misses(&self, event: &RecordedEvent) -> bool {
        let of_stream = |parked: &&ParkedStream| {
            parked.id == event.stream.id && parked.category == event.stream.category && parked.version <= event.version
        };
        self.parked.iter().any(|parked| of_stream(&parked))
    }
}

/// Hands every event that was seen to `each`, in order.
async fn replay(
    store: &dyn EventStore,
    seen: &Seen,
    mut each: impl FnMut(&RecordedEvent) -> Result<(), ApplyError> + Send,
) -> Result<(), ReadError> {
    let (mut reached, position) = (0, seen.position);
    while reached < position {
        let page = store.read_all(reached, PAGE).await?;
        for event in page.iter().filter(|event| event.position <= position && !seen.misses(event)) {
            each(event)?;
        }
        match page.last() {
            Some(last) => reached = last.position,
            None => return Err(ReadError::Damaged(format!("the log ends at {reached}, before {position}"))),
        }
    }
    Ok(())
}

fn compare(projection: &'static str, seen: &Seen, log: &Rows, mut tables: Rows) -> Verification {
    let mut differences: Vec<String> = vec![];
    for (name, expected) in log {
        match tables.remove(name) {
            Some(found) if found == *expected => {}
            Some(found) => differences.push(format!("{name}: {found} instead of {expected}")),
            None => differences.push(format!("{name}: missing, {expected} expected")),
        }
    }
    differences.extend(tables.iter().map(|(name, found)| format!("{name}: {found}, which the log knows nothing of")));
    differences.sort();
    // A stream that waits is a difference too: the log says more than the read model.
    let mut told: Vec<String> = seen.parked.iter().map(ParkedStream::to_string).collect();
    told.extend(differences);
    told.truncate(TOLD_MAX);
    Verification { projection, position: seen.position, checked: log.len(), differences: told }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(&str, &str)]) -> Rows {
        rows.iter().map(|(name, row)| ((*name).to_owned(), (*row).to_owned())).collect()
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let seen = Seen { position: 9, parked: vec![] };
        let log = rows(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let verification = compare("books", &seen, &log, rows(&[("a", "1"), ("b", "5"), ("d", "4")]));
        let expected =
            ["b: 5 instead of 2", "c: missing, 3 expected", "d: 4, which the log knows nothing of"].map(str::to_owned);
        assert_eq!((verification.checked, verification.differences), (3, expected.to_vec()));
        assert!(compare("books", &seen, &log, log.clone()).is_clean());
    }
}
