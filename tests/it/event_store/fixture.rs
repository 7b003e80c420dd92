//! Commands for the stores' tests, and the audit of a whole log after each of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use commands::executor::{Issued, deterministic_id};
use commands::ports::{
    Category, Decision, EventStore, Expected, NewEvent, Receipt, Request, StoreError, StreamId, StreamRef, StreamState,
};
use domain::chain::ChainHash;
use domain::order_claim::{Command, Event, Holder, OrderClaim, State};
use domain::payment::{self, Payment};
use domain::pricing::{Pricing, PricingModel, RefundFeePolicy};
use domain::{Currency, Decider, MerchantId, PaymentId, Sealed, Timestamp};
use uuid::Uuid;

pub fn payment_id(number: u128) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(number))
}

pub fn merchant_id() -> MerchantId {
    MerchantId::from_uuid(Uuid::from_u128(7))
}

pub fn claim_stream(order: &str) -> StreamId {
    Category::of::<OrderClaim>().stream(order)
}

fn claimed(number: u128) -> Event {
    Event::Claimed { merchant_id: merchant_id(), order_no: "A-1".parse().unwrap(), holder: holder(number) }
}

fn holder(number: u128) -> Holder {
    Holder::Payment(payment_id(number))
}

fn request(
    name: &str,
    streams: Vec<StreamRef>,
    decide: impl Fn(&[StreamState]) -> Decision + Send + Sync + 'static,
) -> Request {
    Request {
        metadata: Issued::internally("test", name, "corr").metadata,
        fingerprint: Some(fingerprint(name)),
        object: format!("object of {name}"),
        streams,
        decide: Arc::new(decide),
    }
}

/// The fingerprint of the request of that name.
pub fn fingerprint(name: &str) -> [u8; 32] {
    let id = deterministic_id(&["fingerprint", name]);
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(id.as_bytes());
    bytes
}

/// A command of the ledger itself: its refusals and no-ops are not recorded.
pub fn without_fingerprint(request: Request) -> Request {
    Request { fingerprint: None, ..request }
}

pub fn expecting(expected: Expected, mut request: Request) -> Request {
    request.streams[0].expected = expected;
    request
}

/// One decision of the order claim's real decider.
fn on_claim(name: &str, order: &str, command: Command) -> Request {
    let streams = vec![StreamRef::new::<OrderClaim>(order, Expected::Any)];
    request(name, streams, move |states| decision(OrderClaim::decide(state_of(&states[0]), command.clone()), 0))
}

fn state_of(state: &StreamState) -> &State {
    state.of::<OrderClaim>().expect("an order claim's stream")
}

fn decision(decided: Result<Vec<Event>, domain::order_claim::OrderClaimRejection>, stream: usize) -> Decision {
    match decided {
        Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(stream, event)).collect()),
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}

/// Claims the order for a payment: refused while another one holds it, nothing to say if this one does.
pub fn claim(name: &str, order: &str, number: u128) -> Request {
    let order_no = "A-1".parse().unwrap();
    on_claim(name, order, Command::Claim { merchant_id: merchant_id(), order_no, holder: holder(number) })
}

/// Frees the order if this payment holds it, else there is nothing to say.
pub fn release(name: &str, order: &str, number: u128) -> Request {
    on_claim(name, order, Command::Release { holder: holder(number) })
}

/// Claims and releases each of the streams `turns` times, whatever their state: `2 * turns` events on each of them,
/// alternating between the streams.
pub fn turns(name: &str, streams: &[(&str, Expected)], turns: usize) -> Request {
    let references = streams.iter().map(|(id, expected)| StreamRef::new::<OrderClaim>(*id, *expected)).collect();
    let indexes = streams.len();
    request(name, references, move |_| {
        let turn = |index| [NewEvent::of(index, claimed(1)), NewEvent::of(index, Event::Released(holder(1)))];
        Decision::Append((0..turns).flat_map(|_| (0..indexes).flat_map(turn)).collect())
    })
}

pub fn terms(number: u128) -> payment::Created {
    payment::Created {
        payment_id: payment_id(number),
        merchant_id: merchant_id(),
        order_no: "A-1".parse().unwrap(),
        amount: 10_000,
        currency: Currency::USD,
        channel: "sandbox".parse().unwrap(),
        method: "card".to_owned(),
        country: None,
        pricing: Pricing {
            model: PricingModel::CostPlus,
            markup_rate: "0.008".parse().unwrap(),
            refund_fee_policy: RefundFeePolicy::Retain,
        },
        expected_channel_fee_rate: "0.01".parse().unwrap(),
        limit: None,
        sealed: Sealed {
            key: "k".to_owned(), nonce: "n".to_owned(), data: "ünïcödé \"quoted\" \\ 数据".to_owned()
        },
        order_id: None,
        pre_auth_id: None,
        created_at: Timestamp::from_micros(1_790_000_000_123_456),
        expires_at: Timestamp::from_micros(1_790_000_001_000_000),
    }
}

/// Creates the payment and claims its order in one entry, as the use case does.
pub fn create_payment(name: &str, order: &str, number: u128) -> Request {
    let streams = vec![
        StreamRef::new::<Payment>(payment_id(number).to_string(), Expected::New),
        StreamRef::new::<OrderClaim>(order, Expected::Any),
    ];
    request(name, streams, move |states| {
        let created = Payment::decide(states[0].of::<Payment>().unwrap(), payment::Command::Create(terms(number)));
        let claim =
            Command::Claim { merchant_id: merchant_id(), order_no: terms(number).order_no, holder: holder(number) };
        match (created, OrderClaim::decide(state_of(&states[1]), claim)) {
            (Err(rejection), _) => Decision::Reject(rejection.into()),
            (_, Err(rejection)) => Decision::Reject(rejection.into()),
            (Ok(created), Ok(claimed)) => {
                let claimed = claimed.into_iter().map(|event| NewEvent::of(1, event));
                Decision::Append(created.into_iter().map(|event| NewEvent::of(0, event)).chain(claimed).collect())
            }
        }
    })
}

pub fn on_payment(name: &str, number: u128, command: payment::Command) -> Request {
    let streams = vec![StreamRef::new::<Payment>(payment_id(number).to_string(), Expected::Any)];
    request(name, streams, move |states| match Payment::decide(states[0].of::<Payment>().unwrap(), command.clone()) {
        Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
        Err(rejection) => Decision::Reject(rejection.into()),
    })
}

/// The life of a payment after its creation: captured, the fee trued up, refunded in two parts of which one fails late.
pub fn life_of_a_payment() -> Vec<payment::Command> {
    use domain::payment::{ChargeOutcome, Command, Failure, RefundOutcome, RequestRefund};
    let at = Timestamp::from_micros(1_790_000_000_500_000);
    let captured = |fee| ChargeOutcome::Captured { channel_reference: "ch_1".to_owned(), amount: 10_000, fee };
    let refund_id = |number| domain::RefundId::from_uuid(Uuid::from_u128(number));
    let request = |number, amount| {
        let refund_id = refund_id(number);
        Command::RequestRefund(RequestRefund { refund_id, amount, reason: None, cover: 1_000_000, at })
    };
    let told = |number, outcome| Command::RecordRefund { refund_id: refund_id(number), outcome, at };
    let succeeded = || RefundOutcome::Succeeded { channel_reference: "re_1".to_owned(), fee_returned: 3 };
    let failure = Failure::new("expired_card", None);
    vec![
        Command::RecordCharge { outcome: ChargeOutcome::Unknown, at },
        Command::RecordCharge { outcome: captured(None), at },
        Command::RecordCharge { outcome: captured(Some(95)), at },
        request(1, Some(4_000)),
        told(1, succeeded()),
        request(2, None),
        told(2, succeeded()),
        told(2, RefundOutcome::Failed(failure)),
    ]
}

/// Sends the command until the store answers otherwise than that it is not available, and tells how often it did so.
pub async fn insist(store: &Arc<dyn EventStore>, request: &Request) -> (Result<Receipt, StoreError>, usize) {
    let mut refused = 0;
    loop {
        match store.execute(request.clone()).await {
            Err(StoreError::Unavailable(_)) => refused += 1,
            answer => return (answer, refused),
        }
    }
}

/// What a log looked like when all of it was read.
pub struct Audit {
    pub events: u64,
    /// How many events carry each command id.
    pub by_command: HashMap<Uuid, usize>,
}

/// Reads the whole log and checks what must hold of every log.
pub async fn audit(store: &Arc<dyn EventStore>) -> Audit {
    let (mut position, mut hash, mut recorded_at) = (0, ChainHash::GENESIS, Timestamp::default());
    let (mut versions, mut ids) = (HashMap::<StreamId, u64>::new(), HashSet::new());
    let mut by_command = HashMap::<Uuid, usize>::new();
    let mut last_command = None;
    loop {
        let page = store.read_all(position, 5_000).await.unwrap();
        for event in &page {
            assert_eq!(event.position, position + 1, "positions have no gap");
            let version = versions.entry(event.stream.clone()).or_default();
            *version += 1;
            assert_eq!(event.version, *version, "versions of {} have no gap", event.stream);
            assert_eq!(event.hash, event.expected_hash(&hash), "the chain holds at {}", event.position);
            assert!(event.recorded_at > recorded_at, "time goes on");
            assert!(ids.insert(event.event_id), "event ids are unique");
            let command = event.metadata().unwrap().command_id;
            let seen = by_command.entry(command).or_default();
            assert!(*seen == 0 || last_command == Some(command), "the events of a command stand together");
            *seen += 1;
            (position, hash, recorded_at, last_command) =
                (event.position, event.hash, event.recorded_at, Some(command));
        }
        if page.is_empty() {
            break;
        }
    }
    assert_eq!(store.head().await.unwrap(), position);
    Audit { events: position, by_command }
}

/// The receipt of the command is `receipt`, and just the events that it speaks of are in the log.
pub async fn check_recorded(store: &Arc<dyn EventStore>, audit: &Audit, receipt: &Receipt, events: usize) {
    let stored = store.find_command(receipt.command_id).await.unwrap().expect("an answer that was given is recorded");
    assert_eq!(stored, Receipt { replayed: true, ..receipt.clone() });
    assert_eq!(audit.by_command.get(&receipt.command_id).copied().unwrap_or_default(), events);
}
