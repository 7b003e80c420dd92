//! What every event store promises. Each function gets stores on one fresh log: one store, or two handles to it as two
//! processes would have; the log is audited after each.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use commands::ports::{Category, EventStore, Expected, Receipt, StoreError, StreamState};
use domain::Decider;
use domain::order_claim::{Holder, OrderClaim, State};
use domain::payment::{self, Payment};
use futures::future::join_all;
use uuid::Uuid;

use super::fixture::*;

pub type Stores = [Arc<dyn EventStore>];

/// Runs the whole contract: `opens` makes a number of stores on one fresh log, and what must be kept alive for it.
macro_rules! run_contract {
    ($opens:path) => {
        $crate::event_store::contract::run_contract! { $opens:
            a_command_is_answered_with_what_it_did(1), the_first_answer_is_told_again(1), only_what_matters_is_recorded(1),
            an_unexpected_version_is_a_conflict(1), an_entry_over_several_streams_is_all_or_nothing(1),
            streams_and_the_log_are_read_in_pages(1), a_state_can_be_had_as_of_any_version(1),
            many_at_once_on_one_stream(1), each_of_many_at_once_stands_alone(1), a_tailing_reader_misses_nothing(1),
            payments_live_as_decided(1), the_head_wakes_whoever_waits(2), two_stores_share_one_history(2),
            two_stores_append_at_once(2), a_refusal_is_never_decided_on_an_old_state(2),
            a_stream_that_exists_elsewhere_is_not_new(2), many_streams_are_loaded_as_each_is(1),
        }
    };
    ($opens:path: $($name:ident($stores:literal),)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            let (stores, _log) = $opens($stores).await;
            $crate::event_store::contract::$name(&stores).await;
            $crate::event_store::fixture::audit(&stores[0]).await;
        }
    )*};
}
pub(crate) use run_contract;

fn claims() -> Category {
    Category::of::<OrderClaim>()
}

fn held_by(state: &StreamState) -> Option<u128> {
    match state.of::<OrderClaim>().unwrap() {
        State::Free => None,
        State::HeldBy(Holder::Payment(payment)) => Some(payment.as_uuid().as_u128()),
        State::HeldBy(Holder::PreAuth(_) | Holder::Order(_)) => unreachable!("the contract claims for payments"),
    }
}

/// An answer in short: what a table of expectations can hold.
fn told(answer: &Result<Receipt, StoreError>) -> String {
    match answer {
        Ok(receipt) => {
            let repeat = if receipt.replayed { "again " } else { "" };
            let code = receipt.rejection.as_ref().map_or("done", |rejection| rejection.code.as_str());
            format!("{repeat}{code} v{} @{}", receipt.version, receipt.position)
        }
        Err(StoreError::Conflict { actual, .. }) => format!("conflict v{actual}"),
        Err(error) => error.to_string(),
    }
}

pub async fn a_command_is_answered_with_what_it_did(stores: &Stores) {
    let store = &stores[0];
    assert_eq!(store.head().await, Ok(0));
    assert_eq!(store.find_command(Uuid::nil()).await, Ok(None));
    assert_eq!(store.load(claims(), "a").await.unwrap().version, 0);
    let request = claim("first", "a", 1);
    let receipt = store.execute(request.clone()).await.unwrap();
    let expected = Receipt {
        command_id: request.command_id(),
        replayed: false,
        fingerprint: Some(fingerprint("first")),
        object: "object of first".to_owned(),
        stream: claim_stream("a"),
        version: 1,
        position: 1,
        rejection: None,
    };
    assert_eq!(receipt, expected);
    let state = store.load(claims(), "a").await.unwrap();
    assert_eq!((state.version, held_by(&state)), (1, Some(1)));
    let [event] = &store.read_stream(&claim_stream("a"), 0, 10).await.unwrap()[..] else { panic!("one event") };
    assert_eq!(event.metadata().unwrap(), request.metadata);
    assert_eq!(event.recorded_at, state.updated_at);
    assert_eq!(event.effective_at, event.recorded_at);
}

/// Also after the aggregate has moved on, and whatever a repeat expects or would come to now.
pub async fn the_first_answer_is_told_again(stores: &Stores) {
    let store = &stores[0];
    let table = [
        (claim("1", "a", 1), "done v1 @1"),
        (claim("2", "a", 2), "order_no_in_use v1 @1"),
        (release("3", "a", 2), "done v1 @1"),
        (release("4", "a", 1), "done v2 @2"),
        (expecting(Expected::Exactly(2), claim("5", "a", 5)), "done v3 @3"),
    ];
    let mut first = vec![];
    for (request, expected) in &table {
        let answer = store.execute(request.clone()).await;
        assert_eq!(told(&answer), *expected);
        first.push(answer.unwrap());
    }
    for (first, (request, expected)) in first.iter().zip(&table) {
        let again = store.execute(request.clone()).await;
        assert_eq!(told(&again), format!("again {expected}"));
        let other_body = commands::ports::Request { fingerprint: Some([1; 32]), ..request.clone() };
        let other = store.execute(other_body).await.unwrap();
        assert_eq!(other, Receipt { replayed: true, ..first.clone() }, "the first fingerprint, so that reuse shows");
        assert_eq!(store.find_command(request.command_id()).await, Ok(Some(other)));
    }
    assert_eq!(store.head().await, Ok(3));
}

pub async fn only_what_matters_is_recorded(stores: &Stores) {
    let store = &stores[0];
    let table = [
        (without_fingerprint(claim("1", "a", 1)), "done v1 @1", true),
        (without_fingerprint(claim("2", "a", 2)), "order_no_in_use v1 @1", false),
        (without_fingerprint(release("3", "a", 3)), "done v1 @1", false),
        (expecting(Expected::New, claim("4", "a", 4)), "conflict v1", false),
        (without_fingerprint(release("5", "a", 1)), "done v2 @2", true),
        (without_fingerprint(claim("2", "a", 2)), "done v3 @3", true),
        (without_fingerprint(release("3", "a", 3)), "done v3 @3", false),
        (without_fingerprint(claim("1", "a", 1)), "again done v1 @1", true),
    ];
    for (request, expected, recorded) in table {
        assert_eq!(told(&store.execute(request.clone()).await), expected, "{}", request.object);
        let found = store.find_command(request.command_id()).await.unwrap();
        assert_eq!(found.is_some(), recorded, "{}", request.object);
    }
}

pub async fn an_unexpected_version_is_a_conflict(stores: &Stores) {
    let store = &stores[0];
    let (new, exactly) = (Expected::New, Expected::Exactly);
    let table = [
        (expecting(exactly(1), claim("1", "a", 1)), "conflict v0"),
        (expecting(exactly(0), claim("2", "a", 1)), "done v1 @1"),
        (expecting(new, claim("3", "a", 1)), "conflict v1"),
        (expecting(exactly(2), release("4", "a", 1)), "conflict v1"),
        (expecting(exactly(1), claim("5", "a", 2)), "order_no_in_use v1 @1"),
        (expecting(exactly(1), release("6", "a", 1)), "done v2 @2"),
        (expecting(new, claim("7", "b", 1)), "done v1 @3"),
        (turns("8", &[("b", exactly(1)), ("a", exactly(1))], 1), "conflict v2"),
        (turns("9", &[("c", new), ("a", new)], 1), "conflict v2"),
        (turns("10", &[("b", exactly(1)), ("a", exactly(2)), ("c", new)], 1), "done v3 @9"),
        (expecting(exactly(1), claim("1", "a", 1)), "conflict v4"),
    ];
    for (request, expected) in table {
        assert_eq!(told(&store.execute(request.clone()).await), expected, "{}", request.object);
    }
}

pub async fn an_entry_over_several_streams_is_all_or_nothing(stores: &Stores) {
    let store = &stores[0];
    let table = [
        (create_payment("1", "a", 1), "done v1 @2"),
        (create_payment("2", "a", 2), "order_no_in_use v0 @2"),
        (create_payment("3", "b", 1), "conflict v1"),
        (create_payment("4", "b", 3), "done v1 @4"),
    ];
    for (request, expected) in table {
        assert_eq!(told(&store.execute(request.clone()).await), expected, "{}", request.object);
    }
    let payments = Category::of::<Payment>();
    assert_eq!(store.load(payments, &payment_id(2).to_string()).await.unwrap().version, 0);
    assert_eq!(held_by(&store.load(claims(), "b").await.unwrap()), Some(3));
}

pub async fn streams_and_the_log_are_read_in_pages(stores: &Stores) {
    let store = &stores[0];
    for number in 0..5 {
        let name = number.to_string();
        store.execute(turns(&name, &[("a", Expected::Any), ("b", Expected::Any)], 1)).await.unwrap();
    }
    let versions = async |after, limit| {
        let page = store.read_stream(&claim_stream("b"), after, limit).await.unwrap();
        assert!(page.iter().all(|event| event.stream == claim_stream("b")));
        page.iter().map(|event| event.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(0, 3).await, [1, 2, 3]);
    assert_eq!(versions(8, 100).await, [9, 10]);
    assert_eq!(versions(u64::MAX, usize::MAX).await, [0; 0]);
    let positions = async |after, limit| {
        let page = store.read_all(after, limit).await.unwrap();
        page.iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(0, 2).await, [1, 2]);
    assert_eq!(positions(17, 100).await, [18, 19, 20]);
    assert_eq!(positions(u64::MAX, usize::MAX).await, [0; 0]);
    assert_eq!(positions(0, 0).await, [0; 0]);
}

pub async fn a_state_can_be_had_as_of_any_version(stores: &Stores) {
    let store = &stores[0];
    for number in 1..=4 {
        store.execute(claim(&format!("claim {number}"), "a", number)).await.unwrap();
        store.execute(release(&format!("release {number}"), "a", number)).await.unwrap();
    }
    let table = [(0, 0, None), (1, 1, Some(1)), (5, 5, Some(3)), (6, 6, None), (8, 8, None), (u64::MAX, 8, None)];
    for (asked, version, holder) in table {
        let state = store.load_at(claims(), "a", asked).await.unwrap();
        assert_eq!((state.version, held_by(&state)), (version, holder), "as of {asked}");
        if version > 0 {
            let event = &store.read_stream(&claim_stream("a"), version - 1, 1).await.unwrap()[0];
            assert_eq!(state.updated_at, event.recorded_at);
        }
    }
}

/// One wins; the others are refused, and each refusal says on which version.
pub async fn many_at_once_on_one_stream(stores: &Stores) {
    let store = &stores[0];
    let names: Vec<String> = (0..64).map(|number| format!("claim {number}")).collect();
    let all = (1..).zip(&names).map(|(number, name)| store.execute(claim(name, "a", number)));
    let answers: Vec<String> = join_all(all).await.iter().map(told).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "done v1 @1").count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| *answer == "order_no_in_use v1 @1").count(), 63, "{answers:?}");
    let appends = (0..64).map(|number| store.execute(turns(&format!("turn {number}"), &[("b", Expected::Any)], 2)));
    let versions: HashSet<u64> = join_all(appends).await.into_iter().map(|answer| answer.unwrap().version).collect();
    assert_eq!(versions, (1..=64).map(|turn| 4 * turn).collect());
}

/// Conflicts, repeats and refusals among commands of several events take nobody else down and leave nothing behind.
pub async fn each_of_many_at_once_stands_alone(stores: &Stores) {
    let store = &stores[0];
    store.execute(turns("known", &[("known", Expected::New), ("b", Expected::Any)], 2)).await.unwrap();
    let before = store.head().await.unwrap();
    let request = |number: usize| match number % 4 {
        0 => turns(&format!("good {number}"), &[(&format!("s{number}"), Expected::New), ("b", Expected::Any)], 2),
        1 => turns(&format!("conflict {number}"), &[("b", Expected::Any), ("known", Expected::Exactly(99))], 2),
        2 => turns("known", &[("known", Expected::New), ("b", Expected::Any)], 2),
        _ => turns("twice", &[("twice", Expected::New), ("b", Expected::Any)], 2),
    };
    let answers = join_all((0..200).map(|number| store.execute(request(number)))).await;
    let count = |kind: fn(&Result<Receipt, StoreError>) -> bool| answers.iter().filter(|answer| kind(answer)).count();
    assert_eq!(count(|answer| matches!(answer, Err(StoreError::Conflict { actual: 4, .. }))), 50);
    assert_eq!(count(|answer| matches!(answer, Ok(receipt) if receipt.replayed)), 50 + 49);
    assert_eq!(count(|answer| matches!(answer, Ok(receipt) if !receipt.replayed)), 50 + 1);
    let audit = audit(store).await;
    assert_eq!(audit.events, before + 51 * 8);
    assert!(audit.by_command.values().all(|events| *events == 8));
}

/// 16 writers, 51,200 events, and a reader that asks for whatever lies behind the last position it has seen.
pub async fn a_tailing_reader_misses_nothing(stores: &Stores) {
    const WRITERS: u64 = 16;
    const COMMANDS: u64 = 200;
    const EVENTS: u64 = 16;
    let store = stores[0].clone();
    let reader = tokio::spawn(async move {
        let (mut head, mut last) = (store.watch_head(), 0);
        while last < WRITERS * COMMANDS * EVENTS {
            for event in store.read_all(last, 1_000).await.unwrap() {
                assert_eq!(event.position, last + 1, "skipped or out of order");
                last = event.position;
            }
            let newer = head.wait_for(|head| *head > last || last == WRITERS * COMMANDS * EVENTS);
            tokio::time::timeout(Duration::from_secs(30), newer).await.expect("the head moves on").unwrap();
        }
    });
    let writer = |writer: u64| {
        let store = stores[0].clone();
        tokio::spawn(async move {
            for number in 0..COMMANDS {
                let own = format!("{writer}-{}", number / 10);
                let shared = format!("shared-{}", number % 50);
                let streams = [(own.as_str(), Expected::Any), (shared.as_str(), Expected::Any)];
                let receipt = store.execute(turns(&format!("{writer}-{number}"), &streams, 4)).await.unwrap();
                assert!(store.head().await.unwrap() >= receipt.position, "what is acknowledged is visible");
            }
        })
    };
    for writer in (0..WRITERS).map(writer).collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    reader.await.unwrap();
    assert!(audit(&stores[0]).await.events >= 50_000);
}

/// A real payment's whole life, its state folded here beside the store.
pub async fn payments_live_as_decided(stores: &Stores) {
    let store = &stores[0];
    store.execute(create_payment("create", "a", 1)).await.unwrap();
    let mut state = Payment::evolve(payment::State::Absent, &payment::Event::Created(Box::new(terms(1))));
    for (number, command) in life_of_a_payment().into_iter().enumerate() {
        let receipt = store.execute(on_payment(&format!("step {number}"), 1, command.clone())).await.unwrap();
        assert_eq!(receipt.rejection, None, "{command:?}");
        let events = Payment::decide(&state, command).unwrap();
        state = events.iter().fold(state, Payment::evolve);
        let at_version = store.load_at(Category::of::<Payment>(), &payment_id(1).to_string(), receipt.version).await;
        assert_eq!(at_version.unwrap().of::<Payment>(), Some(&state));
    }
    let newest = store.load(Category::of::<Payment>(), &payment_id(1).to_string()).await.unwrap();
    assert_eq!(newest.of::<Payment>(), Some(&state));
    assert!(newest.version >= 8);
}

pub async fn the_head_wakes_whoever_waits(stores: &Stores) {
    for (writing, position) in [(0, 1), (1, 2), (0, 3)] {
        let mut heads: Vec<_> = stores.iter().map(|store| store.watch_head()).collect();
        let request = turns(&position.to_string(), &[("a", Expected::Any)], 1);
        let receipt = stores[writing].execute(request).await.unwrap();
        assert_eq!(receipt.position, 2 * position);
        for head in &mut heads {
            let woken = head.wait_for(|head| *head >= receipt.position);
            tokio::time::timeout(Duration::from_secs(10), woken).await.expect("both stores learn of it").unwrap();
        }
        assert_eq!(*stores[writing].watch_head().borrow(), receipt.position);
    }
}

pub async fn two_stores_share_one_history(stores: &Stores) {
    let table = [
        (0, claim("1", "a", 1), "done v1 @1"),
        (1, claim("2", "a", 2), "order_no_in_use v1 @1"),
        (1, claim("1", "a", 1), "again done v1 @1"),
        (1, release("3", "a", 1), "done v2 @2"),
        (0, claim("2", "a", 2), "again order_no_in_use v1 @1"),
        (0, expecting(Expected::Exactly(1), claim("4", "a", 4)), "conflict v2"),
        (0, without_fingerprint(release("5", "a", 1)), "done v2 @2"),
        (0, claim("6", "a", 6), "done v3 @3"),
        (1, without_fingerprint(release("6", "a", 6)), "again done v3 @3"),
    ];
    for (store, request, expected) in table {
        assert_eq!(told(&stores[store].execute(request.clone()).await), expected, "{}", request.object);
        let loads = join_all(stores.iter().map(|store| store.load(claims(), "a"))).await;
        let versions: HashSet<u64> = loads.into_iter().map(|state| state.unwrap().version).collect();
        assert_eq!(versions.len(), 1, "each read sees what was acknowledged anywhere");
    }
}

/// The same commands through both, and commands that exclude each other.
pub async fn two_stores_append_at_once(stores: &Stores) {
    const COMMANDS: usize = 150;
    let run = async |name: fn(usize) -> String, request: fn(&str) -> commands::ports::Request| {
        let both = stores.iter().map(|store| async move {
            let mut answers = vec![];
            for chunk in (0..COMMANDS).collect::<Vec<_>>().chunks(10) {
                let requests: Vec<_> = chunk.iter().map(|number| request(&name(*number))).collect();
                let all = requests.iter().map(|request| insist(store, request));
                answers.extend(join_all(all).await.into_iter().map(|(answer, _)| answer));
            }
            answers
        });
        let [left, right] = <[_; 2]>::try_from(join_all(both).await).unwrap();
        left.into_iter().zip(right).collect::<Vec<_>>()
    };

    let same =
        run(|number| format!("same {number}"), |name| turns(name, &[(name, Expected::New), ("hot", Expected::Any)], 1));
    for (left, right) in same.await {
        let (left, right) = (left.unwrap(), right.unwrap());
        assert!(left.replayed != right.replayed, "one of the two appended it");
        assert_eq!(Receipt { replayed: false, ..left }, Receipt { replayed: false, ..right });
    }

    let exclusive = run(
        |number| format!("exclusive {number} {}", Uuid::new_v4()),
        |name| {
            let version: u64 = name.split(' ').nth(1).unwrap().parse().unwrap();
            let contended = format!("contended {version}");
            turns(name, &[(name, Expected::New), (&contended, Expected::Exactly(0))], 1)
        },
    );
    for (left, right) in exclusive.await {
        let outcomes = [&left, &right].map(|answer| match answer {
            Ok(_) => true,
            Err(StoreError::Conflict { actual: 2, .. }) => false,
            Err(error) => panic!("{error}"),
        });
        assert!(outcomes[0] != outcomes[1], "one of the two has it");
    }
    assert_eq!(audit(&stores[0]).await.events, u64::try_from(COMMANDS).unwrap() * 8);
}

/// The one store remembers a state that the other has changed since.
pub async fn a_refusal_is_never_decided_on_an_old_state(stores: &Stores) {
    for round in 0..10_u64 {
        let (order, name) = (format!("order {round}"), |what: &str| format!("{what} {round}"));
        let (first, other) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
        stores[first].execute(claim(&name("remembered"), &order, 1)).await.unwrap();
        stores[other].execute(release(&name("freed"), &order, 1)).await.unwrap();
        // On the remembered state: refused, nothing to say, a conflict.
        let claimed = stores[first].execute(claim(&name("claim"), &order, 2)).await.unwrap();
        assert_eq!((claimed.version, claimed.rejection), (3, None));
        stores[other].execute(release(&name("freed again"), &order, 2)).await.unwrap();
        let no_op = stores[first].execute(without_fingerprint(claim(&name("not held"), &order, 2))).await.unwrap();
        assert_eq!(no_op.version, 5, "it was freed meanwhile, so claiming it again is news");
        stores[other].execute(release(&name("freed at last"), &order, 2)).await.unwrap();
        let expected = expecting(Expected::Exactly(6), claim(&name("expected"), &order, 3));
        assert_eq!(stores[first].execute(expected).await.unwrap().version, 7);
        // And the refusal of a state that is new is recorded for all.
        let refused = stores[other].execute(claim(&name("refused"), &order, 4)).await.unwrap();
        assert_eq!((refused.version, refused.rejection.is_some()), (7, true));
        stores[first].execute(release(&name("free"), &order, 3)).await.unwrap();
        let again = stores[first].execute(claim(&name("refused"), &order, 4)).await.unwrap();
        assert_eq!(again, Receipt { replayed: true, ..refused });
    }
}

/// A command may say that a stream is new, and be wrong where only another store could know.
pub async fn a_stream_that_exists_elsewhere_is_not_new(stores: &Stores) {
    for (order, number) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        stores[0].execute(create_payment(&number.to_string(), order, number)).await.unwrap();
    }
    let table = [
        (create_payment("refusal", "a", 2), "conflict v1"),
        (without_fingerprint(create_payment("unrecorded refusal", "a", 3)), "conflict v1"),
        (create_payment("append", "e", 4), "conflict v1"),
        (create_payment("1", "a", 1), "again done v1 @2"),
        (create_payment("new", "e", 5), "done v1 @10"),
    ];
    for (request, expected) in table {
        assert_eq!(told(&stores[1].execute(request.clone()).await), expected, "{}", request.object);
    }
}

pub async fn many_streams_are_loaded_as_each_is(stores: &Stores) {
    let store = &stores[0];
    for (command, stream) in [("first", "a"), ("second", "b")] {
        store.execute(claim(command, stream, 1)).await.unwrap();
    }
    let wanted = ["b", "nothing", "a", "b"].map(str::to_owned);
    let many = store.load_many(claims(), &wanted).await.unwrap();
    let found: Vec<(u64, Option<u128>)> = many.iter().map(|state| (state.version, held_by(state))).collect();
    assert_eq!(found, [(1, Some(1)), (0, None), (1, Some(1)), (1, Some(1))]);
    for (id, of_many) in wanted.iter().zip(&many) {
        let alone = store.load(claims(), id).await.unwrap();
        assert_eq!((alone.version, alone.updated_at), (of_many.version, of_many.updated_at), "{id}");
    }
    assert!(store.load_many(claims(), &[]).await.unwrap().is_empty());
}
