//! `payledger jobs`: what goes by the clock, and a run outside the timetable.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use commands::ports::Clock;
use commands::ports::clock::SystemClock;
use commands::ports::jobs::{JobRun, JobStatus, RunState};
use domain::JobRunId;

use crate::cli::Jobs;
use crate::operator::{Operator, issued};
use crate::output;

const ASK_EVERY: Duration = Duration::from_millis(200);

/// A run that failed ends in a failure.
pub async fn run(command: Jobs, as_json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Jobs::List { database } => {
            let operator = Operator::open(&database).await?;
            let list = operator.ledger.jobs.list().await?;
            operator.close().await?;
            show(&list, as_json)?;
            Ok(ExitCode::SUCCESS)
        }
        Jobs::Run { database, name, wait } => {
            let operator = Operator::open(&database).await?;
            let run = request(&operator, &name, Duration::from_secs(wait)).await;
            operator.close().await?;
            let run = run?;
            tell(&run, as_json)?;
            Ok(if run.state == RunState::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
    }
}

/// The run as it ended, or as it stands when nobody waits for it any longer.
async fn request(operator: &Operator, name: &str, wait: Duration) -> anyhow::Result<JobRun> {
    let (board, issued) = (&operator.ledger.jobs, issued());
    let run_id = JobRunId::from_uuid(issued.metadata.command_id);
    let Some(mut run) = board.request(name, run_id, &issued.metadata.actor, SystemClock.now()).await? else {
        bail!("there is no job {name}: `payledger jobs list` shows those that a server has entered");
    };
    let asked = Instant::now();
    while run.finished_at.is_none() && asked.elapsed() < wait {
        tokio::time::sleep(ASK_EVERY).await;
        run = board.find_run(run_id).await?.unwrap_or(run);
    }
    Ok(run)
}

fn tell(run: &JobRun, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(run);
    }
    let JobRun { job, state, run_id, .. } = run;
    match (state, &run.error, run.processed) {
        (_, Some(error), _) => println!("{job} {state}: {error} ({run_id})"),
        (_, None, Some(processed)) => println!("{job} {state}: {processed} processed ({run_id})"),
        (..) => println!("{job} is {state} ({run_id}): a server with the role sagas carries it out."),
    }
    Ok(())
}

fn show(list: &[JobStatus], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(&list);
    }
    let row = |status: &JobStatus| {
        let open = status.running.as_ref().or(status.pending.as_ref()).map(|run| run.state);
        let time = |moment: Option<domain::Timestamp>| moment.map(|moment| moment.to_string()).unwrap_or_default();
        vec![
            status.job.clone(),
            status.timetable.clone(),
            status.next_at.to_string(),
            open.or(status.last_outcome).map(|state| state.to_string()).unwrap_or_default(),
            time(status.last_finished_at),
            status.failures.to_string(),
        ]
    };
    let headings = ["JOB", "TIMETABLE", "NEXT", "STATE", "FINISHED", "FAILURES"];
    output::table(&headings, &list.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
