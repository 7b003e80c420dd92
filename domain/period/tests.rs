//! Who may close which month, as a table.

use super::*;

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

fn close(text: &str, by: &str, at: &str) -> Command {
    Command::Close { month: month(text), by: by.to_owned(), at: at.parse().unwrap() }
}

fn after(commands: &[Command]) -> State {
    commands.iter().fold(State::default(), |state, command| {
        let events = Period::decide(&state, command.clone()).unwrap();
        events.iter().fold(state, Period::evolve)
    })
}

const NOVEMBER: &str = "2026-11-21T10:00:00Z";

#[test]
fn a_month_is_closed_by_two_people_once_it_is_over() {
    let requested = [close("2026-10", "anna", NOVEMBER)];
    let closed = [close("2026-10", "anna", NOVEMBER), close("2026-10", "ben", NOVEMBER)];
    let table = [
        (&[][..], close("2026-10", "anna", NOVEMBER), Ok("period.close_requested")),
        (&[], close("2026-11", "anna", NOVEMBER), Err(PeriodRejection::NotOver)),
        (&[], close("2026-11", "anna", "2026-12-01T00:00:00Z"), Ok("period.close_requested")),
        (&requested, close("2026-10", "ben", NOVEMBER), Ok("period.closed")),
        (&requested, close("2026-10", "anna", NOVEMBER), Err(PeriodRejection::ApproverIsRequester)),
        (&requested, close("2026-09", "anna", NOVEMBER), Ok("period.close_requested")),
        (&closed, close("2026-10", "clara", NOVEMBER), Err(PeriodRejection::AlreadyClosed)),
        (&closed, close("2026-09", "clara", NOVEMBER), Err(PeriodRejection::AlreadyClosed)),
    ];
    for (before, command, expected) in table {
        let decided = Period::decide(&after(before), command.clone());
        let types = decided.map(|events| events.iter().map(DomainEvent::event_type).collect::<Vec<_>>());
        assert_eq!(types, expected.map(|event| vec![event]), "{command:?}");
    }
}

#[test]
fn the_last_closed_month_ends_what_is_closed() {
    let requested = [close("2026-09", "anna", NOVEMBER), close("2026-10", "anna", NOVEMBER)];
    assert_eq!(after(&requested).closed_until(), None);
    let first = [&requested[..], &[close("2026-09", "ben", NOVEMBER)]].concat();
    assert_eq!(after(&first).closed_until(), Some(month("2026-09").end()));
    let both = [&first[..], &[close("2026-10", "ben", NOVEMBER)]].concat();
    assert_eq!(after(&both).closed_until(), Some("2026-11-01T00:00:00Z".parse().unwrap()));
}
