//! When jobs are due, and what is decided about one, case by case.

use std::time::Duration;

use domain::JobRunId;
use uuid::Uuid;

use super::*;
use crate::ports::jobs::RunState;

fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

const HOURLY: Timetable = Timetable::every(Duration::from_secs(3_600));
const NIGHTLY: Timetable = Timetable::daily_at(2, 30);

#[test]
fn slots_follow_from_the_clock() {
    let table = [
        (HOURLY, "20T09:59:59.999999", "20T09:00:00", "20T10:00:00"),
        (HOURLY, "20T10:00:00", "20T10:00:00", "20T11:00:00"),
        (NIGHTLY, "20T02:29:59", "19T02:30:00", "20T02:30:00"),
        (NIGHTLY, "20T02:30:00", "20T02:30:00", "21T02:30:00"),
        (NIGHTLY, "20T23:59:59", "20T02:30:00", "21T02:30:00"),
    ];
    for (timetable, now, latest, after) in table {
        assert_eq!((timetable.latest(at(now)), timetable.after(at(now))), (at(latest), at(after)), "{timetable} {now}");
    }
    let early = Timestamp::from_micros(-1);
    assert_eq!(HOURLY.latest(early), Timestamp::from_micros(-3_600_000_000), "before 1970 too");
}

#[test]
fn timetables_are_told_in_words() {
    let words = |seconds| Timetable::every(Duration::from_secs(seconds)).to_string();
    assert_eq!([words(30), words(300), words(7_200)], ["every 30 s", "every 5 min", "every 2 h"]);
    assert_eq!(NIGHTLY.to_string(), "daily at 02:30 UTC");
}

fn run(number: u128, state: RunState, held_until: Option<&str>) -> JobRun {
    JobRun {
        run_id: JobRunId::from_uuid(Uuid::from_u128(number)),
        job: "a_job".to_owned(),
        state,
        trigger: Trigger::Timetable,
        scheduled_for: at("20T08:00:00"),
        missed: 0,
        requested_by: None,
        node: None,
        held_until: held_until.map(at),
        created_at: at("20T08:00:00"),
        started_at: None,
        finished_at: None,
        processed: None,
        error: None,
    }
}

/// An hourly job that is due at ten.
fn status() -> JobStatus {
    JobStatus {
        job: "a_job".to_owned(),
        timetable: HOURLY.to_string(),
        next_at: at("20T10:00:00"),
        revision: 1,
        failures: 0,
        retry_at: None,
        last_outcome: None,
        last_finished_at: None,
        running: None,
        pending: None,
    }
}

fn slot(slot: &str, missed: u64, next_at: &str) -> Slot {
    Slot { at: at(slot), missed, next_at: at(next_at) }
}

#[test]
fn the_board_says_what_is_to_be_done() {
    let failed = || JobStatus { failures: 1, retry_at: Some(at("20T09:30:00")), ..status() };
    let running = |until| JobStatus { running: Some(run(1, RunState::Running, Some(until))), ..status() };
    let pending = || run(2, RunState::Pending, None);
    let asked = |status| JobStatus { pending: Some(pending()), ..status };
    let by_timetable = |slot| Verdict::Begin(Trigger::Timetable, slot);
    let table = [
        ("not yet", status(), "20T09:59:59", Verdict::Rest),
        ("due", status(), "20T10:00:00", by_timetable(slot("20T10:00:00", 0, "20T11:00:00"))),
        ("late", status(), "20T10:59:59", by_timetable(slot("20T10:00:00", 0, "20T11:00:00"))),
        (
            "three days missed are one run",
            status(),
            "23T10:20:00",
            by_timetable(slot("23T10:00:00", 72, "23T11:00:00")),
        ),
        ("it runs", running("20T10:10:00"), "20T09:00:00", Verdict::Rest),
        (
            "due while it runs",
            running("20T10:10:00"),
            "20T10:05:00",
            Verdict::Skip(slot("20T10:00:00", 0, "20T11:00:00")),
        ),
        (
            "its node is silent",
            running("20T09:10:00"),
            "20T09:10:00",
            Verdict::GiveUp(run(1, RunState::Running, Some("20T09:10:00"))),
        ),
        ("asked for while it runs", asked(running("20T09:10:00")), "20T09:00:00", Verdict::Rest),
        ("asked for", asked(status()), "20T09:00:00", Verdict::BeginRequested(pending())),
        ("asked for and due", asked(status()), "20T10:00:00", by_timetable(slot("20T10:00:00", 0, "20T11:00:00"))),
        ("failed a moment ago", failed(), "20T09:29:59", Verdict::Rest),
        ("failed", failed(), "20T09:30:00", Verdict::Begin(Trigger::Retry, slot("20T09:30:00", 0, "20T10:00:00"))),
        ("failed and due", failed(), "20T10:00:00", by_timetable(slot("20T10:00:00", 0, "20T11:00:00"))),
        ("asked for after a failure", asked(failed()), "20T09:40:00", Verdict::BeginRequested(pending())),
    ];
    for (case, status, now, expected) in table {
        assert_eq!(decide(&HOURLY, &status, at(now)), expected, "{case}");
    }
}

/// The timetable of a newer program has no slot where the old one was due: the job is run once as of the old one.
#[test]
fn a_changed_timetable_loses_no_run() {
    let verdict = decide(&NIGHTLY, &status(), at("20T10:20:00"));
    assert_eq!(verdict, Verdict::Begin(Trigger::Timetable, slot("20T10:00:00", 0, "21T02:30:00")));
}
