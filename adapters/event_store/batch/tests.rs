//! Batches as tables: order claims are the simplest aggregate that refuses, repeats and says nothing.

use std::sync::Arc;

use commands::executor::Issued;
use commands::ports::{Category, StreamRef};
use domain::order_claim::{Command, Holder, OrderClaim, State};
use domain::{Decider, MerchantId, PaymentId};

use super::*;

const NOW: i64 = 1_790_000_000_000_000;

fn payment(number: u128) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(number))
}

fn claim(number: u128) -> Command {
    let merchant_id = MerchantId::from_uuid(Uuid::nil());
    Command::Claim { merchant_id, order_no: "A-1".parse().unwrap(), holder: Holder::Payment(payment(number)) }
}

fn release(number: u128) -> Command {
    Command::Release { holder: Holder::Payment(payment(number)) }
}

fn stream(id: &str) -> StreamId {
    StreamId::new(OrderClaim::CATEGORY, id)
}

/// The commands are decided on the first stream and their events appended to every stream.
fn request(name: &str, streams: &[(&str, Expected)], commands: Vec<Command>) -> Request {
    let indexes = 0..streams.len();
    let decide = move |states: &[StreamState]| {
        let mut state = states[0].of::<OrderClaim>().unwrap().clone();
        let mut facts = vec![];
        for command in &commands {
            match OrderClaim::decide(&state, command.clone()) {
                Ok(events) => {
                    state = events.iter().fold(state, OrderClaim::evolve);
                    let facts_of = |event| indexes.clone().map(move |index| NewEvent::of(index, Clone::clone(event)));
                    facts.extend(events.iter().flat_map(facts_of));
                }
                Err(rejection) => return Decision::Reject(rejection.into()),
            }
        }
        Decision::Append(facts)
    };
    Request {
        metadata: Issued::internally("test", name, "corr").metadata,
        fingerprint: Some([7; 32]),
        object: name.to_owned(),
        streams: streams.iter().map(|(id, expected)| StreamRef::new::<OrderClaim>(*id, *expected)).collect(),
        decide: Arc::new(decide),
    }
}

fn simple(name: &str, expected: Expected, command: Command) -> Request {
    request(name, &[("a", expected)], vec![command])
}

fn empty_log(requests: &[Request]) -> Basis {
    let named = requests.iter().flat_map(|request| &request.streams);
    let streams = named.map(|named| (named.stream.clone(), Ok(Category::of::<OrderClaim>().empty()))).collect();
    Basis { head: Head::genesis(), now: Timestamp::from_micros(NOW), known: HashMap::new(), streams }
}

fn told(answer: &Result<Receipt, StoreError>) -> String {
    match answer {
        Ok(Receipt { replayed: true, version, .. }) => format!("repeat of version {version}"),
        Ok(Receipt { rejection: Some(rejection), version, .. }) => format!("{} at {version}", rejection.code),
        Ok(Receipt { version, position, .. }) => format!("version {version} position {position}"),
        Err(StoreError::Conflict { actual, .. }) => format!("conflict at {actual}"),
        Err(StoreError::Corrupt(_)) => "corrupt".to_owned(),
        Err(StoreError::Unavailable(_)) => "unavailable".to_owned(),
    }
}

/// Decides the requests as one batch on an empty log and checks what holds of every batch.
#[track_caller]
fn check(requests: &[Request], expected: &[&str]) -> Batch {
    let batch = decide(requests, empty_log(requests));
    let answers: Vec<String> = batch.answers.iter().map(told).collect();
    assert_eq!(answers, expected);
    check_chain(&Head::genesis(), &batch);
    for (stream, state) in &batch.streams {
        let of_stream = batch.events.iter().filter(|event| event.stream == *stream);
        let folded = of_stream.fold(Category::of::<OrderClaim>().empty(), |state, event| {
            assert_eq!(event.version, state.version + 1, "versions of {stream} are dense");
            Category::of::<OrderClaim>().apply_recorded(&state, event).unwrap()
        });
        let state = state.as_ref().unwrap();
        assert_eq!(state.version, folded.version);
        assert_eq!(state.of::<OrderClaim>(), folded.of::<OrderClaim>());
        assert_eq!(state.updated_at, folded.updated_at);
    }
    batch
}

#[track_caller]
fn check_chain(before: &Head, batch: &Batch) {
    let mut head = *before;
    for event in &batch.events {
        assert_eq!(event.position, head.position + 1);
        assert!(event.recorded_at > head.recorded_at);
        assert_eq!(event.hash, event.expected_hash(&head.hash));
        head = Head::of(event);
    }
    assert_eq!(batch.head, head);
}

#[test]
fn later_requests_see_the_uncommitted_events_of_earlier_ones() {
    let any = Expected::Any;
    let batch = check(
        &[
            simple("1", any, claim(1)),
            simple("2", any, claim(2)),
            simple("3", any, release(1)),
            simple("4", any, claim(2)),
        ],
        &["version 1 position 1", "order_no_in_use at 1", "version 2 position 2", "version 3 position 3"],
    );
    assert_eq!(batch.commands.len(), 4, "a refusal with a fingerprint is recorded as well");
    assert_eq!(
        batch.streams[&stream("a")].as_ref().unwrap().of::<OrderClaim>(),
        Some(&State::HeldBy(Holder::Payment(payment(2))))
    );
}

#[test]
fn a_repeat_comes_before_a_conflict_and_a_conflict_before_a_refusal() {
    let first = simple("1", Expected::New, claim(1));
    check(
        &[first.clone(), first, simple("2", Expected::New, claim(2)), simple("3", Expected::Exactly(1), claim(2))],
        &["version 1 position 1", "repeat of version 1", "conflict at 1", "order_no_in_use at 1"],
    );
}

#[test]
fn what_was_recorded_before_is_told_again_though_it_would_conflict() {
    let request = simple("1", Expected::Exactly(9), claim(1));
    let first = Receipt {
        command_id: request.command_id(),
        replayed: false,
        fingerprint: None,
        object: "first".to_owned(),
        stream: stream("a"),
        version: 4,
        position: 40,
        rejection: None,
    };
    let mut basis = empty_log(std::slice::from_ref(&request));
    basis.known.insert(request.command_id(), first.clone());
    let batch = decide([&request], basis);
    assert_eq!(batch.answers, [Ok(Receipt { replayed: true, ..first })]);
    assert!(batch.events.is_empty() && batch.commands.is_empty() && batch.unrecorded.is_empty());
}

#[test]
fn a_command_of_several_events_and_streams_is_all_or_nothing() {
    let both = |a, b| [("a", a), ("b", b)];
    let (any, new) = (Expected::Any, Expected::New);
    let batch = check(
        &[
            request("1", &both(new, new), vec![claim(1), release(1), claim(2)]),
            request("2", &both(any, Expected::Exactly(2)), vec![release(2), claim(3)]),
            request("3", &both(any, any), vec![release(2), claim(3)]),
        ],
        &["version 3 position 6", "conflict at 3", "version 5 position 10"],
    );
    let [lost] = batch.unrecorded[..] else { panic!("one command is not recorded") };
    assert_eq!(lost, Issued::internally("test", "2", "").metadata.command_id);
}

#[test]
fn nothing_to_say_is_recorded_only_for_a_fingerprint() {
    let no_op = simple("1", Expected::Any, release(1));
    let anonymous = Request { fingerprint: None, ..simple("2", Expected::Any, release(1)) };
    let repeat = anonymous.clone();
    let batch = check(
        &[no_op, anonymous, simple("3", Expected::Any, claim(1)), repeat],
        &["version 0 position 0", "version 0 position 0", "version 1 position 1", "version 2 position 2"],
    );
    let recorded: Vec<&str> = batch.commands.iter().map(|command| command.receipt.object.as_str()).collect();
    assert_eq!(recorded, ["1", "3", "2"], "an unrecorded command is decided again when it comes again");
}

#[test]
fn a_bug_in_one_command_fails_it_alone() {
    let panics = Request { decide: Arc::new(|_| panic!("a bug")), ..simple("1", Expected::Any, claim(1)) };
    let elsewhere = |_: &[StreamState]| Decision::Append(vec![NewEvent::of(5, claimed())]);
    let elsewhere = Request { decide: Arc::new(elsewhere), ..simple("2", Expected::Any, claim(1)) };
    let twice = request("3", &[("a", Expected::Any), ("a", Expected::Any)], vec![claim(1)]);
    let zero = request("4", &[("a\0", Expected::Any)], vec![claim(1)]);
    let unfounded = Request { streams: vec![], ..simple("5", Expected::Any, claim(1)) };
    check(
        &[panics, elsewhere, twice, zero, unfounded, simple("6", Expected::Any, claim(1))],
        &["corrupt", "corrupt", "corrupt", "corrupt", "corrupt", "version 1 position 1"],
    );
}

fn claimed() -> domain::order_claim::Event {
    domain::order_claim::Event::Released(Holder::Payment(payment(1)))
}

#[test]
fn an_unreadable_stream_fails_its_commands_alone() {
    let requests = [
        request("1", &[("damaged", Expected::Any)], vec![claim(1)]),
        request("2", &[("a", Expected::Any), ("damaged", Expected::Any)], vec![claim(1)]),
        simple("3", Expected::Any, claim(1)),
    ];
    let mut basis = empty_log(&requests);
    basis.streams.insert(stream("damaged"), Err("event 7 cannot be read".to_owned()));
    let batch = decide(&requests, basis);
    let answers: Vec<String> = batch.answers.iter().map(told).collect();
    assert_eq!(answers, ["corrupt", "corrupt", "version 1 position 1"]);
    assert_eq!(batch.unrecorded.len(), 2);
}

#[test]
fn time_never_goes_back_along_the_log() {
    let requests = [simple("1", Expected::Any, claim(1)), simple("2", Expected::Any, release(1))];
    let ahead = Timestamp::from_micros(NOW + 1_000_000);
    let head = Head { position: 5, hash: ChainHash::from_bytes([9; 32]), recorded_at: ahead };
    let batch = decide(&requests, Basis { head, ..empty_log(&requests) });
    check_chain(&head, &batch);
    let times: Vec<i64> = batch.events.iter().map(|event| event.recorded_at.as_micros() - NOW).collect();
    assert_eq!(times, [1_000_001, 1_000_002]);
    assert!(batch.events.iter().all(|event| event.effective_at == event.recorded_at));
}

#[test]
fn deciding_again_gives_the_same_events() {
    let requests = [request("1", &[("a", Expected::New)], vec![claim(1), release(1)])];
    let again = || decide(&requests, empty_log(&requests)).events;
    assert_eq!(again(), again());
    let ids: Vec<Uuid> = again().iter().map(|event| event.event_id).collect();
    assert_ne!(ids[0], ids[1]);
}
