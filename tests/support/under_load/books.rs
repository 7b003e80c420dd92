//! The books in each answer: both sides sum up, sums agree with what they are made of, merchants' balances with their
//! accounts, and what was true at a position stays true of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::Run;
use super::line::Of;

const PAUSE: Duration = Duration::from_millis(200);
/// Merchants' balances and the accounts whose sums they are.
const BALANCES: [&str; 2] = ["pending", "available"];
/// How many answers about the past are asked for again.
const REMEMBERED: usize = 8;

pub(super) async fn ask(run: Arc<Run>) {
    let mut past: Vec<(u64, Value)> = vec![];
    for round in 0.. {
        if !run.goes_on() {
            return;
        }
        if let Some((position, trial)) = trial_balance(&run).await {
            balances_agree(&run, position, &trial).await;
            past.push((position, trial));
            let (then, expected) = &past[round % past.len()];
            past_is_past(&run, *then, expected).await;
            if past.len() > REMEMBERED {
                past.remove(1);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The trial balance at its position, held against itself.
async fn trial_balance(run: &Run) -> Option<(u64, Value)> {
    let of = Of { at_least: Some(run.known.newest()), as_of: None };
    let answer = run.line.get("trial balance", "/ledger/trial-balance", &run.stage.finance[0], of).await?;
    for currency in answer.body["currencies"].as_array().into_iter().flatten() {
        let accounts = currency["accounts"].as_array().cloned().unwrap_or_default();
        let sum = |side: &str| accounts.iter().map(|account| figure(&account[side])).sum::<i128>();
        let told = (figure(&currency["debits"]), figure(&currency["credits"]));
        if told.0 != told.1 || told != (sum("debits"), sum("credits")) {
            run.line.faults.note(format!("the trial balance at {:?} does not add up: {currency}", answer.position));
        }
    }
    Some((answer.position?, answer.body))
}

async fn balances_agree(run: &Run, position: u64, trial: &Value) {
    let of = Of { at_least: None, as_of: Some(position) };
    let Some(answer) = run.line.get("balances", "/balances", &run.stage.finance[0], of).await else { return };
    let mut sums: BTreeMap<(String, &str), i128> = BTreeMap::new();
    for currency in trial["currencies"].as_array().into_iter().flatten() {
        for account in currency["accounts"].as_array().into_iter().flatten() {
            let path = account["account"].as_str().unwrap_or_default();
            let kind =
                BALANCES.iter().find(|kind| path.starts_with("merchant:") && path.ends_with(&format!(":{kind}")));
            if let Some(kind) = kind {
                let key = (super::stage::text(&currency["currency"]), *kind);
                *sums.entry(key).or_default() += figure(&account["balance"]);
            }
        }
    }
    for balance in answer.body["balances"].as_array().into_iter().flatten() {
        for kind in BALANCES {
            let expected = sums.remove(&(super::stage::text(&balance["currency"]), kind)).unwrap_or_default();
            if figure(&balance[kind]) != expected {
                run.line.faults.note(format!("at {position} {kind} of {balance} is not {expected}"));
            }
        }
    }
    sums.retain(|_, sum| *sum != 0);
    if !sums.is_empty() {
        run.line.faults.note(format!("at {position} the balances lack {sums:?}"));
    }
}

/// Whichever generation answers.
async fn past_is_past(run: &Run, position: u64, expected: &Value) {
    let of = Of { at_least: None, as_of: Some(position) };
    let answer = run.line.get("past", "/ledger/trial-balance", &run.stage.finance[0], of).await;
    if let Some(answer) = answer
        && answer.body["currencies"] != expected["currencies"]
    {
        run.line.faults.note(format!("the trial balance as of {position} is {}, and was {expected}", answer.body));
    }
}

fn figure(value: &Value) -> i128 {
    value.as_i64().map(i128::from).unwrap_or(i128::MIN)
}
