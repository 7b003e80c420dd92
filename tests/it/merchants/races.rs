//! One merchant and many clients on two nodes: its limits hold to the cent, and what they cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use adapters::event_store::postgres::{PostgresEventStore, PostgresOptions};
use commands::Executor;
use commands::payment::{CreatePayment, PaymentDetails, Payments};
use commands::ports::clock::SystemClock;
use commands::ports::{
    AuthorizationAnswer, ChannelAnswer, Decision, EventStore, Expected, NewEvent, Request, StreamRef, nth_state,
};
use commands::pre_auth::{CapturePreAuth, CreatePreAuth, PreAuths};
use domain::merchant::{Changes, OwnLimits, Terms};
use domain::merchant_limits::Used;
use domain::order_claim::{self, Holder, OrderClaim};
use domain::payment::{Command, Failure, Payment};
use domain::pricing::{PricingModel, RefundFeePolicy};
use domain::tier::TierName;
use domain::{Currency, Decider, MerchantId, Money, PaymentId, PreAuthId};
use futures::future::join_all;
use test_support::histories;
use test_support::manual_clock::ManualClock;
use test_support::scripted_channel::ScriptedChannel;
use test_support::{TestDatabase, test_database};
use uuid::Uuid;

use crate::sagas::stage::{self, issued};

const CLIENTS: usize = 64;

/// Two nodes on one database, each with a log of its own, and a merchant with its own limits.
struct Nodes {
    nodes: Vec<Payments>,
    merchant_id: MerchantId,
    _database: TestDatabase,
}

impl Nodes {
    async fn start(limits: OwnLimits) -> Nodes {
        let database = test_database().await;
        let clock = ManualClock::default();
        let node = || {
            let options = PostgresOptions::default();
            let store: Arc<dyn EventStore> =
                Arc::new(PostgresEventStore::start(database.pool.clone(), Arc::new(SystemClock), options));
            stage::payments(store, Arc::new(ScriptedChannel::default()), clock.clone())
        };
        let first = node();
        let second = Payments { vault: first.vault.clone(), ..node() };
        let nodes = vec![first, second];
        let executor = &nodes[0].executor;
        test_support::seeds::sow(executor).await;
        let merchant_id = MerchantId::from_uuid(Uuid::now_v7());
        let at = nodes[0].clock.now();
        let terms = Terms {
            merchant_id,
            name: "Acme".to_owned(),
            tier: TierName::Premium,
            pricing_model: PricingModel::CostPlus,
            refund_fee_policy: RefundFeePolicy::Retain,
            home_currency: None,
            time_zone: None,
            onboarded_at: at,
        };
        commands::merchant::onboard(executor, issued("onboard"), terms).await.unwrap();
        let changes = Changes { limits: Some(limits), ..Changes::default() };
        commands::merchant::change_terms(executor, issued("limits"), merchant_id, changes, at).await.unwrap();
        Nodes { nodes, merchant_id, _database: database }
    }

    fn payment(&self, amount: i64) -> CreatePayment {
        let payment_id = PaymentId::from_uuid(Uuid::now_v7());
        CreatePayment {
            payment_id,
            merchant_id: self.merchant_id,
            order_no: payment_id.to_string().parse().unwrap(),
            amount: Money::new(amount, Currency::USD).unwrap(),
            method: "card".to_owned(),
            channel: None,
            details: PaymentDetails::default(),
            expires_in: None,
        }
    }

    /// Why a payment over `node` was refused, if it was.
    async fn pay(&self, node: &Payments, amount: i64) -> Option<String> {
        let create = self.payment(amount);
        let receipt = node.create(issued(&create.payment_id.to_string()), create).await.unwrap();
        receipt.rejection.map(|rejection| rejection.code)
    }

    /// Money of a customer's that is held and can be captured.
    async fn hold(&self, node: &Payments, amount: i64) -> PreAuthId {
        let pre_auth_id = PreAuthId::from_uuid(Uuid::now_v7());
        let create = CreatePreAuth {
            pre_auth_id,
            merchant_id: self.merchant_id,
            order_no: pre_auth_id.to_string().parse().unwrap(),
            amount: Money::new(amount, Currency::USD).unwrap(),
            method: "card".to_owned(),
            channel: None,
            details: PaymentDetails::default(),
            expires_in: None,
        };
        let pre_auths = PreAuths::on(node);
        let created = pre_auths.create(issued(&pre_auth_id.to_string()), create).await.unwrap();
        assert_eq!(created.rejection, None);
        let channel_reference = pre_auth_id.to_string();
        let answer = AuthorizationAnswer::Authorized { channel_reference, amount, capture_before: None };
        let authorized = pre_auths.record_authorization(issued(&format!("{pre_auth_id} held")), pre_auth_id, answer);
        assert_eq!(authorized.await.unwrap().rejection, None);
        pre_auth_id
    }

    /// Why a capture over `node` was refused, if it was.
    async fn capture(&self, node: &Payments, pre_auth_id: PreAuthId, amount: i64) -> Result<PaymentId, String> {
        let payment_id = PaymentId::from_uuid(Uuid::now_v7());
        let merchant_id = self.merchant_id;
        let capture = CapturePreAuth { pre_auth_id, payment_id, merchant_id, amount: Some(amount), is_final: false };
        let receipt = PreAuths::on(node).capture(issued(&payment_id.to_string()), capture).await.unwrap();
        receipt.rejection.map_or(Ok(payment_id), |rejection| Err(rejection.code))
    }

    async fn used(&self, node: &Payments) -> Used {
        let used = commands::merchant_limits::used(&node.executor, self.merchant_id, node.clock.now());
        used.await.unwrap().unwrap().1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_at_the_edge_of_a_day_never_pass_it() {
    // 41 of 64 x 4 payments fit to the day, and a rest too small for another one is left.
    let nodes = Nodes::start(OwnLimits { daily: Some(41 * 700 + 699), ..OwnLimits::default() }).await;
    let client = async |number: usize| {
        let node = &nodes.nodes[number % 2];
        let mut refused = vec![];
        for _ in 0..4 {
            refused.extend(nodes.pay(node, 700).await);
        }
        refused
    };
    let clients = join_all((0..CLIENTS).map(client));
    let refused =
        tokio::time::timeout(Duration::from_secs(120), clients).await.expect("nobody waits for ever").concat();
    assert!(refused.iter().all(|code| code == "daily_limit_exceeded"), "{refused:?}");
    assert_eq!(refused.len(), 4 * CLIENTS - 41);
    for node in &nodes.nodes {
        let used = nodes.used(node).await;
        assert_eq!((used.on_day, used.in_month), (41 * 700, 41 * 700), "both nodes see the same");
    }
    let events = nodes.nodes[0].executor.store().read_all(0, usize::MAX).await.unwrap();
    let created = events.iter().filter(|event| event.event_type == "payment.created").count();
    let reserved = events.iter().filter(|event| event.event_type == "merchant_limits.reserved").count();
    assert_eq!((created, reserved), (41, 41), "no payment without its reservation");
    assert_eq!(nodes.pay(&nodes.nodes[1], 699).await, None, "the last cent can be used");
    assert_eq!(nodes.pay(&nodes.nodes[0], 1).await.as_deref(), Some("daily_limit_exceeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_and_payments_at_once_share_the_day_to_the_cent() {
    let nodes = Nodes::start(OwnLimits { daily: Some(41 * 700 + 699), ..OwnLimits::default() }).await;
    let holds = join_all((0..8).map(|number| nodes.hold(&nodes.nodes[number % 2], 16 * 700))).await;
    assert_eq!(nodes.used(&nodes.nodes[0]).await.on_day, 0, "holding uses nothing up");
    let client = async |number: usize| {
        let node = &nodes.nodes[number % 2];
        let (mut captured, mut refused) = (vec![], vec![]);
        for _ in 0..4 {
            if number % 4 < 2 {
                refused.extend(nodes.pay(node, 700).await);
                continue;
            }
            match nodes.capture(node, holds[number % holds.len()], 700).await {
                Ok(payment_id) => captured.push(payment_id),
                Err(code) => refused.push(code),
            }
        }
        (captured, refused)
    };
    let clients = tokio::time::timeout(Duration::from_secs(120), join_all((0..CLIENTS).map(client))).await;
    let (captured, refused): (Vec<_>, Vec<_>) = clients.expect("nobody waits for ever").into_iter().unzip();
    let (captured, refused) = (captured.concat(), refused.concat());
    assert!(refused.iter().all(|code| code == "daily_limit_exceeded"), "{refused:?}");
    assert_eq!(refused.len(), 4 * CLIENTS - 41);
    for node in &nodes.nodes {
        let used = nodes.used(node).await;
        assert_eq!((used.on_day, used.in_month), (41 * 700, 41 * 700), "both nodes see the same");
    }
    let events = nodes.nodes[0].executor.store().read_all(0, usize::MAX).await.unwrap();
    let count = |event_type: &str| events.iter().filter(|event| event.event_type == event_type).count();
    assert_eq!((count("payment.created"), count("merchant_limits.reserved")), (41, 41));
    assert_eq!(count("pre_auth.capture_requested"), captured.len(), "a refused capture asks for nothing");

    // The rest of the day: by a capture, to the last cent; and what fails is given back, however often it is told.
    let rest = nodes.hold(&nodes.nodes[0], 2_000).await;
    assert_eq!(nodes.capture(&nodes.nodes[0], rest, 700).await, Err("daily_limit_exceeded".to_owned()));
    let last = nodes.capture(&nodes.nodes[1], rest, 699).await.unwrap();
    assert_eq!(nodes.pay(&nodes.nodes[0], 1).await.as_deref(), Some("daily_limit_exceeded"));
    let failed = (0..8).map(|number| {
        let answer = ChannelAnswer::Declined { channel_reference: None, failure: Failure::new("declined", None) };
        nodes.nodes[number % 2].record_charge(issued(&format!("declined {number}")), last, answer)
    });
    join_all(failed).await.into_iter().for_each(|receipt| assert_eq!(receipt.unwrap().rejection, None));
    assert_eq!(nodes.used(&nodes.nodes[1]).await.on_day, 41 * 700);
    assert_eq!(nodes.capture(&nodes.nodes[0], rest, 700).await, Err("daily_limit_exceeded".to_owned()));
    assert!(nodes.capture(&nodes.nodes[0], rest, 699).await.is_ok(), "what failed can be captured again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_on_one_node_is_free_on_the_other() {
    let nodes = Nodes::start(OwnLimits { daily: Some(1_000), ..OwnLimits::default() }).await;
    let create = nodes.payment(1_000);
    let payment_id = create.payment_id;
    nodes.nodes[0].create(issued("first"), create).await.unwrap();
    assert_eq!(nodes.pay(&nodes.nodes[1], 1).await.as_deref(), Some("daily_limit_exceeded"));
    let voided = (0..8).map(|number| {
        let node = &nodes.nodes[number % 2];
        node.record_charge(issued(&format!("void {number}")), payment_id, commands::ports::ChannelAnswer::Voided)
    });
    join_all(voided).await.into_iter().for_each(|receipt| assert_eq!(receipt.unwrap().rejection, None));
    assert_eq!(nodes.used(&nodes.nodes[1]).await.in_month, 0, "given back once, however often it is told");
    assert_eq!(nodes.pay(&nodes.nodes[1], 1_000).await, None);
    assert_eq!(nodes.pay(&nodes.nodes[0], 1).await.as_deref(), Some("daily_limit_exceeded"));
}

/// A payment as it would be created if there were no limits: the same facts, the payment and its claim.
async fn without_limits(executor: &Executor, node: &Payments, create: CreatePayment) {
    let merchant = commands::merchant::find(executor, create.merchant_id).await.unwrap().unwrap();
    let subject = create.details.subject(create.merchant_id);
    let details = serde_json::to_vec(&create.details).unwrap();
    let sealed = node.vault.seal(&subject, &create.payment_id.to_string(), &details).await.unwrap();
    let terms = domain::payment::Created {
        payment_id: create.payment_id,
        merchant_id: merchant.merchant_id,
        order_no: create.order_no.clone(),
        amount: create.amount.minor(),
        sealed,
        ..histories::terms(1)
    };
    let claim = order_claim::Command::Claim {
        merchant_id: terms.merchant_id,
        order_no: terms.order_no.clone(),
        holder: Holder::Payment(terms.payment_id),
    };
    let request = Request {
        metadata: issued(&create.payment_id.to_string()).metadata,
        fingerprint: None,
        object: create.payment_id.to_string(),
        streams: vec![
            StreamRef::new::<Payment>(create.payment_id.to_string(), Expected::New),
            StreamRef::new::<OrderClaim>(order_claim::stream_id(terms.merchant_id, &terms.order_no), Expected::Any),
        ],
        decide: Arc::new(move |states| {
            let payment = Payment::decide(nth_state::<Payment>(states, 0), Command::Create(terms.clone())).unwrap();
            let claimed = OrderClaim::decide(nth_state::<OrderClaim>(states, 1), claim.clone()).unwrap();
            let payment = payment.into_iter().map(|event| NewEvent::of(0, event));
            Decision::Append(payment.chain(claimed.into_iter().map(|event| NewEvent::of(1, event))).collect())
        }),
    };
    executor.execute(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_room_left_limits_cost_less_than_half_of_the_throughput() {
    const EACH: usize = 10;
    const ROUNDS: usize = 4;
    let nodes = Nodes::start(OwnLimits::default()).await;
    let node = &nodes.nodes[0];
    let limited = async |_: usize| {
        for _ in 0..EACH {
            assert_eq!(nodes.pay(node, 1).await, None);
        }
    };
    let unlimited = async |_: usize| {
        for _ in 0..EACH {
            without_limits(&node.executor, node, nodes.payment(1)).await;
        }
    };
    // In turns, so that both meet the same machine; the first round warms up.
    let (mut with, mut without) = (Duration::ZERO, Duration::ZERO);
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        join_all((0..CLIENTS).map(limited)).await;
        let middle = Instant::now();
        join_all((0..CLIENTS).map(unlimited)).await;
        if round > 0 {
            with += middle - begun;
            without += middle.elapsed();
        }
    }
    let payments = u32::try_from(CLIENTS * EACH * ROUNDS).unwrap();
    let per_second = |time: Duration| (payments * 1_000).checked_div(u32::try_from(time.as_millis()).unwrap().max(1));
    println!("payments/s with limits {:?}, without {:?}", per_second(with), per_second(without));
    assert!(with <= without * 2, "{with:?} with limits, {without:?} without");
}
