//! The Stripe channel against `localstripe`, a server of Stripe's API that nobody here wrote: every call of the port,
//! and every way in which an answer can be lost.
//!
//! Where localstripe is not Stripe, the channel follows Stripe: localstripe knows no idempotency keys and no search
//! (the front adds both), tells no `amount_received`, takes no `return_url`, and never redirects a customer.

mod front;

use std::sync::Arc;
use std::time::Duration;

use adapters::channels::stripe::{StripeChannel, StripeConfig};
use commands::ports::channel::WebhookError;
use commands::ports::{
    AuthorizationAnswer, AuthorizationOrder, Authorizations, Channel, ChannelAnswer, ChargeOrder, Clock, RefundAnswer,
    WebhookFact,
};
use domain::Timestamp;
use parking_lot::Mutex;
use sagas::payment::void_key;
use sagas::pre_auth::release_key;
use serde_json::Value;
use test_support::channel_orders::{authorization_order, capture_order, charge_order, refund_order};
use test_support::localstripe::{Localstripe, localstripe};

use self::front::{Fault, Front};
use crate::webhook_receiver::WebhookReceiver;

const KEY: &str = "sk_test_12345";
const WEBHOOK_SECRET: &str = "whsec_of_the_stripe_tests";
const DECLINED_CARD: &str = "pm_card_chargeCustomerFail";
const AUTHENTICATING_CARD: &str = "4000002760003184";

/// The machine's clock, set forward by hand.
#[derive(Default)]
struct AheadClock(Mutex<Duration>);

impl Clock for AheadClock {
    fn now(&self) -> Timestamp {
        commands::ports::clock::SystemClock.now().plus(*self.0.lock())
    }
}

struct Fixture {
    channel: StripeChannel,
    server: Localstripe,
    front: Front,
    clock: Arc<AheadClock>,
    http: reqwest::Client,
}

async fn fixture() -> Fixture {
    let server = localstripe().await;
    let front = Front::before(&server.base_url).await;
    let clock = Arc::new(AheadClock::default());
    let config = StripeConfig {
        url: front.base_url.clone(),
        authentication_page: Some("https://shop.example/authenticate".to_owned()),
        ..StripeConfig::new(KEY, WEBHOOK_SECRET)
    };
    let channel = StripeChannel::new(config, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    Fixture { channel, server, front, clock, http: reqwest::Client::new() }
}

impl Fixture {
    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/v1/{path}", self.server.base_url)).bearer_auth(KEY);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let request = self.http.post(format!("{}/{path}", self.server.base_url)).bearer_auth(KEY).form(form);
        request.send().await.unwrap().json().await.unwrap_or_default()
    }

    /// The truth: how many intents the server has for this payment in each status.
    async fn statuses(&self, order: &ChargeOrder) -> Vec<String> {
        self.statuses_by("payment_id", &order.payment_id.to_string()).await
    }

    /// The same for anything that intents name in their metadata.
    async fn statuses_by(&self, key: &str, id: &str) -> Vec<String> {
        let intents = self.get("payment_intents?limit=100").await;
        let intents = intents["data"].as_array().unwrap().clone();
        let ours = intents.iter().filter(|intent| intent["metadata"][key] == id);
        ours.map(|intent| intent["status"].as_str().unwrap().to_owned()).collect()
    }

    /// Holds the money and tells the intent's id.
    async fn held(&self, order: &AuthorizationOrder, expected: i64) -> String {
        let answer = self.channel.authorize(order).await;
        let AuthorizationAnswer::Authorized { channel_reference, amount, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(amount, expected);
        assert_eq!(self.statuses_by("pre_auth_id", &order.pre_auth_id.to_string()).await, ["requires_capture"]);
        channel_reference
    }

    async fn assert_taken_once(&self, order: &ChargeOrder, case: &str) {
        let mut statuses = self.statuses(order).await;
        // A creation that answered with an error may leave one behind that nobody confirms.
        statuses.retain(|status| status != "requires_confirmation");
        assert_eq!(statuses, ["succeeded"], "{case}");
    }

    async fn authenticating_card(&self) -> String {
        let card = [
            ("type", "card"),
            ("card[number]", AUTHENTICATING_CARD),
            ("card[exp_month]", "12"),
            ("card[exp_year]", "2040"),
            ("card[cvc]", "123"),
        ];
        self.post("v1/payment_methods", &card).await["id"].as_str().unwrap().to_owned()
    }

    /// What the customer does on the page that `url` leads to.
    async fn authenticate(&self, url: &str, success: bool) {
        let url = reqwest::Url::parse(url).unwrap();
        assert_eq!(url.path(), "/authenticate");
        let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        let path = format!("v1/payment_intents/{}/_authenticate", parameter("payment_intent"));
        let secret = parameter("payment_intent_client_secret");
        let success = success.to_string();
        self.post(&path, &[("client_secret", &secret), ("success", &success)]).await;
    }
}

#[track_caller]
fn captured(answer: &ChannelAnswer, expected: i64) -> String {
    let ChannelAnswer::Captured { channel_reference, amount, fee } = answer else { panic!("{answer:?}") };
    assert_eq!((*amount, *fee), (expected, Some(0)), "localstripe tells a fee of zero");
    channel_reference.clone()
}

#[track_caller]
fn declined(answer: &ChannelAnswer) -> &str {
    let ChannelAnswer::Declined { failure, .. } = answer else { panic!("{answer:?}") };
    &failure.code
}

fn is_unknown(answer: &ChannelAnswer) -> bool {
    matches!(answer, ChannelAnswer::Unknown { .. })
}

#[tokio::test]
async fn a_card_is_charged_once_however_often_it_is_asked_for() {
    let stripe = fixture().await;
    let mut order = charge_order("pm_card_visa", 1_099);
    let reference = captured(&stripe.channel.charge(&order).await, 1_099);
    assert!(reference.starts_with("pi_"));
    for known in [None, Some(reference.clone())] {
        order.channel_reference = known;
        assert_eq!(captured(&stripe.channel.charge(&order).await, 1_099), reference);
        assert_eq!(captured(&stripe.channel.find_charge(&order).await, 1_099), reference);
    }
    stripe.assert_taken_once(&order, "repeated").await;
}

#[tokio::test]
async fn of_calls_at_the_same_time_one_takes_the_money() {
    let stripe = fixture().await;
    let order = charge_order("pm_card_visa", 500);
    let answers = futures::future::join_all((0..8).map(|_| stripe.channel.charge(&order))).await;
    for answer in answers.iter().filter(|answer| !is_unknown(answer)) {
        captured(answer, 500);
    }
    captured(&stripe.channel.charge(&order).await, 500);
    stripe.assert_taken_once(&order, "at the same time").await;
}

#[tokio::test]
async fn money_is_held_then_taken_or_given_back() {
    let stripe = fixture().await;
    for (take, left) in [(800, 0), (500, 300)] {
        let order = authorization_order("pm_card_visa", 800);
        let reference = stripe.held(&order, 800).await;
        assert_eq!(stripe.held(&order, 800).await, reference, "a repeat holds nothing more");
        let capture = capture_order(&order, &reference, take);
        assert_eq!(stripe.channel.find_capture(&capture).await, ChannelAnswer::NotFound);
        for _ in 0..2 {
            assert_eq!(captured(&stripe.channel.capture(&capture).await, take), reference);
            assert_eq!(captured(&stripe.channel.find_capture(&capture).await, take), reference);
        }
        let intent = stripe.get(&format!("payment_intents/{reference}")).await;
        assert_eq!(intent["latest_charge"]["amount_refunded"], left, "what is not taken is given back");
        let key = release_key(order.pre_auth_id);
        assert_eq!(stripe.channel.release(&order, &key).await, AuthorizationAnswer::Released);
        assert_eq!(stripe.statuses_by("pre_auth_id", &order.pre_auth_id.to_string()).await, ["succeeded"]);
    }

    let order = authorization_order("pm_card_visa", 800);
    let reference = stripe.held(&order, 800).await;
    for _ in 0..2 {
        let key = release_key(order.pre_auth_id);
        assert_eq!(stripe.channel.release(&order, &key).await, AuthorizationAnswer::Released);
        assert_eq!(stripe.channel.find_authorization(&order).await, AuthorizationAnswer::Released);
    }
    let late = stripe.channel.capture(&capture_order(&order, &reference, 800)).await;
    assert!(!matches!(late, ChannelAnswer::Captured { .. }), "{late:?}");
    assert_eq!(stripe.statuses_by("pre_auth_id", &order.pre_auth_id.to_string()).await, ["canceled"]);

    let declined = stripe.channel.authorize(&authorization_order(DECLINED_CARD, 800)).await;
    assert!(matches!(declined, AuthorizationAnswer::Declined { .. }), "{declined:?}");
}

#[tokio::test]
async fn a_declined_card_is_final() {
    let stripe = fixture().await;
    let order = charge_order(DECLINED_CARD, 1_000);
    for _ in 0..2 {
        assert_eq!(declined(&stripe.channel.charge(&order).await), "card_declined");
        assert_eq!(declined(&stripe.channel.find_charge(&order).await), "card_declined");
        assert_eq!(stripe.statuses(&order).await, ["canceled"], "nobody can pay it with another card");
    }
    assert_eq!(stripe.channel.void_charge(&order, &void_key(order.payment_id)).await, ChannelAnswer::Voided);
    assert_eq!(stripe.statuses(&order).await, ["canceled"]);

    let order = charge_order("pm_nobody_has", 1_000);
    assert_eq!(declined(&stripe.channel.charge(&order).await), "invalid_request");
    assert_eq!(stripe.channel.find_charge(&order).await, ChannelAnswer::NotFound);
    assert_eq!(stripe.channel.void_charge(&order, &void_key(order.payment_id)).await, ChannelAnswer::Voided);
    assert_eq!(stripe.statuses(&order).await, [""; 0]);
}

#[tokio::test]
async fn a_customer_authenticates() {
    let stripe = fixture().await;
    for success in [true, false] {
        let order = charge_order(&stripe.authenticating_card().await, 2_000);
        let answer = stripe.channel.charge(&order).await;
        let ChannelAnswer::ActionRequired { url, channel_reference } = &answer else { panic!("{answer:?}") };
        assert_eq!(stripe.channel.find_charge(&order).await, answer);
        stripe.authenticate(url, success).await;
        let found = stripe.channel.find_charge(&order).await;
        if success {
            assert_eq!(captured(&found, 2_000), *channel_reference);
        } else {
            assert_eq!(declined(&found), "payment_intent_authentication_failure");
            assert_eq!(declined(&stripe.channel.charge(&order).await), "payment_intent_authentication_failure");
        }
    }

    let order = charge_order(&stripe.authenticating_card().await, 2_000);
    let ChannelAnswer::ActionRequired { url, .. } = stripe.channel.charge(&order).await else { panic!() };
    assert_eq!(stripe.channel.void_charge(&order, &void_key(order.payment_id)).await, ChannelAnswer::Voided);
    stripe.authenticate(&url, true).await;
    assert_eq!(stripe.channel.find_charge(&order).await, ChannelAnswer::Voided);
}

const CREATE: &str = "POST /v1/payment_intents";
const CONFIRM: &str = "POST /v1/payment_intents/:id/confirm";
const READ: &str = "GET /v1/payment_intents/:id";
const CANCEL: &str = "POST /v1/payment_intents/:id/cancel";
const REFUND: &str = "POST /v1/refunds";

/// How a charge goes on whose call met these faults.
enum Then {
    /// The call itself learns that the money was taken.
    Learned,
    /// It does not, and asking tells it.
    Found,
    /// It does not, and asking tells that nothing happened.
    Nothing,
}

#[tokio::test]
async fn a_lost_answer_is_found_out_and_nothing_is_taken_twice() {
    use Fault::{CutAfter, CutBefore, ErrorAfter, ErrorBefore};
    let table = [
        ("the confirmation's answer", vec![(CONFIRM, CutAfter)], Then::Learned),
        ("an error in spite of the effect", vec![(CONFIRM, ErrorAfter)], Then::Learned),
        ("the confirmation", vec![(CONFIRM, CutBefore)], Then::Nothing),
        ("an error without effect, kept", vec![(CONFIRM, ErrorBefore)], Then::Nothing),
        ("the creation", vec![(CREATE, CutBefore)], Then::Nothing),
        ("the creation's answer", vec![(CREATE, CutAfter)], Then::Nothing),
        ("a kept error of the creation", vec![(CREATE, ErrorBefore)], Then::Nothing),
        ("a kept error of the creation in spite of it", vec![(CREATE, ErrorAfter)], Then::Nothing),
        ("confirmed and not readable", vec![(CONFIRM, CutAfter), (READ, CutAfter)], Then::Found),
        ("error and not readable", vec![(CONFIRM, ErrorAfter), (READ, ErrorBefore)], Then::Found),
        ("nothing at all", vec![(CONFIRM, CutBefore), (READ, CutBefore)], Then::Nothing),
        ("both answers", vec![(CREATE, CutAfter), (CONFIRM, CutAfter)], Then::Nothing),
    ];
    let stripe = fixture().await;
    for (case, faults, then) in table {
        let order = charge_order("pm_card_visa", 700);
        faults.into_iter().for_each(|(call, fault)| stripe.front.plan(call, fault));
        let first = stripe.channel.charge(&order).await;
        assert_eq!(is_unknown(&first), !matches!(then, Then::Learned), "{case}: {first:?}");
        let asked = stripe.channel.find_charge(&order).await;
        match then {
            Then::Learned | Then::Found => assert_eq!(captured(&asked, 700).split_at(3).0, "pi_", "{case}"),
            Then::Nothing => assert_eq!(asked, ChannelAnswer::NotFound, "{case}"),
        }
        captured(&stripe.channel.charge(&order).await, 700);
        assert!(!stripe.front.has_faults_left(), "{case}");
        stripe.assert_taken_once(&order, case).await;
    }
}

#[tokio::test]
async fn an_outcome_is_found_also_after_stripe_has_forgotten_the_key() {
    let stripe = fixture().await;
    let (taken, untouched) = (charge_order("pm_card_visa", 900), charge_order("pm_card_visa", 900));
    stripe.front.plan(CONFIRM, Fault::CutAfter);
    stripe.front.plan(READ, Fault::CutAfter);
    assert!(is_unknown(&stripe.channel.charge(&taken).await));

    *stripe.clock.0.lock() = Duration::from_secs(25 * 3600);
    stripe.front.forget_keys();
    for order in [&taken, &untouched] {
        captured(&stripe.channel.charge(order).await, 900);
        captured(&stripe.channel.find_charge(order).await, 900);
        captured(&stripe.channel.void_charge(order, &void_key(order.payment_id)).await, 900);
        stripe.assert_taken_once(order, "after a day").await;
    }
    // Without its token, which is erased with the customer's data, a charge is still found.
    let erased = ChargeOrder { token: String::new(), ..taken };
    *stripe.clock.0.lock() = Duration::ZERO;
    captured(&stripe.channel.find_charge(&erased).await, 900);
}

#[tokio::test]
async fn a_void_is_final_whatever_comes_after_it() {
    let stripe = fixture().await;
    let table = [
        ("nothing was sent", vec![], false),
        ("the creation's answer was lost", vec![(CREATE, Fault::CutAfter)], true),
        ("the confirmation was lost", vec![(CONFIRM, Fault::CutBefore)], true),
    ];
    for (case, faults, charged_before) in table {
        let order = charge_order("pm_card_visa", 600);
        faults.into_iter().for_each(|(call, fault)| stripe.front.plan(call, fault));
        if charged_before {
            assert!(is_unknown(&stripe.channel.charge(&order).await), "{case}");
        }
        for _ in 0..2 {
            assert_eq!(
                stripe.channel.void_charge(&order, &void_key(order.payment_id)).await,
                ChannelAnswer::Voided,
                "{case}"
            );
        }
        assert_eq!(stripe.channel.charge(&order).await, ChannelAnswer::Voided, "{case}: a late charge");
        assert_eq!(stripe.statuses(&order).await, ["canceled"], "{case}");
    }

    let order = charge_order("pm_card_visa", 600);
    stripe.front.plan(CANCEL, Fault::CutAfter);
    assert_eq!(
        stripe.channel.void_charge(&order, &void_key(order.payment_id)).await,
        ChannelAnswer::Voided,
        "read after the lost answer"
    );
    let order = charge_order("pm_card_visa", 600);
    stripe.front.plan(CANCEL, Fault::ErrorBefore);
    assert!(is_unknown(&stripe.channel.void_charge(&order, &void_key(order.payment_id)).await), "an error is no end");
    assert_eq!(
        stripe.channel.void_charge(&order, &void_key(order.payment_id)).await,
        ChannelAnswer::Voided,
        "the kept error is passed by"
    );
}

#[tokio::test]
async fn a_void_after_success_tells_of_it() {
    let stripe = fixture().await;
    for (known, lost) in [(true, false), (false, false), (false, true)] {
        let mut order = charge_order("pm_card_visa", 300);
        if lost {
            stripe.front.plan(CONFIRM, Fault::CutAfter);
            stripe.front.plan(READ, Fault::CutAfter);
        }
        let answer = stripe.channel.charge(&order).await;
        if known {
            order.channel_reference = Some(captured(&answer, 300));
        }
        captured(&stripe.channel.void_charge(&order, &void_key(order.payment_id)).await, 300);
        stripe.assert_taken_once(&order, "void after success").await;
    }
}

impl Fixture {
    /// A charge that succeeded, and its reference.
    async fn charged(&self, minor: i64) -> (ChargeOrder, String) {
        let order = charge_order("pm_card_visa", minor);
        let reference = captured(&self.channel.charge(&order).await, minor);
        (order, reference)
    }

    async fn refunds(&self, charge_reference: &str) -> Vec<i64> {
        let refunds = self.get(&format!("refunds?payment_intent={charge_reference}")).await;
        let amount = |refund: &Value| refund["amount"].as_i64().unwrap();
        let mut amounts: Vec<i64> = refunds["data"].as_array().unwrap().iter().map(amount).collect();
        amounts.sort_unstable();
        amounts
    }
}

#[track_caller]
fn refunded(answer: &RefundAnswer) -> String {
    let RefundAnswer::Succeeded { channel_reference, fee_returned: 0 } = answer else { panic!("{answer:?}") };
    channel_reference.clone()
}

#[tokio::test]
async fn money_is_returned_once_however_often_it_is_asked_for() {
    let stripe = fixture().await;
    let (charge, reference) = stripe.charged(1_000).await;
    let mut first = refund_order(&charge, &reference, 400);
    assert_eq!(stripe.channel.find_refund(&first).await, RefundAnswer::NotFound);
    let id = refunded(&stripe.channel.refund(&first).await);
    for key_is_forgotten in [false, true] {
        if key_is_forgotten {
            stripe.front.forget_keys();
        }
        assert_eq!(refunded(&stripe.channel.refund(&first).await), id);
        assert_eq!(refunded(&stripe.channel.find_refund(&first).await), id);
    }
    first.channel_reference = Some(id.clone());
    assert_eq!(refunded(&stripe.channel.find_refund(&first).await), id);
    let second = refund_order(&charge, &reference, 600);
    assert_ne!(refunded(&stripe.channel.refund(&second).await), id);
    assert_eq!(stripe.refunds(&reference).await, [400, 600]);

    let declined = charge_order(DECLINED_CARD, 500);
    let ChannelAnswer::Declined { channel_reference, .. } = stripe.channel.charge(&declined).await else { panic!() };
    let impossible = refund_order(&declined, &channel_reference.unwrap(), 500);
    assert!(matches!(stripe.channel.refund(&impossible).await, RefundAnswer::Failed { .. }));
}

#[tokio::test]
async fn a_lost_answer_to_a_refund_is_found_out() {
    use Fault::{CutAfter, CutBefore, ErrorAfter, ErrorBefore};
    let stripe = fixture().await;
    for (fault, has_happened) in [(CutAfter, true), (ErrorAfter, true), (CutBefore, false), (ErrorBefore, false)] {
        let (charge, reference) = stripe.charged(1_000).await;
        let order = refund_order(&charge, &reference, 250);
        stripe.front.plan(REFUND, fault);
        assert!(matches!(stripe.channel.refund(&order).await, RefundAnswer::Unknown { .. }), "{fault:?}");
        if has_happened {
            refunded(&stripe.channel.find_refund(&order).await);
        } else {
            assert_eq!(stripe.channel.find_refund(&order).await, RefundAnswer::NotFound, "{fault:?}");
        }
        if fault == ErrorBefore {
            let kept = stripe.channel.refund(&order).await;
            assert!(matches!(kept, RefundAnswer::Unknown { .. }), "no other key is tried: {kept:?}");
            stripe.front.forget_keys();
        }
        refunded(&stripe.channel.refund(&order).await);
        assert_eq!(stripe.refunds(&reference).await, [250], "{fault:?}");
    }
}

#[tokio::test]
async fn webhooks_come_in_signed_and_tell_what_happened() {
    let stripe = fixture().await;
    let receiver = WebhookReceiver::start().await;
    let form = [("url", receiver.url.as_str()), ("secret", WEBHOOK_SECRET)];
    stripe.post("_config/webhooks/payledger", &form).await;

    let (charge, reference) = stripe.charged(1_500).await;
    let declined = charge_order(DECLINED_CARD, 1_500);
    stripe.channel.charge(&declined).await;

    let now = stripe.clock.now();
    let told = receiver.one("payment_intent.succeeded", &charge.payment_id.to_string()).await;
    let webhook = told.read_by(&stripe.channel, now).unwrap();
    assert!(webhook.event_id.starts_with("evt_"));
    // The webhook does not tell the fee.
    let answer = ChannelAnswer::Captured { channel_reference: reference, amount: 1_500, fee: None };
    assert_eq!(webhook.facts, [WebhookFact::Charge { payment_id: charge.payment_id, answer }]);

    let failed = receiver.one("payment_intent.payment_failed", &declined.payment_id.to_string()).await;
    let facts = failed.read_by(&stripe.channel, now).unwrap().facts;
    let [WebhookFact::Charge { payment_id, answer: ChannelAnswer::Accepted { .. } }] = &facts[..] else {
        panic!("{facts:?}")
    };
    assert_eq!(*payment_id, declined.payment_id);

    let mut tampered = told.clone();
    tampered.body = String::from_utf8(told.body.to_vec()).unwrap().replace("1500", "9500").into();
    assert_eq!(tampered.read_by(&stripe.channel, now), Err(WebhookError::BadSignature));
    let later = now.plus(Duration::from_secs(400));
    assert_eq!(told.read_by(&stripe.channel, later), Err(WebhookError::BadSignature));
    tampered = told.clone();
    tampered.headers.remove("stripe-signature");
    assert_eq!(tampered.read_by(&stripe.channel, now), Err(WebhookError::BadSignature));
}
