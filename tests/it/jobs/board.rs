//! What every board of jobs promises, checked on each of them.

use std::sync::Arc;
use std::time::Duration;

use adapters::jobs::{MemoryJobBoard, PostgresJobBoard};
use commands::ports::agenda::Claim;
use commands::ports::jobs::{JobBoard, JobStatus, NewRun, RunEnd, RunState, Trigger};
use domain::{JobRunId, Timestamp};
use test_support::postgres::volatile_test_database;
use uuid::Uuid;

const JOB: &str = "a_job";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000).plus(Duration::from_secs(seconds))
}

fn claim(node: &str, now: u64, until: u64) -> Claim {
    Claim { node: node.to_owned(), now: at(now), until: at(until) }
}

fn new_run(scheduled_for: u64, next_at: u64) -> NewRun {
    let run_id = JobRunId::from_uuid(Uuid::now_v7());
    NewRun { run_id, trigger: Trigger::Timetable, scheduled_for: at(scheduled_for), missed: 2, next_at: at(next_at) }
}

fn failed(failures: u32, retry_at: u64) -> RunEnd {
    RunEnd::Failed { error: "no disk".to_owned(), failures, retry_at: at(retry_at) }
}

/// A board with one job, due at second 10.
async fn registered(board: &dyn JobBoard) -> JobStatus {
    board.register(JOB, "every 10 s", at(10)).await.unwrap();
    board.find(JOB).await.unwrap().unwrap()
}

async fn a_job_is_entered_once_and_loses_no_run_by_a_new_timetable(board: Arc<dyn JobBoard>) {
    assert_eq!(board.find(JOB).await.unwrap(), None);
    let first = registered(board.as_ref()).await;
    assert_eq!((first.next_at, first.failures, first.last_outcome), (at(10), 0, None));
    for (timetable, next_at, expected) in [("every 60 s", 60, 10), ("every 5 s", 5, 5)] {
        board.register(JOB, timetable, at(next_at)).await.unwrap();
        let known = board.list().await.unwrap();
        assert_eq!(known.len(), 1);
        assert_eq!((known[0].timetable.as_str(), known[0].next_at), (timetable, at(expected)));
    }
}

async fn of_many_that_saw_the_same_one_begins(board: Arc<dyn JobBoard>) {
    let seen = registered(board.as_ref()).await;
    let begun = (0..8).map(|node| {
        let (board, seen) = (board.clone(), seen.clone());
        tokio::spawn(async move {
            let claim = claim(&format!("node {node}"), 10, 40);
            board.begin(&seen, &new_run(10, 20), &claim).await.unwrap()
        })
    });
    let begun = futures::future::join_all(begun).await;
    assert_eq!(begun.into_iter().filter(|begun| *begun.as_ref().unwrap()).count(), 1);
    let status = board.find(JOB).await.unwrap().unwrap();
    let run = status.running.unwrap();
    assert_eq!((run.state, run.trigger, run.missed), (RunState::Running, Trigger::Timetable, 2));
    assert_eq!((run.scheduled_for, run.started_at, run.held_until), (at(10), Some(at(10)), Some(at(40))));
    assert_eq!((status.next_at, board.runs(JOB, 10).await.unwrap()), (at(20), vec![run]));
}

async fn a_run_that_was_given_up_is_neither_kept_nor_ended(board: Arc<dyn JobBoard>) {
    let seen = registered(board.as_ref()).await;
    let run = new_run(10, 20);
    assert!(board.begin(&seen, &run, &claim("a", 10, 40)).await.unwrap());
    assert!(board.keep(run.run_id, at(50)).await.unwrap());
    assert!(!board.give_up(run.run_id, &failed(1, 55), at(49)).await.unwrap(), "it is held");
    assert!(board.give_up(run.run_id, &failed(1, 55), at(50)).await.unwrap());
    assert!(!board.keep(run.run_id, at(90)).await.unwrap());
    assert!(!board.end(run.run_id, &RunEnd::Completed { processed: 3 }, at(51)).await.unwrap());
    let status = board.find(JOB).await.unwrap().unwrap();
    assert_eq!((status.failures, status.retry_at, &status.running), (1, Some(at(55)), &None));
    assert_eq!((status.last_outcome, status.last_finished_at), (Some(RunState::Failed), Some(at(50))));
    let run = board.find_run(run.run_id).await.unwrap().unwrap();
    assert_eq!((run.state, run.error.as_deref(), run.processed), (RunState::Failed, Some("no disk"), None));

    let retry = NewRun { trigger: Trigger::Retry, ..new_run(55, 60) };
    assert!(!board.begin(&seen, &retry, &claim("b", 55, 85)).await.unwrap(), "that was seen before it failed");
    assert!(board.begin(&status, &retry, &claim("b", 55, 85)).await.unwrap());
    assert!(board.end(retry.run_id, &RunEnd::Completed { processed: 3 }, at(56)).await.unwrap());
    let status = board.find(JOB).await.unwrap().unwrap();
    assert_eq!((status.failures, status.retry_at, status.last_outcome), (0, None, Some(RunState::Completed)));
    assert_eq!(board.find_run(retry.run_id).await.unwrap().unwrap().processed, Some(3));
}

async fn what_is_asked_for_is_asked_for_once_and_then_run(board: Arc<dyn JobBoard>) {
    let run_id = JobRunId::from_uuid(Uuid::now_v7());
    assert_eq!(board.request(JOB, run_id, "ada", at(1)).await.unwrap(), None, "there is no such job");
    registered(board.as_ref()).await;
    let asked = board.request(JOB, run_id, "ada", at(1)).await.unwrap().unwrap();
    assert_eq!(board.request(JOB, run_id, "bob", at(2)).await.unwrap(), Some(asked.clone()));
    assert_eq!((asked.state, asked.requested_by.as_deref()), (RunState::Pending, Some("ada")));
    let later = board.request(JOB, JobRunId::from_uuid(Uuid::now_v7()), "bob", at(3)).await.unwrap().unwrap();

    let seen = board.find(JOB).await.unwrap().unwrap();
    assert_eq!(seen.pending.as_ref(), Some(&asked), "the oldest");
    let run = NewRun { run_id, trigger: Trigger::Request, scheduled_for: at(1), missed: 0, next_at: seen.next_at };
    assert!(board.begin(&seen, &run, &claim("a", 4, 34)).await.unwrap());
    let status = board.find(JOB).await.unwrap().unwrap();
    assert_eq!((status.running.map(|run| run.run_id), status.pending.as_ref()), (Some(run_id), Some(&later)));
    assert!(board.end(run_id, &RunEnd::Completed { processed: 0 }, at(5)).await.unwrap());
    let repeated = board.request(JOB, run_id, "ada", at(6)).await.unwrap().unwrap();
    assert_eq!((repeated.state, repeated.trigger), (RunState::Completed, Trigger::Request));
    let runs = board.runs(JOB, 10).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.run_id).collect::<Vec<_>>(), [later.run_id, run_id], "newest first");
}

async fn what_is_skipped_leaves_the_run_alone(board: Arc<dyn JobBoard>) {
    let seen = registered(board.as_ref()).await;
    let run = new_run(10, 20);
    assert!(board.begin(&seen, &run, &claim("a", 10, 40)).await.unwrap());
    let seen = board.find(JOB).await.unwrap().unwrap();
    let skipped = new_run(20, 30);
    assert!(board.skip(&seen, &skipped, at(20)).await.unwrap());
    assert!(!board.skip(&seen, &new_run(20, 30), at(20)).await.unwrap(), "another node has noted it");
    let status = board.find(JOB).await.unwrap().unwrap();
    assert_eq!((status.next_at, status.running.map(|run| run.run_id)), (at(30), Some(run.run_id)));
    assert_eq!(board.find_run(skipped.run_id).await.unwrap().unwrap().state, RunState::Skipped);
    assert!(board.end(run.run_id, &RunEnd::Completed { processed: 1 }, at(25)).await.unwrap());
}

async fn only_what_has_finished_is_archived(board: Arc<dyn JobBoard>) {
    for number in 0..3 {
        let seen = registered(board.as_ref()).await;
        let run = new_run(10 * number, 10 * number + 10);
        assert!(board.begin(&seen, &run, &claim("a", 10 * number, 10 * number + 30)).await.unwrap());
        if number < 2 {
            assert!(board.end(run.run_id, &RunEnd::Completed { processed: 1 }, at(10 * number)).await.unwrap());
        }
    }
    assert_eq!(board.count(at(10)).await.unwrap(), 1);
    assert_eq!(board.archive(at(10)).await.unwrap(), 1);
    assert_eq!(board.count(at(10)).await.unwrap(), 0);
    assert_eq!(board.archive(at(1_000)).await.unwrap(), 1);
    assert_eq!(board.runs(JOB, 10).await.unwrap().len(), 1, "it still runs");
}

macro_rules! contract {
    ($($promise:ident,)*) => {
        mod memory {
            use super::*;

            $(#[tokio::test]
            async fn $promise() {
                super::$promise(Arc::new(MemoryJobBoard::default())).await;
            })*
        }

        mod postgres {
            use super::*;

            $(#[tokio::test]
            async fn $promise() {
                let database = volatile_test_database().await;
                super::$promise(Arc::new(PostgresJobBoard::new(database.pool.clone()))).await;
            })*
        }
    };
}

contract! {
    a_job_is_entered_once_and_loses_no_run_by_a_new_timetable,
    of_many_that_saw_the_same_one_begins,
    a_run_that_was_given_up_is_neither_kept_nor_ended,
    what_is_asked_for_is_asked_for_once_and_then_run,
    what_is_skipped_leaves_the_run_alone,
    only_what_has_finished_is_archived,
}
