//! What each event changes of the figures, from the events' golden files.

use commands::ports::StreamId;
use commands::ports::event::Decoded;
use domain::DomainEvent;
use domain::chain::ChainHash;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

macro_rules! golden {
    ($name:literal) => {
        include_str!(concat!("../../../tests/golden/events/payment.", $name, ".v1.json"))
    };
}

/// A golden event, some of its fields changed.
fn event(golden: &str, changed: Value) -> Event {
    let mut event: Value = serde_json::from_str(golden).unwrap();
    let fields = event.as_object_mut().unwrap().values_mut().next().unwrap();
    for (field, value) in changed.as_object().unwrap() {
        fields[field] = value.clone();
    }
    serde_json::from_value(event).unwrap()
}

/// An event of the one payment, so many seconds into its story.
fn recorded(seconds: i64, event: &Event) -> RecordedEvent {
    let recorded_at = Timestamp::from_micros(seconds * 1_000_000);
    RecordedEvent {
        position: 1,
        event_id: Uuid::nil(),
        stream: StreamId::new("payment", "pay_1"),
        version: 1,
        event_type: event.event_type().to_owned(),
        schema_version: event.schema_version(),
        payload: serde_json::to_string(event).unwrap(),
        metadata: String::new(),
        decoded: Decoded::default(),
        recorded_at,
        effective_at: recorded_at,
        hash: ChainHash::GENESIS,
    }
}

fn created() -> Event {
    event(golden!("created"), json!({}))
}

fn captured() -> Event {
    event(golden!("captured"), json!({}))
}

/// By the quarter of an hour in which it counts, for everybody.
fn figures(story: &[(i64, Event)]) -> Vec<(u8, Tallied)> {
    let mut changes = Changes::default();
    for (seconds, event) in story {
        changes.fold(&recorded(*seconds, event)).unwrap();
    }
    let cells = changes.rollup().cells().into_iter();
    cells.filter(|((_, owner, ..), _)| owner == EVERYBODY).map(|((_, _, quarter, _), value)| (quarter, value)).collect()
}

fn measures(story: &[(i64, Event)]) -> Measures {
    let mut sum = Measures::default();
    for (_, tallied) in figures(story) {
        sum += tallied.measures;
    }
    sum
}

#[test]
fn each_event_counts_what_it_says() {
    let none = Measures::default();
    let blended = json!({"pricing_model": "blended", "markup_returned": 7, "channel_fee_returned": 5});
    let cost_plus = json!({"markup_returned": 7, "channel_fee_returned": 5});
    let refunded = Measures { refunds: 1, amount_refunded: 2_500, markup: -7, channel_costs: -5, ..none };
    let reversed = Measures { refunds: -1, amount_refunded: -2_500, markup: 7, channel_costs: 5, ..none };
    let table = [
        (event(golden!("fee_trued_up"), json!({})), Measures { fees_passed_on: 10, channel_costs: 10, ..none }),
        (event(golden!("fee_trued_up"), json!({"pricing_model": "blended"})), Measures { channel_costs: 10, ..none }),
        (event(golden!("refund_succeeded"), cost_plus.clone()), Measures { fees_passed_on: -5, ..refunded }),
        (event(golden!("refund_succeeded"), blended.clone()), refunded),
        (event(golden!("refund_succeeded_late"), cost_plus.clone()), Measures { fees_passed_on: -5, ..refunded }),
        (event(golden!("refund_reversed"), cost_plus), Measures { fees_passed_on: 5, ..reversed }),
        (event(golden!("refund_reversed"), blended), reversed),
        (
            event(golden!("dispute_opened"), json!({"fee_passed_on": 1_400})),
            Measures { disputes: 1, amount_disputed: 10_000, fees_passed_on: 1_400, channel_costs: 1_500, ..none },
        ),
        (
            event(golden!("dispute_adjusted"), json!({"fee_passed_on": 400})),
            Measures { amount_disputed: -1_000, fees_passed_on: 400, channel_costs: 500, ..none },
        ),
        (
            event(golden!("dispute_closed"), json!({"fee_passed_back": 300})),
            Measures { amount_lost: 5_000, fees_passed_on: -300, channel_costs: -500, ..none },
        ),
        (
            event(golden!("dispute_reopened"), json!({"fee_passed_back": 300})),
            Measures { amount_lost: -5_000, fees_passed_on: 300, channel_costs: 500, ..none },
        ),
        (event(golden!("refund_requested"), json!({})), none),
        (event(golden!("refund_failed"), json!({})), none),
        (event(golden!("outcome_unknown"), json!({})), none),
    ];
    let before = [(0, created()), (10, captured())];
    for (event, expected) in table {
        let mut with = measures(&before);
        with += expected;
        let story = [before.to_vec(), vec![(2_000, event.clone())]].concat();
        assert_eq!(measures(&story), with, "{event:?}");
    }
}

#[test]
fn a_capture_counts_its_fees_by_its_price_model() {
    let begun = Measures { created: 1, amount_created: 10_000, succeeded: 1, ..Measures::default() };
    let begun = Measures { amount_succeeded: 10_000, markup: 80, channel_costs: 100, ..begun };
    for (model, fees_passed_on) in [("cost_plus", 100), ("blended", 0)] {
        let captured = event(golden!("captured"), json!({"pricing_model": model}));
        let expected = Measures { fees_passed_on, ..begun };
        assert_eq!(measures(&[(0, created()), (10, captured)]), expected, "{model}");
    }
}

#[test]
fn a_payment_has_one_outcome_and_counts_where_it_came() {
    let payment_id = json!({"payment_id": "pay_01j8000000e008000000000001"});
    let failed = event(golden!("failed"), json!({}));
    let expired = event(golden!("expired"), payment_id.clone());
    let cancelled = event(golden!("cancelled"), payment_id);
    // In which quarter what is left, and how many waiting times and failures are counted.
    type Left = &'static [(u8, [i64; 5], i64, i64)];
    let table: [(Vec<(i64, Event)>, Left); 6] = [
        (vec![(901, captured())], &[(0, [1, 0, 0, 0, 0], 0, 0), (1, [0, 1, 0, 0, 0], 1, 0)]),
        (vec![(901, failed.clone())], &[(0, [1, 0, 0, 0, 0], 0, 0), (1, [0, 0, 1, 0, 0], 1, 1)]),
        (vec![(901, cancelled.clone())], &[(0, [1, 0, 0, 0, 0], 0, 0), (1, [0, 0, 0, 1, 0], 0, 0)]),
        (vec![(901, expired.clone()), (1_801, captured())], &[(0, [1, 0, 0, 0, 0], 0, 0), (2, [0, 1, 0, 0, 0], 0, 0)]),
        (
            vec![(901, failed.clone()), (1_801, captured())],
            // That it failed at first is still told among the failures.
            &[(0, [1, 0, 0, 0, 0], 0, 0), (1, [0, 0, 0, 0, 0], 1, 1), (2, [0, 1, 0, 0, 0], 0, 0)],
        ),
        (vec![(10, captured()), (901, failed), (901, expired), (1_801, cancelled)], &[(0, [1, 1, 0, 0, 0], 1, 0)]),
    ];
    for (ends, expected) in table {
        let story = [vec![(0, created())], ends].concat();
        let left: Vec<(u8, [i64; 5], i64, i64)> = figures(&story)
            .into_iter()
            .map(|(quarter, tallied)| {
                let of = tallied.measures;
                let counts = [of.created, of.succeeded, of.failed, of.cancelled, of.expired];
                (quarter, counts, tallied.latencies.total(), tallied.failures.values().sum())
            })
            .collect();
        assert_eq!(left, expected, "{story:?}");
    }
}

#[test]
fn figures_are_kept_for_the_merchant_and_in_four_ways_for_everybody() {
    let mut changes = Changes::default();
    changes.fold(&recorded(0, &event(golden!("created"), json!({"country": "KW"})))).unwrap();
    let cells = changes.rollup().cells().into_keys();
    let owners: Vec<(String, Option<String>, Option<String>)> = cells
        .map(|(_, owner, _, key)| (owner, key.channel.map(|c| c.to_string()), key.country.map(|c| c.to_string())))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        ("all".to_owned(), None, None),
        ("both/sandbox/KW".to_owned(), text("sandbox"), text("KW")),
        ("channel/sandbox".to_owned(), text("sandbox"), None),
        ("country/KW".to_owned(), None, text("KW")),
        ("mer_00000000000000000000000007".to_owned(), text("sandbox"), text("KW")),
    ];
    assert_eq!(owners, expected);
}

#[test]
fn a_payment_that_was_never_created_is_refused() {
    let refused = Changes::default().fold(&recorded(0, &captured()));
    assert!(matches!(refused, Err(ApplyError::Inapplicable { .. })));
}
