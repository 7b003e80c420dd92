//! `payledger sagas`: what still has something to do.

use anyhow::{anyhow, bail};
use commands::ports::Clock;
use commands::ports::agenda::SagaStatus;
use commands::ports::clock::SystemClock;

use crate::cli::Sagas;
use crate::operator::Operator;
use crate::output;

/// Sagas shown at once.
const LIMIT: usize = 1_000;

pub async fn run(command: Sagas, as_json: bool) -> anyhow::Result<()> {
    match command {
        Sagas::List { database, state } => {
            let state = state.map(|text| text.parse()).transpose().map_err(|reason| anyhow!("--state {reason}"))?;
            let operator = Operator::open(&database).await?;
            let list = operator.ledger.agenda.list(state, LIMIT).await?;
            operator.close().await?;
            show(&list, as_json)
        }
        Sagas::Show { database, id } => {
            let operator = Operator::open(&database).await?;
            let found = operator.ledger.agenda.find(&id).await?;
            operator.close().await?;
            match found {
                Some(status) if as_json => output::json(&status),
                Some(status) => show(&[status], false),
                None => bail!("nothing is left to do for {id}, or there is no such saga"),
            }
        }
        Sagas::Retry { database, id } => {
            let operator = Operator::open(&database).await?;
            let known = operator.ledger.agenda.retry(&id, SystemClock.now()).await?;
            operator.close().await?;
            if !known {
                bail!("nothing is left to do for {id}, or there is no such saga");
            }
            eprintln!("{id} is due now; a server with the role sagas takes it up.");
            Ok(())
        }
    }
}

fn show(list: &[SagaStatus], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(&list);
    }
    let row = |status: &SagaStatus| {
        vec![
            status.saga_id.to_string(),
            status.kind.to_string(),
            status.state.as_str().to_owned(),
            status.due_at.to_string(),
            status.attempts.to_string(),
            status.last_error.clone().unwrap_or_default(),
        ]
    };
    let headings = ["SAGA", "KIND", "STATE", "DUE", "ATTEMPTS", "ERROR"];
    output::table(&headings, &list.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
