//! The pure core under any history of calls: its invariants, and that its journal replays to the same book.

use crate::sandbox_provider::book::decide::{self, CaptureRequest, ChargeRequest, RefundRequest};
use crate::sandbox_provider::book::entry::{Entry, Ticket};
use crate::sandbox_provider::book::objects::ChargeStatus;
use crate::sandbox_provider::book::operation::OperationKind;
use crate::sandbox_provider::book::{State, jobs};
use crate::sandbox_provider::money::{Currency, fee_of};
use crate::sandbox_provider::payouts::{pay_out, statement};
use crate::sandbox_provider::tokens::{TOKENS, Token};
use proptest::prelude::*;
use std::collections::HashMap;

#[derive(Debug, Clone)]
enum Call {
    Charge { number: usize, token: usize, amount: i64, capture: bool },
    Capture { number: usize, amount: Option<i64>, is_final: bool },
    Cancel { number: usize },
    Refund { number: usize, amount: Option<i64> },
    Complete { number: usize, approve: bool },
    FireJobs,
    PayOut,
}

/// Few references, so that calls meet each other.
fn any_call() -> impl Strategy<Value = Call> {
    let (number, amount) = (0..6_usize, 1..500_i64);
    let part = proptest::option::of(1..300_i64);
    prop_oneof![
        4 => (number.clone(), 0..TOKENS.len(), amount, any::<bool>())
            .prop_map(|(number, token, amount, capture)| Call::Charge { number, token, amount, capture }),
        4 => (number.clone(), part.clone(), any::<bool>())
            .prop_map(|(number, amount, is_final)| Call::Capture { number, amount, is_final }),
        1 => number.clone().prop_map(|number| Call::Cancel { number }),
        4 => (number.clone(), part).prop_map(|(number, amount)| Call::Refund { number, amount }),
        1 => (number, any::<bool>()).prop_map(|(number, approve)| Call::Complete { number, approve }),
        3 => Just(Call::FireJobs),
        1 => Just(Call::PayOut),
    ]
}

/// What a call becomes; `place` makes its key and its references its own.
fn entries_of(state: &State, call: Call, place: usize) -> Vec<Entry> {
    let ticket = Ticket { key: format!("key-{place}").into(), fingerprint: "same".into() };
    let target = |number: usize| format!("pay_{number}");
    let verdict = match call {
        Call::Charge { number, token, amount, capture } => {
            let currency = Currency::parse("EUR").unwrap();
            let (reference, token) = (target(number).into(), TOKENS[token].1);
            decide::charge(
                state,
                ticket,
                ChargeRequest { reference, amount, currency, token, capture, return_url: None },
            )
        }
        Call::Capture { number, amount, is_final } => {
            let reference = format!("cap_{place}").into();
            decide::capture(state, ticket, CaptureRequest { target: target(number), reference, amount, is_final })
        }
        Call::Cancel { number } => decide::cancel(state, ticket, &target(number)),
        Call::Refund { number, amount } => {
            let reference = format!("re_{place}").into();
            decide::refund(state, ticket, RefundRequest { reference, target: target(number), amount })
        }
        Call::Complete { number, approve } => {
            let charge = state.charge(&target(number));
            return charge.and_then(|charge| decide::complete_action(charge, approve).ok()?).into_iter().collect();
        }
        Call::FireJobs => return state.jobs.iter().filter_map(|(_, job)| jobs::fire(state, *job)).take(1).collect(),
        Call::PayOut => return pay_out(state),
    };
    vec![verdict.entry]
}

fn check_invariants(state: &State) {
    for charge in &state.charges {
        assert!(charge.captured >= 0 && charge.refunded >= 0 && charge.disputed >= 0, "{charge:?}");
        assert!(charge.captured + charge.released <= charge.amount, "{charge:?}");
        assert!(charge.refunded + charge.disputed <= charge.captured, "{charge:?}");
        let is_without_effect = matches!(
            charge.status,
            ChargeStatus::Pending | ChargeStatus::RequiresAction | ChargeStatus::Failed | ChargeStatus::Cancelled
        );
        assert!(!is_without_effect || charge.captured == 0, "{charge:?}");
    }
    for owed in state.owed.values() {
        let open = owed.lines[owed.paid_to..].iter().map(|index| state.operations[*index].net());
        assert_eq!(open.sum::<i128>(), owed.balance);
    }
    for payout in &state.payouts {
        let lines = statement(state, payout);
        assert_eq!(lines.iter().map(|line| i128::from(line.amount)).sum::<i128>(), payout.amount);
    }
}

/// No operation of one kind is there twice for a reference or a key.
fn check_effects_once(state: &State) {
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    for operation in &state.operations {
        *seen.entry((operation.kind.name(), &operation.reference)).or_default() += 1;
        let is_capture = matches!(operation.kind, OperationKind::Charge | OperationKind::Capture);
        assert_eq!(operation.fee, if is_capture { fee_of(operation.amount) } else { 0 });
    }
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
}

proptest! {
    #[test]
    fn any_history_keeps_the_invariants_and_replays_to_the_same_book(
        calls in proptest::collection::vec(any_call(), 1..80),
    ) {
        let mut state = State::new(0);
        let mut journal = vec![
            Entry::Opened { format: 1, instance: "0badcafe".into() },
            Entry::WebhooksSet { on: true },
        ];
        journal.iter().for_each(|entry| state.apply(entry, 0));
        for (place, call) in calls.into_iter().enumerate() {
            for entry in entries_of(&state, call, place) {
                state.apply(&entry, place as u64);
                journal.push(entry);
                check_invariants(&state);
            }
        }
        check_effects_once(&state);

        let mut replayed = State::new(0);
        for entry in &journal {
            let line = serde_json::to_string(entry).unwrap();
            replayed.apply(&serde_json::from_str(&line).unwrap(), 0);
        }
        let amounts = |state: &State| state.operations.iter().map(|found| (found.kind, found.amount)).collect::<Vec<_>>();
        prop_assert_eq!(amounts(&state), amounts(&replayed));
        prop_assert_eq!(state.outbox.keys().collect::<Vec<_>>(), replayed.outbox.keys().collect::<Vec<_>>());
        prop_assert_eq!(format!("{:?}", state.owed), format!("{:?}", replayed.owed));
    }
}

#[test]
fn an_unknown_token_is_not_kept() {
    assert_eq!(Token::parse("4242424242424242"), Token::Unknown);
    assert_eq!(serde_json::to_string(&Token::Unknown).unwrap(), "\"unknown\"");
}
