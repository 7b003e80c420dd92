//! Rebuilds every read model under the load: one after another over HTTP, one by an operator's command that is killed
//! while it builds, all at once, and puts some back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Run;
use super::line::PATIENCE;
use crate::wait;

const ROLLED_BACK: [&str; 3] = ["books", "payments", "orders"];
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Answers in words what was done.
pub(super) async fn drive(run: Arc<Run>) -> Vec<String> {
    let mut told = vec![];
    tokio::time::sleep(run.plan.before).await;
    let names: Vec<&str> = projections::all().iter().map(|projection| projection.name()).collect();
    let began = Instant::now();
    for name in &names {
        rebuild(&run, name, "one").await;
    }
    told.push(format!("{} read models one after another: {:?}", names.len(), began.elapsed()));
    told.push(kill_a_builder(&run).await);
    roll_back(&run).await;
    let (code, text) = run.stage.binary.run(&["projections", "verify"]).await.expect("the program runs");
    if code != 0 {
        run.line.faults.note(format!("projections verify under load ended with {code}: {text}"));
    }
    told.push(format!("projections verify under load: exit {code}"));
    let began = Instant::now();
    futures::future::join_all(names.iter().map(|name| rebuild(&run, name, "all"))).await;
    told.push(format!("{} read models at once: {:?}", names.len(), began.elapsed()));
    roll_back(&run).await;
    tokio::time::sleep(run.plan.at_least.saturating_sub(run.began.elapsed())).await;
    told
}

async fn generation(run: &Run, name: &str) -> i32 {
    let live = "SELECT generation FROM projections WHERE name = $1 AND standing = 'live'";
    sqlx::query_scalar(live).bind(name).fetch_one(&run.stage.database.pool).await.expect("one is live")
}

async fn building(run: &Run, name: &str) -> Option<(i32, i64)> {
    let building = "SELECT generation, position FROM projections WHERE name = $1 AND standing = 'building'";
    sqlx::query_as(building).bind(name).fetch_optional(&run.stage.database.pool).await.expect("a database")
}

async fn rebuild(run: &Run, name: &str, round: &str) {
    let before = generation(run, name).await;
    let path = format!("/projections/{name}/rebuild");
    let asked = run.line.post(&path, &run.stage.operator, &format!("{round}-{name}"), &json!({})).await;
    if asked.is_none_or(|answer| answer.status != 202) {
        run.line.faults.note(format!("{name} was not rebuilt"));
        return;
    }
    until_it_serves(run, name, before).await;
}

async fn until_it_serves(run: &Run, name: &str, before: i32) {
    while run.goes_on() && generation(run, name).await <= before {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// `payledger projections rebuild`, killed without warning as soon as something has been built: the same generation
/// goes on from where it is, wherever projections run.
async fn kill_a_builder(run: &Run) -> String {
    let (name, before) = ("payments", generation(run, "payments").await);
    let mut command = run.stage.binary.start(&["projections", "rebuild", name, "--yes"]).expect("the program starts");
    let begun = wait::until("the build begins", PATIENCE, async || {
        let live = generation(run, name).await > before;
        let begun = building(run, name).await.filter(|(_, position)| *position > 0);
        (live || begun.is_some()).then_some(begun)
    })
    .await;
    command.kill().await.expect("it can be killed");
    let Some((number, position)) = begun else {
        until_it_serves(run, name, before).await;
        return "the build was done before its command could be killed".to_owned();
    };
    let mut reached = position;
    while run.goes_on() && generation(run, name).await == before {
        if let Some((number_now, position)) = building(run, name).await {
            if number_now != number || position < reached {
                run.line.faults.note(format!("the build went back to {position} of {number_now} from {reached}"));
            }
            reached = position;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if generation(run, name).await != number {
        run.line.faults.note(format!("generation {number} of {name} was to serve"));
    }
    format!("a build whose command was killed at event {position} went on and serves")
}

async fn roll_back(run: &Run) {
    for name in ROLLED_BACK {
        let before = generation(run, name).await;
        let path = format!("/projections/{name}/rollback");
        let key = format!("back-{name}-{before}");
        let answer = run.line.post(&path, &run.stage.operator, &key, &json!({})).await;
        let now = generation(run, name).await;
        if answer.is_none_or(|answer| answer.status != 200) || now >= before {
            run.line.faults.note(format!("{name} was not rolled back from {before}, but to {now}"));
        }
    }
}
