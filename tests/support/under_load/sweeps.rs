//! Lists from their first page to their last while rows are added and generations change: nothing comes twice, and what
//! was there when the first page was asked for is on one of them.

use std::collections::HashSet;
use std::sync::Arc;

use super::Run;
use super::known::Kind;
use super::line::{Of, sign};
use super::stage::text;

/// Lists of other objects, and of which field their rows differ in.
const OTHERS: [(&str, &str); 6] = [
    ("/settlements", "id"),
    ("/disputes", "id"),
    ("/merchants", "id"),
    ("/ledger/adjustments", "id"),
    ("/bank-accounts", "id"),
    ("/reconciliation/exceptions", "id"),
];

pub(super) async fn sweep(run: Arc<Run>) {
    let mut merchant = 0;
    while run.goes_on() {
        for kind in Kind::ALL {
            let expected = run.known.made.pool(kind).of(merchant);
            let secret = run.stage.merchants[merchant].secret.clone();
            let seen = walk(&run, kind.list(), &secret, kind.name(), run.known.newest()).await;
            let lost: Vec<&String> = expected.iter().filter(|id| !seen.contains(*id)).collect();
            if !lost.is_empty() && run.goes_on() {
                run.line.faults.note(format!("{} has lost {} rows, such as {}", kind.list(), lost.len(), lost[0]));
            }
        }
        for (list, name) in OTHERS {
            let secret = if list == "/merchants" { &run.stage.admin } else { &run.stage.finance[0] };
            walk(&run, list, secret, name, 0).await;
        }
        merchant = (merchant + 1) % run.stage.merchants.len();
    }
}

/// Every row of a list by its name.
pub(super) async fn walk(run: &Run, list: &str, secret: &str, name: &str, at_least: u64) -> HashSet<String> {
    let (mut seen, mut cursor) = (HashSet::new(), String::new());
    let of = Of { at_least: (at_least > 0).then_some(at_least), as_of: None };
    loop {
        let path = format!("{list}{}limit=100{cursor}", sign(list));
        let Some(page) = run.line.get(list, &path, secret, of).await else { return seen };
        for row in page.body["data"].as_array().into_iter().flatten() {
            if !seen.insert(text(&row[name])) {
                run.line.faults.note(format!("{list} has {} twice", row[name]));
            }
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}
