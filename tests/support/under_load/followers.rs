//! Every acknowledged write is asked for at its position, in the lists of its kind: it must be there, no older than it
//! was acknowledged. As of its position, an object is what the acknowledgement said. No object goes back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Run;
use super::known::{Acknowledged, Kind, Object};
use super::line::Of;

const AT_ONCE: usize = 100;
const IDLE: Duration = Duration::from_millis(20);
/// So far a list is read for what was acknowledged last.
const PAGES_MAX: usize = 30;
const LOOK_AGAIN_EVERY: Duration = Duration::from_millis(150);

pub(super) async fn follow(run: Arc<Run>) {
    while run.goes_on() || run.known.waiting() > 0 && !run.line.faults.are_many() {
        let group = run.known.next(AT_ONCE);
        if group.is_empty() {
            tokio::time::sleep(IDLE).await;
            continue;
        }
        find_all(&run, &group).await;
        as_acknowledged(&run, &group[0]).await;
        run.known.note_followed(group.len());
    }
}

/// Reads the list of the group's kind from its newest on, until each is found.
async fn find_all(run: &Run, group: &[Acknowledged]) {
    let (kind, merchant) = (group[0].kind, &run.stage.merchants[group[0].object.merchant]);
    let mut missing: Vec<&Acknowledged> = group.iter().collect();
    let at_least = group.iter().map(|one| one.position).max();
    let mut cursor = String::new();
    for _ in 0..PAGES_MAX {
        let path = format!("{}?limit=100{cursor}", kind.list());
        let Some(page) = run.line.get(kind.list(), &path, &merchant.secret, Of { at_least, as_of: None }).await else {
            return;
        };
        for row in page.body["data"].as_array().into_iter().flatten() {
            let found = |one: &&Acknowledged| row[kind.name()] == one.object.id.as_str();
            if let Some(index) = missing.iter().position(found) {
                agrees(run, missing.swap_remove(index), row);
            }
        }
        match page.body["next_cursor"].as_str() {
            Some(next) if !missing.is_empty() => cursor = format!("&cursor={next}"),
            _ => break,
        }
    }
    for one in missing {
        run.line.faults.note(format!("{} of {} is not in {}", one.object.id, one.position, kind.list()));
    }
}

/// What never changes is as acknowledged, and the version no older.
fn agrees(run: &Run, acknowledged: &Acknowledged, row: &Value) {
    let told = &acknowledged.body;
    for fixed in ["merchant_id", "order_no", "amount", "total", "currency", "payment_id", "created_at"] {
        if told[fixed] != row[fixed] {
            run.line
                .faults
                .note(format!("{}: {fixed} is {} in the list of {told}", acknowledged.object.id, row[fixed]));
        }
    }
    if row["version"].as_u64() < told["version"].as_u64() {
        run.line.faults.note(format!("{} is older in the list than acknowledged: {row}", acknowledged.object.id));
    }
}

/// The object as of the position of its acknowledgement.
async fn as_acknowledged(run: &Run, one: &Acknowledged) {
    let path = match one.kind {
        Kind::Payment => format!("/payments/{}", one.object.id),
        Kind::PreAuth => format!("/pre-auths/{}", one.object.id),
        Kind::Order => format!("/orders/{}", one.object.id),
        Kind::Refund | Kind::Withdrawal => return,
    };
    let secret = &run.stage.merchants[one.object.merchant].secret;
    let of = Of { at_least: Some(one.position), as_of: Some(one.position) };
    if let Some(then) = run.line.get(&path, &path, secret, of).await
        && then.body != one.body
    {
        run.line.faults.note(format!("as of {} {path} is {}, acknowledged was {}", one.position, then.body, one.body));
    }
}

/// Looks again and again at payments and pre-auths that have no outcome yet, and makes those that can be refunded or
/// captured known to the writers.
pub(super) async fn watch_unfinished(run: Arc<Run>) {
    while run.goes_on() {
        tokio::time::sleep(LOOK_AGAIN_EVERY).await;
        let taken: Vec<(Kind, Object, u64)> = {
            let mut unfinished = run.known.unfinished.lock();
            let some = unfinished.len().min(AT_ONCE);
            unfinished.drain(..some).collect()
        };
        let (payments, held): (Vec<_>, Vec<_>) = taken.into_iter().partition(|(kind, ..)| *kind == Kind::Payment);
        look_at_payments(&run, payments).await;
        for (_, object, version) in held {
            let path = format!("/pre-auths/{}", object.id);
            let secret = &run.stage.merchants[object.merchant].secret;
            if let Some(answer) = run.line.get("/pre-auths/{id}", &path, secret, Of::default()).await {
                sort_out(&run, Kind::PreAuth, object, version, &answer.body);
            }
        }
    }
}

async fn look_at_payments(run: &Run, payments: Vec<(Kind, Object, u64)>) {
    let ids: Vec<&str> = payments.iter().map(|(_, object, _)| object.id.as_str()).collect();
    if ids.is_empty() {
        return;
    }
    let of = Of { at_least: Some(run.known.newest()), as_of: None };
    let Some(batch) = run.line.batch("/payments/batch", &run.stage.auditor, &json!({"ids": ids}), of).await else {
        return;
    };
    let found = batch.body["found"].as_array().cloned().unwrap_or_default();
    for (kind, object, version) in payments {
        match found.iter().find(|row| row["id"] == object.id.as_str()) {
            Some(row) => sort_out(run, kind, object, version, row),
            None => run.line.faults.note(format!("{} is missing in a batch", object.id)),
        }
    }
}

fn sort_out(run: &Run, kind: Kind, object: Object, seen: u64, row: &Value) {
    let version = row["version"].as_u64().unwrap_or_default();
    if version < seen {
        run.line.faults.note(format!("{} went back to version {version} from {seen}", object.id));
    }
    match row["status"].as_str() {
        Some("processing") => run.known.unfinished.lock().push_back((kind, object, version)),
        Some("succeeded") => run.known.refundable.add(object),
        Some("authorized") => run.known.capturable.add(object),
        _ => {}
    }
}
