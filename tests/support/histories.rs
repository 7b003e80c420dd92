//! Payments as they might have gone, through the real deciders and into any event store. Knows no read model.

use std::marker::PhantomData;
use std::sync::Arc;

use commands::executor::Issued;
use commands::ports::{
    Category, Decision, EventStore, Expected, NewEvent, Receipt, Request, StreamId, StreamRef, StreamState,
};
use domain::payment::{
    ChargeOutcome, Command, Created, Failure, Payment, PaymentRejection, RefundOutcome, RequestRefund,
};
use domain::pricing::{Pricing, PricingModel, RefundFeePolicy, Tier};
use domain::{Currency, Decider, DomainEvent, MerchantId, PaymentId, RefundId, Sealed, Timestamp, merchant};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

/// Decides `command` on one stream and appends what follows from it.
pub async fn decide<D: Decider>(store: &dyn EventStore, id: &str, command: D::Command) -> Receipt {
    let decide = move |states: &[StreamState]| {
        let state = states[0].of::<D>().cloned().unwrap_or_default();
        match D::decide(&state, command.clone()) {
            Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
            Err(rejection) => Decision::Reject(rejection.into()),
        }
    };
    send(store, StreamRef::new::<D>(id, Expected::Any), Arc::new(decide)).await
}

/// Whatever is appended, nothing is folded.
struct Unfolded<E>(PhantomData<fn() -> E>);

impl<E: DomainEvent> Decider for Unfolded<E> {
    const CATEGORY: &'static str = "unfolded";
    type State = ();
    type Command = E;
    type Event = E;
    type Rejection = PaymentRejection;

    fn decide((): &(), event: E) -> Result<Vec<E>, PaymentRejection> {
        Ok(vec![event])
    }

    fn evolve((): (), _: &E) {}
}

/// Appends an event to any stream, whatever its aggregate would say.
pub async fn append<E: DomainEvent>(store: &dyn EventStore, stream: StreamId, event: E) -> Receipt {
    let decide = move |_: &[StreamState]| Decision::Append(vec![NewEvent::of(0, event.clone())]);
    let stream = StreamRef { category: Category::of::<Unfolded<E>>(), stream, expected: Expected::Any };
    send(store, stream, Arc::new(decide)).await
}

async fn send(store: &dyn EventStore, stream: StreamRef, decide: commands::ports::request::DecideFn) -> Receipt {
    let purpose = Uuid::new_v4().to_string();
    let request = Request {
        metadata: Issued::internally("test", &purpose, &purpose).metadata,
        fingerprint: None,
        object: stream.stream.id.clone(),
        streams: vec![stream],
        decide,
    };
    store.execute(request).await.expect("the store takes commands")
}

pub fn merchant_id(n: u128) -> MerchantId {
    MerchantId::from_uuid(Uuid::from_u128(n))
}

/// Ids that sort as their numbers do.
pub fn payment_id(n: u128) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(n))
}

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000 + seconds * 1_000_000)
}

pub fn sealed() -> Sealed {
    Sealed { key: "k".into(), nonce: "n".into(), data: "d".into() }
}

fn failure() -> Failure {
    Failure::new("declined", None)
}

/// 10000 USD over the sandbox channel for merchant 1, tier Starter, created `n` seconds into the story.
pub fn terms(n: u32) -> Created {
    Created {
        payment_id: payment_id(u128::from(n)),
        merchant_id: merchant_id(1),
        order_no: format!("A-{n}").parse().expect("an order number"),
        amount: 10_000,
        currency: Currency::USD,
        channel: "sandbox".parse().expect("a channel"),
        method: "card".into(),
        country: None,
        pricing: Pricing {
            model: PricingModel::CostPlus,
            markup_rate: crate::seeds::STARTER_MARKUP,
            refund_fee_policy: RefundFeePolicy::Retain,
        },
        expected_channel_fee_rate: rust_decimal::Decimal::new(1, 2),
        limit: None,
        sealed: sealed(),
        order_id: None,
        pre_auth_id: None,
        created_at: at(i64::from(n)),
        expires_at: at(i64::from(n) + 1_800),
    }
}

pub fn merchant_terms(n: u128) -> merchant::Terms {
    merchant::Terms {
        merchant_id: merchant_id(n),
        name: format!("Merchant {n}"),
        tier: Tier::Starter,
        pricing_model: PricingModel::CostPlus,
        refund_fee_policy: RefundFeePolicy::Retain,
        home_currency: None,
        time_zone: None,
        onboarded_at: at(i64::try_from(n).expect("a small number")),
    }
}

pub async fn onboard(store: &dyn EventStore, n: u128) -> Receipt {
    let terms = merchant_terms(n);
    let id = terms.merchant_id.to_string();
    decide::<merchant::Merchant>(store, &id, merchant::Command::Onboard(terms)).await
}

pub async fn pay(store: &dyn EventStore, payment: PaymentId, command: Command) -> Receipt {
    decide::<Payment>(store, &payment.to_string(), command).await
}

pub async fn create(store: &dyn EventStore, terms: Created) -> PaymentId {
    let payment = terms.payment_id;
    let receipt = pay(store, payment, Command::Create(terms)).await;
    assert_eq!(receipt.rejection, None);
    payment
}

pub async fn capture(store: &dyn EventStore, payment: PaymentId, amount: i64, fee: Option<i64>) -> Receipt {
    let outcome = ChargeOutcome::Captured { channel_reference: format!("ch_{payment}"), amount, fee };
    pay(store, payment, Command::RecordCharge { outcome, at: at(5_000) }).await
}

/// Asks for a refund that the merchant's funds cover.
pub async fn refund(store: &dyn EventStore, payment: PaymentId, refund_id: RefundId, amount: Option<i64>) -> Receipt {
    let request = RequestRefund { refund_id, amount, reason: Some(sealed()), cover: i128::MAX, at: at(6_000) };
    pay(store, payment, Command::RequestRefund(request)).await
}

pub async fn refunded(
    store: &dyn EventStore,
    payment: PaymentId,
    refund_id: RefundId,
    outcome: RefundOutcome,
) -> Receipt {
    pay(store, payment, Command::RecordRefund { refund_id, outcome, at: at(7_000) }).await
}

pub fn refund_succeeded(fee_returned: i64) -> RefundOutcome {
    RefundOutcome::Succeeded { channel_reference: "rf_1".into(), fee_returned }
}

/// A growing story of several merchants, currencies, channels, price models and fee policies. The same seed tells the
/// same story.
pub struct Story {
    random: StdRng,
    payments: Vec<Created>,
    refunds: Vec<(PaymentId, RefundId)>,
}

impl Story {
    pub fn new(seed: u64) -> Story {
        Story { random: StdRng::seed_from_u64(seed), payments: vec![], refunds: vec![] }
    }

    /// Tries `commands` things; the deciders refuse what makes no sense.
    pub async fn go_on(&mut self, store: &dyn EventStore, commands: usize) {
        for _ in 0..commands {
            if self.payments.is_empty() || self.random.random_ratio(1, 5) {
                let terms = self.next_terms();
                self.payments.push(terms.clone());
                create(store, terms).await;
            } else {
                let (payment, command) = self.next_command();
                pay(store, payment, command).await;
            }
        }
    }

    /// Brings every refund and every estimated fee to its end.
    pub async fn finish(&mut self, store: &dyn EventStore) {
        for terms in &self.payments {
            let payment = terms.payment_id;
            let state = store.load(Category::of::<Payment>(), &payment.to_string()).await.expect("a payment");
            let record = state.of::<Payment>().and_then(|state| state.record());
            let Some(taken) = record.and_then(|record| record.capture()) else { continue };
            let reference = record.and_then(|record| record.channel_reference.clone()).unwrap_or_default();
            let fee = Some(self.random.random_range(0..=taken.amount / 5));
            let outcome = ChargeOutcome::Captured { channel_reference: reference, amount: taken.amount, fee };
            pay(store, payment, Command::RecordCharge { outcome, at: at(9_000) }).await;
            for refund in taken.refunds.iter().filter(|refund| refund.status.is_pending()) {
                refunded(store, payment, refund.refund_id, refund_succeeded(0)).await;
            }
        }
    }

    fn next_terms(&mut self) -> Created {
        let random = &mut self.random;
        let n = u32::try_from(self.payments.len()).expect("a short story") + 1;
        let currency = *[Currency::USD, Currency::JPY, Currency::KWD].choose(random).expect("one of three");
        let channel = *["sandbox", "stripe"].choose(random).expect("one of two");
        Created {
            merchant_id: merchant_id(random.random_range(1..=3)),
            // Some orders are paid for more than once.
            order_no: format!("A-{}", random.random_range(1..=n)).parse().expect("an order number"),
            amount: random.random_range(1..=1_000_000),
            currency,
            channel: channel.parse().expect("a channel"),
            pricing: Pricing {
                model: *[PricingModel::CostPlus, PricingModel::Blended].choose(random).expect("one of two"),
                markup_rate: crate::seeds::tiers().choose(random).expect("one of four").markup_rate,
                refund_fee_policy: *[RefundFeePolicy::Retain, RefundFeePolicy::Proportional]
                    .choose(random)
                    .expect("one of two"),
            },
            expected_channel_fee_rate: rust_decimal::Decimal::new(29, 3),
            ..terms(n)
        }
    }

    fn next_command(&mut self) -> (PaymentId, Command) {
        let terms = self.payments.choose(&mut self.random).expect("a payment").clone();
        let at = at(self.random.random_range(0..10_000));
        let command = match self.random.random_range(0..12) {
            0..4 => return (terms.payment_id, Command::RecordCharge { outcome: self.next_capture(&terms), at }),
            4 => Command::RecordCharge { outcome: self.next_news(), at },
            5 => Command::Cancel { at },
            6 => Command::Expire { at },
            7..9 => return self.next_refund(&terms),
            _ => match self.refunds.choose(&mut self.random).copied() {
                Some((payment, refund_id)) => {
                    return (payment, Command::RecordRefund { refund_id, outcome: self.next_refund_news(), at });
                }
                None => Command::Cancel { at },
            },
        };
        (terms.payment_id, command)
    }

    fn next_capture(&mut self, terms: &Created) -> ChargeOutcome {
        let partial = self.random.random_range(1..=terms.amount);
        let amount = if self.random.random_ratio(3, 4) { terms.amount } else { partial };
        let fee = self.random.random_range(0..=amount / 5);
        let fee = if self.random.random_bool(0.5) { Some(fee) } else { None };
        ChargeOutcome::Captured { channel_reference: format!("ch_{}", terms.payment_id), amount, fee }
    }

    fn next_news(&mut self) -> ChargeOutcome {
        let channel_reference = "ch_1".to_owned();
        match self.random.random_range(0..5) {
            0 => ChargeOutcome::ActionRequired { channel_reference, action: sealed() },
            1 => ChargeOutcome::Accepted { channel_reference },
            2 => ChargeOutcome::Declined { channel_reference: None, failure: failure() },
            3 => ChargeOutcome::Voided,
            _ => ChargeOutcome::Unknown,
        }
    }

    fn next_refund(&mut self, terms: &Created) -> (PaymentId, Command) {
        let refund_id = RefundId::from_uuid(Uuid::from_u128(self.random.random()));
        self.refunds.push((terms.payment_id, refund_id));
        let part = self.random.random_range(1..=terms.amount);
        let amount = if self.random.random_bool(0.5) { Some(part) } else { None };
        let request = RequestRefund { refund_id, amount, reason: None, cover: i128::MAX, at: at(6_000) };
        (terms.payment_id, Command::RequestRefund(request))
    }

    fn next_refund_news(&mut self) -> RefundOutcome {
        match self.random.random_range(0..6) {
            0..3 => refund_succeeded(0),
            3 => RefundOutcome::Accepted { channel_reference: "rf_1".into() },
            4 => RefundOutcome::Failed(failure()),
            _ => RefundOutcome::Unknown,
        }
    }
}
