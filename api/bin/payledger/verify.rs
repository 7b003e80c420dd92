//! `payledger verify`: every invariant on the whole store, a line each. Ends with 3 if one is broken.

mod authorizations;
pub mod channel_book;
mod channel_payouts;
mod progress;

use std::process::ExitCode;

use adapters::event_store::postgres::audit::first_unrecorded;
use commands::audit::{self, Check, LogAudit};
use domain::channel_account::ChannelAccount;
use domain::invariants::Violation;
use domain::pre_auth::PreAuth;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli;
use crate::dev::credentials;
use crate::ledger::Ledger;
use crate::operator::Operator;
use crate::output;

pub async fn run(flags: cli::Verify, as_json: bool) -> anyhow::Result<ExitCode> {
    let operator = Operator::open(&flags.database).await?;
    let sandbox_url = flags.sandbox_url.or_else(|| credentials::sandbox_of_dev(&flags.database.data_dir));
    let checks = checks(&operator.ledger, sandbox_url.as_deref()).await?;
    if sandbox_url.is_none() {
        eprintln!("Invariant 6 was NOT checked: no channel's book was named with --sandbox-url.");
    }
    operator.close().await?;
    let ok = checks.iter().all(|check| check.ok);
    if as_json {
        output::json(&json!({"ok": ok, "checks": checks}))?;
    } else {
        show(&checks);
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(output::DIFFERENCE) })
}

/// Every check on the whole store; `sandbox_url` names the channel whose book is compared.
pub async fn checks(ledger: &Ledger, sandbox_url: Option<&str>) -> anyhow::Result<Vec<Check>> {
    let store = ledger.store.as_ref();
    let progress = ProgressBar::new(store.head().await?)
        .with_style(ProgressStyle::with_template("verifying {wide_bar} {pos}/{len} events {per_sec} eta {eta}")?);
    let mut audit = audit::replay(store, |position| progress.set_position(position)).await?;
    progress.finish_and_clear();
    let mut checks = audit.checks();
    checks.push(commands_check(ledger, &audit).await?);
    let moving = progress::moving(ledger).await?;
    checks.push(Check::of(8, "each saga is on the agenda and moves", "sagas", moving));
    if let Some(url) = sandbox_url {
        checks.extend(channel_checks(&audit, url).await?);
    }
    checks.extend(projection_checks(ledger).await?);
    checks.sort_by_key(|check| check.invariant);
    Ok(checks)
}

/// Invariant 6 takes the channel's side too. A check that did not take place is no line: it must not pass for one that
/// found nothing.
async fn channel_checks(audit: &LogAudit, sandbox_url: &str) -> anyhow::Result<[Check; 3]> {
    let book = channel_book::read(sandbox_url).await?;
    let operations = channel_book::compare(&book, audit.payments());
    let held = authorizations::compare(&book, audit.states::<PreAuth>().filter_map(|state| state.record()));
    let payouts = channel_book::read_all(sandbox_url, "payouts").await?;
    let paid_out = channel_payouts::compare(&payouts, audit.states::<ChannelAccount>());
    Ok([
        Check::of(6, "the channel's book says what ours says", "operations", operations),
        Check::of(6, "the channel holds what we call authorised", "authorisations", held),
        Check::of(6, "the channel paid out what we booked", "payouts", paid_out),
    ])
}

/// The other half of invariant 3: what the log holds of a command, the store answers for.
async fn commands_check(ledger: &Ledger, audit: &LogAudit) -> anyhow::Result<Check> {
    let commands: Vec<_> = audit.commands().iter().copied().collect();
    let outcome = match first_unrecorded(&ledger.pool, &commands).await? {
        Some(command) => Err(Violation::of(3, format!("command {command} has events but no record"))),
        None => Ok(commands.len() as u64),
    };
    Ok(Check::of(3, "each command with events is recorded", "commands", outcome))
}

async fn projection_checks(ledger: &Ledger) -> anyhow::Result<Vec<Check>> {
    let verified = projections::verify::verify_all(&ledger.reader, ledger.store.as_ref()).await?;
    let check = |verification: projections::verify::Verification| {
        let outcome = match verification.differences.first() {
            Some(difference) => Err(Violation::of(7, format!("{}: {difference}", verification.projection))),
            None => Ok(verification.checked as u64),
        };
        Check::of(7, name_of(verification.projection), "rows", outcome)
    };
    Ok(verified.into_iter().map(check).collect())
}

fn name_of(projection: &str) -> &'static str {
    match projection {
        "adjustments" => "adjustments equal their rebuild",
        "analytics" => "analytics equal their rebuild",
        "bank_accounts" => "bank accounts equal their rebuild",
        "books" => "the books equal their rebuild",
        "channel_operations" => "channel operations equal their rebuild",
        "disputes" => "disputes equal their rebuild",
        "merchants" => "merchants equal their rebuild",
        "orders" => "orders equal their rebuild",
        "payments" => "payments equal their rebuild",
        "pre_auths" => "pre-auths equal their rebuild",
        "reconciliation_exceptions" => "exceptions equal their rebuild",
        "reconciliations" => "reconciliations equal their rebuild",
        "refunds" => "refunds equal their rebuild",
        "settlements" => "settlements equal their rebuild",
        "statements" => "statements equal their rebuild",
        "withdrawals" => "withdrawals equal their rebuild",
        _ => "a read model equals its rebuild",
    }
}

/// What is wrong; and that nothing is, where there was nothing that could be.
fn remark(check: &Check) -> String {
    let nothing = || if check.figure == 0 { "nothing to check yet".to_owned() } else { String::new() };
    check.detail.clone().unwrap_or_else(nothing)
}

fn show(checks: &[Check]) {
    let row = |check: &Check| {
        let verdict = if check.ok { "ok" } else { "BROKEN" };
        vec![
            check.invariant.to_string(),
            verdict.to_owned(),
            check.name.to_owned(),
            format!("{} {}", check.figure, check.unit),
            remark(check),
        ]
    };
    output::table(&["", "", "INVARIANT", "CHECKED", ""], &checks.iter().map(row).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_of_nothing_says_so() {
        let of = |outcome| remark(&Check::of(6, "payouts", "payouts", outcome));
        assert_eq!(of(Ok(0)), "nothing to check yet");
        assert_eq!(of(Ok(1)), "");
        assert_eq!(of(Err(Violation::of(6, "wrong"))), "wrong");
    }
}
