//! What each of Stripe's answers and webhooks comes to. The calls are played against a live server of the protocol in
//! the integration tests.

use super::answers::{charge_answer, refund_answer};
use super::api::ApiError;
use super::disputes;
use super::objects::{ErrorEnvelope, PaymentIntent, Refund};
use super::webhook;
use crate::channels::http::Silence;
use commands::ports::channel::WebhookError;
use commands::ports::{ChannelAnswer, DisputeReport, RefundAnswer, ReportedStage, WebhookFact};
use domain::payment::Failure;
use domain::{Currency, PaymentId, RefundId};
use serde_json::{Value, json};

fn payment_id() -> PaymentId {
    PaymentId::from_uuid(uuid::Uuid::from_u128(7))
}

fn refund_id() -> RefundId {
    RefundId::from_uuid(uuid::Uuid::from_u128(8))
}

fn intent(status: &str, more: Value) -> Value {
    let mut intent = json!({
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": 1099, "amount_received": 0,
        "currency": "usd", "metadata": { "payment_id": payment_id() }, "latest_charge": null,
        "last_payment_error": null, "next_action": null, "client_secret": "pi_1_secret_2",
    });
    for (field, value) in more.as_object().unwrap() {
        intent[field] = value.clone();
    }
    intent
}

fn with_fee(fee: i64, currency: &str) -> Value {
    json!({ "id": "ch_1", "balance_transaction": { "id": "txn_1", "fee": fee, "currency": currency } })
}

fn answer(intent: &Value, page: Option<&str>) -> ChannelAnswer {
    let intent: PaymentIntent = serde_json::from_value(intent.clone()).unwrap();
    charge_answer(&intent, page.map(|page| page.parse().unwrap()).as_ref())
}

fn captured(amount: i64, fee: Option<i64>) -> ChannelAnswer {
    ChannelAnswer::Captured { channel_reference: "pi_1".to_owned(), amount, fee }
}

fn accepted() -> ChannelAnswer {
    ChannelAnswer::Accepted { channel_reference: "pi_1".to_owned() }
}

fn action(url: &str) -> ChannelAnswer {
    ChannelAnswer::ActionRequired { channel_reference: "pi_1".to_owned(), url: url.to_owned() }
}

#[test]
fn an_intent_is_read_from_its_status() {
    let declined = ChannelAnswer::Declined {
        channel_reference: Some("pi_1".to_owned()),
        failure: Failure::new("card_declined", Some("insufficient_funds")),
    };
    let error = json!({ "last_payment_error": {
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "message": "Your card has insufficient funds.", "charge": "ch_1",
    } });
    let table = [
        (intent("succeeded", json!({ "amount_received": 1099, "latest_charge": "ch_1" })), captured(1099, None)),
        (intent("succeeded", json!({ "amount_received": 700 })), captured(700, None)),
        (intent("processing", json!({})), accepted()),
        (intent("requires_capture", json!({})), accepted()),
        (intent("canceled", json!({})), ChannelAnswer::Voided),
        (intent("requires_confirmation", json!({})), ChannelAnswer::NotFound),
        (intent("requires_payment_method", error.clone()), declined.clone()),
        (intent("canceled", error), declined),
        (intent("requires_action", json!({})), accepted()),
    ];
    for (intent, expected) in table {
        assert_eq!(answer(&intent, None), expected, "{intent}");
    }
    for unclear in [
        intent("requires_payment_method", json!({})),
        intent("sublimated", json!({})),
        intent("succeeded", json!({ "amount_received": 5, "currency": "isk" })),
        intent("succeeded", json!({ "amount_received": 5, "currency": "???" })),
    ] {
        assert!(matches!(answer(&unclear, None), ChannelAnswer::Unknown { .. }), "{unclear}");
    }
}

#[test]
fn the_fee_is_known_where_it_is_told_in_the_charges_currency() {
    let table = [
        ("usd", 1099, with_fee(62, "usd"), captured(1099, Some(62))),
        ("usd", 1099, with_fee(57, "eur"), captured(1099, None)),
        ("usd", 1099, json!({ "id": "ch_1", "balance_transaction": "txn_1" }), captured(1099, None)),
        ("usd", 1099, json!({ "id": "ch_1", "balance_transaction": null }), captured(1099, None)),
        ("usd", 1099, json!("ch_1"), captured(1099, None)),
        ("jpy", 1099, with_fee(40, "jpy"), captured(1099, Some(40))),
        ("ugx", 109_900, with_fee(4_000, "ugx"), captured(1099, Some(40))),
        ("ugx", 109_900, with_fee(4_055, "ugx"), captured(1099, None)),
        ("kwd", 5_120, with_fee(148, "kwd"), captured(5_120, Some(148))),
        ("mga", 123, with_fee(4, "mga"), captured(12_300, Some(400))),
    ];
    for (currency, amount, charge, expected) in table {
        let intent =
            intent("succeeded", json!({ "amount_received": amount, "currency": currency, "latest_charge": charge }));
        assert_eq!(answer(&intent, None), expected, "{intent}");
    }
}

#[test]
fn a_customer_is_sent_where_stripe_says_or_to_the_page_that_runs_its_script() {
    let redirect = json!({ "next_action": {
        "type": "redirect_to_url", "redirect_to_url": { "url": "https://hooks.stripe.com/3ds", "return_url": null },
    } });
    let script = json!({ "next_action": { "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "x" } } });
    let page = Some("https://shop.example/back?order=7");
    let called = "https://shop.example/back?order=7&payment_intent=pi_1&payment_intent_client_secret=pi_1_secret_2";
    let table = [
        (&redirect, None, action("https://hooks.stripe.com/3ds")),
        (&redirect, page, action("https://hooks.stripe.com/3ds")),
        (&script, page, action(called)),
        (&script, None, accepted()),
    ];
    for (more, page, expected) in table {
        assert_eq!(answer(&intent("requires_action", more.clone()), page), expected, "{more} {page:?}");
    }
}

#[test]
fn a_refusal_is_final_only_if_stripe_would_refuse_it_again() {
    let table = [
        (402, json!({ "type": "card_error", "code": "card_declined", "message": "No." }), Some("card_declined"), true),
        (402, json!({ "type": "invalid_request_error", "message": "No." }), Some("card_declined"), true),
        (400, json!({ "type": "invalid_request_error", "code": "amount_too_small" }), Some("amount_too_small"), false),
        (404, json!({ "type": "invalid_request_error", "code": "resource_missing" }), Some("resource_missing"), false),
        (400, json!({ "type": "invalid_request_error" }), Some("invalid_request"), false),
        (400, json!({ "type": "idempotency_error" }), None, false),
        (409, json!({ "type": "invalid_request_error", "code": "idempotency_key_in_use" }), None, false),
        (400, json!({ "type": "invalid_request_error", "code": "lock_timeout" }), None, false),
        (401, json!({ "type": "invalid_request_error" }), None, false),
        (403, json!({ "type": "invalid_request_error", "code": "secret_key_required" }), None, false),
    ];
    for (status, error, code, is_decline) in table {
        let ErrorEnvelope { error: body } = serde_json::from_value(json!({ "error": error })).unwrap();
        let refused = ApiError::Refused { status, error: Box::new(body) };
        assert_eq!(refused.refusal().map(|failure| failure.code).as_deref(), code, "{status} {error}");
        assert_eq!(refused.decline().is_some(), is_decline, "{status} {error}");
    }
    assert_eq!(ApiError::Silent(Silence::TimedOut).refusal(), None);
}

#[test]
fn what_stripe_quotes_of_a_request_is_not_passed_on() {
    let error = json!({ "error": {
        "type": "invalid_request_error", "code": "resource_missing", "param": "payment_method",
        "message": "No such PaymentMethod: 'pm_secret'",
    } });
    let ErrorEnvelope { error } = serde_json::from_value(error).unwrap();
    let refused = ApiError::Refused { status: 404, error: Box::new(error) };
    assert!(!format!("{refused:?} {:?}", refused.refusal()).contains("pm_secret"));
    assert_eq!(refused.reason(), "Stripe answered 404 (resource_missing)");
}

fn refund(status: &str) -> Value {
    json!({
        "id": "re_1", "object": "refund", "status": status, "amount": 100, "currency": "usd",
        "failure_reason": (status == "failed").then_some("lost_or_stolen_card"),
        "metadata": { "refund_id": refund_id(), "payment_id": payment_id() },
    })
}

#[test]
fn a_refund_is_read_from_its_status() {
    let reference = || "re_1".to_owned();
    let table = [
        ("succeeded", RefundAnswer::Succeeded { channel_reference: reference(), fee_returned: 0 }),
        ("pending", RefundAnswer::Accepted { channel_reference: reference() }),
        ("requires_action", RefundAnswer::Accepted { channel_reference: reference() }),
    ];
    let read = |status| refund_answer(&serde_json::from_value::<Refund>(refund(status)).unwrap());
    for (status, expected) in table {
        assert_eq!(read(status), expected, "{status}");
    }
    for (status, reason) in [("failed", Some("lost_or_stolen_card")), ("canceled", None)] {
        let RefundAnswer::Failed { failure } = read(status) else { panic!("{status}") };
        assert_eq!((failure.code.as_str(), failure.decline_code.as_deref()), ("refund_failed", reason));
    }
    assert!(matches!(read("vaporised"), RefundAnswer::Unknown { .. }));
}

fn facts(kind: &str, object: &Value) -> Vec<WebhookFact> {
    let body = json!({ "id": "evt_1", "type": kind, "data": { "object": object } }).to_string();
    let read = webhook::read(body.as_bytes(), None).unwrap();
    assert_eq!((read.event_id.as_str(), read.event_type.as_str()), ("evt_1", kind));
    read.facts
}

#[test]
fn webhooks_tell_facts_about_our_objects_only() {
    let charge = |answer| vec![WebhookFact::Charge { payment_id: payment_id(), answer }];
    let succeeded = intent("succeeded", json!({ "amount_received": 1099, "latest_charge": "ch_1" }));
    let held = intent("requires_capture", json!({ "amount_capturable": 1099 }));
    let table = [
        ("payment_intent.succeeded", succeeded.clone(), charge(captured(1099, None))),
        ("payment_intent.canceled", intent("canceled", json!({})), charge(ChannelAnswer::Voided)),
        ("payment_intent.processing", intent("processing", json!({})), charge(accepted())),
        ("payment_intent.amount_capturable_updated", held, charge(accepted())),
        // The address of the action may be known from the answer already; without one there is nothing to add.
        ("payment_intent.requires_action", intent("requires_action", json!({})), vec![]),
        ("payment_intent.created", intent("requires_confirmation", json!({})), vec![]),
        ("payment_intent.succeeded", intent("succeeded", json!({ "metadata": {} })), vec![]),
        ("payment_intent.succeeded", intent("succeeded", json!({ "metadata": { "payment_id": "7" } })), vec![]),
        ("payment_intent.succeeded", intent("succeeded", json!({ "metadata": null })), vec![]),
        ("invoice.paid", json!({ "id": "in_1" }), vec![]),
    ];
    for (kind, object, expected) in table {
        assert_eq!(facts(kind, &object), expected, "{kind} {object}");
    }
    let failed = intent("requires_payment_method", json!({ "last_payment_error": { "code": "card_declined" } }));
    let told = facts("payment_intent.payment_failed", &failed);
    assert_eq!(told, charge(accepted()), "it can still be paid until the channel is asked");
    let closed = intent("canceled", json!({ "last_payment_error": { "code": "card_declined" } }));
    let told = facts("payment_intent.canceled", &closed);
    assert!(matches!(&told[..], [WebhookFact::Charge { answer: ChannelAnswer::Declined { .. }, .. }]), "{told:?}");
}

#[test]
fn webhooks_about_refunds_are_matched_by_our_ids() {
    let answer = RefundAnswer::Succeeded { channel_reference: "re_1".to_owned(), fee_returned: 0 };
    let fact = WebhookFact::Refund { payment_id: Some(payment_id()), refund_id: refund_id(), answer };
    for kind in ["refund.created", "refund.updated", "charge.refund.updated"] {
        assert_eq!(facts(kind, &refund("succeeded")), vec![fact.clone()], "{kind}");
    }
    let failed = facts("refund.failed", &refund("failed"));
    assert!(matches!(&failed[..], [WebhookFact::Refund { answer: RefundAnswer::Failed { .. }, .. }]), "{failed:?}");
    let mut foreign = refund("succeeded");
    foreign["metadata"] = json!({});
    assert_eq!(facts("refund.updated", &foreign), vec![]);
    let charge = json!({ "id": "ch_1", "object": "charge", "refunds": { "data": [foreign, refund("succeeded")] } });
    assert_eq!(facts("charge.refunded", &charge), vec![fact]);
    assert_eq!(facts("charge.refunded", &json!({ "id": "ch_1", "object": "charge" })), vec![]);
}

#[test]
fn a_dispute_is_read_from_its_status_and_what_moved_for_it() {
    let moved = |fee: i64, currency: &str| json!({ "id": "txn_1", "fee": fee, "currency": currency });
    let dispute = |status: &str, moved: &[Value]| {
        json!({
            "id": "du_1", "object": "dispute", "status": status, "amount": 1099, "currency": "usd",
            "reason": "product_not_received", "payment_intent": { "id": "pi_1", "metadata": { "payment_id": payment_id() } },
            "balance_transactions": moved, "evidence_details": { "due_by": 1_700_000_000 },
        })
    };
    let fee = [moved(1500, "usd")];
    let back = [moved(1500, "usd"), moved(-1500, "usd")];
    let table = [
        (dispute("warning_needs_response", &[]), Some((0, ReportedStage::Inquiry))),
        (dispute("warning_closed", &[]), Some((0, ReportedStage::InquiryClosed))),
        (dispute("needs_response", &fee), Some((1500, ReportedStage::NeedsResponse))),
        (dispute("needs_response", &[moved(1400, "eur")]), Some((0, ReportedStage::NeedsResponse))),
        (dispute("under_review", &fee), Some((1500, ReportedStage::UnderReview))),
        (dispute("won", &back), Some((1500, ReportedStage::Closed { won: 1099, fee_returned: 1500 }))),
        (dispute("lost", &fee), Some((1500, ReportedStage::Closed { won: 0, fee_returned: 0 }))),
        (dispute("melted", &fee), None),
    ];
    for (body, expected) in table {
        let report = disputes::report(&serde_json::from_value(body.clone()).unwrap(), true);
        assert_eq!(report.as_ref().map(|report| (report.fee, report.stage)), expected, "{body}");
        let Some(report) = report else { continue };
        assert_eq!((report.payment_id, report.amount, report.currency), (Some(payment_id()), 1099, Currency::USD));
        assert_eq!(report.evidence_due_by, Some("2023-11-14T22:13:20Z".parse().unwrap()));
        assert_eq!(report.reason, "product_not_received");
        let told = facts("charge.dispute.updated", &body);
        assert_eq!(told, [WebhookFact::Dispute(DisputeReport { asked: false, ..report })]);
    }
}

#[test]
fn a_webhook_that_cannot_be_read_is_malformed() {
    let table = ["", "{", "[]", r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{}}}"#];
    for body in table {
        assert_eq!(webhook::read(body.as_bytes(), None), Err(WebhookError::Malformed), "{body}");
    }
}
