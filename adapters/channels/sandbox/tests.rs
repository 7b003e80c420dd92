//! What each answer and each webhook of the sandbox provider comes to. The calls themselves are played against the real
//! provider in the integration tests.

use super::answers::{authorization_answer, capture_answer, charge_answer, refund_answer, void_answer};
use super::disputes::dispute_answer;
use super::webhook;
use crate::channels::http::{Answer, Silence};
use crate::channels::signature;
use commands::ports::channel::WebhookError;
use commands::ports::{
    AuthorizationAnswer, ChannelAnswer, DisputeAnswer, DisputeReport, RefundAnswer, ReportedStage, WebhookFact,
};
use domain::payment::Failure;
use domain::{PaymentId, RefundId, Timestamp};
use serde_json::{Value, json};

fn payment_id() -> PaymentId {
    PaymentId::from_uuid(uuid::Uuid::from_u128(7))
}

fn refund_id() -> RefundId {
    RefundId::from_uuid(uuid::Uuid::from_u128(8))
}

fn charge(status: &str) -> Value {
    json!({
        "id": "sbc_1", "object": "charge", "reference": payment_id(), "amount": 1000, "currency": "USD",
        "status": status, "amount_captured": 1000, "fee": 10, "next_action": null,
        "failure": { "code": "card_declined", "message": "The card was declined.", "decline_code": "declined" },
    })
}

fn refund(status: &str) -> Value {
    json!({
        "id": "sbr_1", "object": "refund", "reference": refund_id(), "charge_reference": payment_id(),
        "capture_reference": null, "amount": 1000, "currency": "USD", "status": status,
        "failure": (status == "failed").then(|| json!({
            "code": "refund_rejected", "message": "The refund was rejected.", "decline_code": null,
        })),
    })
}

fn refused(code: &str, charge: Option<Value>) -> Value {
    let mut body = json!({ "error": { "code": code, "message": "m", "field": null } });
    if let Some(charge) = charge {
        body["charge"] = charge;
    }
    body
}

fn answer(status: u16, body: &Value) -> Result<Answer, Silence> {
    Ok(Answer { status, body: body.to_string().into_bytes(), replayed: false })
}

/// The kind of an answer, without its content.
fn kind(answer: &ChannelAnswer) -> &'static str {
    match answer {
        ChannelAnswer::Captured { .. } => "captured",
        ChannelAnswer::ActionRequired { .. } => "action_required",
        ChannelAnswer::Accepted { .. } => "accepted",
        ChannelAnswer::Declined { .. } => "declined",
        ChannelAnswer::Voided => "voided",
        ChannelAnswer::NotFound => "not_found",
        ChannelAnswer::Unknown { .. } => "unknown",
    }
}

#[test]
fn charges_and_voids_are_read_from_the_status() {
    let mut action = charge("requires_action");
    action["next_action"] = json!({ "type": "redirect", "url": "http://sandbox/actions/1" });
    let table = [
        (201, charge("succeeded"), "captured", "captured"),
        (201, action, "action_required", "unknown"),
        (201, charge("requires_action"), "unknown", "unknown"),
        (201, charge("pending"), "accepted", "unknown"),
        (201, charge("authorized"), "accepted", "unknown"),
        (201, charge("failed"), "declined", "voided"),
        (200, charge("cancelled"), "voided", "voided"),
        (200, charge("melted"), "unknown", "unknown"),
        (200, json!({}), "unknown", "unknown"),
        (409, refused("charge_cancelled", Some(charge("cancelled"))), "voided", "voided"),
        (409, refused("charge_captured", Some(charge("succeeded"))), "captured", "captured"),
        (409, refused("reference_in_use", Some(charge("succeeded"))), "captured", "captured"),
        (409, refused("reference_in_use", None), "unknown", "unknown"),
        (404, refused("charge_not_found", None), "not_found", "unknown"),
        (404, refused("route_not_found", None), "unknown", "unknown"),
        (422, refused("invalid_request", None), "declined", "unknown"),
        (422, refused("idempotency_key_reused", None), "unknown", "unknown"),
        (302, json!("moved"), "unknown", "unknown"),
    ];
    for (status, body, charged, voided) in table {
        assert_eq!(kind(&charge_answer(answer(status, &body))), charged, "charge: {status} {body}");
        assert_eq!(kind(&void_answer(answer(status, &body))), voided, "void: {status} {body}");
    }
    let silent = charge_answer(Err(Silence::TimedOut));
    assert_eq!(silent, ChannelAnswer::Unknown { reason: "the channel did not answer in time".to_owned() });
}

#[test]
fn authorizations_and_captures_are_read_from_the_status() {
    let mut action = charge("requires_action");
    action["next_action"] = json!({ "type": "redirect", "url": "http://sandbox/actions/1" });
    let table = [
        (201, charge("authorized"), "authorized"),
        (201, action, "action_required"),
        (201, charge("pending"), "accepted"),
        (201, charge("failed"), "declined"),
        (200, charge("cancelled"), "released"),
        (200, charge("succeeded"), "released"),
        (200, charge("melted"), "unknown"),
        (409, refused("charge_cancelled", Some(charge("cancelled"))), "released"),
        (409, refused("charge_captured", Some(charge("succeeded"))), "released"),
        (409, refused("reference_in_use", Some(charge("authorized"))), "authorized"),
        (404, refused("charge_not_found", None), "not_found"),
        (422, refused("invalid_request", None), "declined"),
        (422, refused("idempotency_key_reused", None), "unknown"),
    ];
    for (status, body, expected) in table {
        assert_eq!(authorization_answer(answer(status, &body)).kind(), expected, "{status} {body}");
    }
    let capture = json!({ "id": "sbp_1", "object": "capture", "reference": payment_id(), "amount": 700, "fee": 7 });
    let table = [
        (201, capture, "captured"),
        (404, refused("capture_not_found", None), "not_found"),
        (404, refused("charge_not_found", None), "unknown"),
        (409, refused("charge_cancelled", Some(charge("cancelled"))), "declined"),
        (409, refused("charge_captured", Some(charge("succeeded"))), "declined"),
        (422, refused("amount_too_large", Some(charge("authorized"))), "declined"),
        (422, refused("idempotency_key_reused", None), "unknown"),
    ];
    for (status, body, expected) in table {
        assert_eq!(kind(&capture_answer(answer(status, &body))), expected, "{status} {body}");
    }
}

#[test]
fn amounts_fees_and_decline_codes_are_carried_over() {
    assert_eq!(
        charge_answer(answer(201, &charge("succeeded"))),
        ChannelAnswer::Captured { channel_reference: "sbc_1".to_owned(), amount: 1000, fee: Some(10) }
    );
    let failure = Failure::new("card_declined", Some("declined"));
    let declined = ChannelAnswer::Declined { channel_reference: Some("sbc_1".to_owned()), failure };
    assert_eq!(charge_answer(answer(201, &charge("failed"))), declined);
}

#[test]
fn refunds_are_read_from_the_status() {
    let kind = |answer| match answer {
        RefundAnswer::Succeeded { fee_returned: 0, .. } => "succeeded",
        RefundAnswer::Failed { .. } => "failed",
        RefundAnswer::NotFound => "not_found",
        RefundAnswer::Unknown { .. } => "unknown",
        _ => "other",
    };
    let table = [
        (201, refund("succeeded"), "succeeded"),
        (200, refund("failed"), "failed"),
        (200, refund("melted"), "unknown"),
        (404, refused("refund_not_found", None), "not_found"),
        (404, refused("charge_not_found", None), "failed"),
        (409, refused("charge_not_captured", None), "failed"),
        (409, refused("charge_disputed", None), "failed"),
        (422, refused("amount_too_large", None), "failed"),
        (422, refused("idempotency_key_reused", None), "unknown"),
        (409, refused("reference_in_use", None), "unknown"),
    ];
    for (status, body, expected) in table {
        assert_eq!(kind(refund_answer(answer(status, &body))), expected, "{status} {body}");
    }
}

fn dispute(status: &str) -> Value {
    json!({
        "id": "sbd_1", "object": "dispute", "reference": payment_id(), "charge": "sbc_1", "amount": 1000,
        "currency": "USD", "status": status, "reason": "fraudulent", "evidence_submitted": false,
    })
}

fn told(stage: ReportedStage, asked: bool) -> DisputeReport {
    DisputeReport {
        payment_id: Some(payment_id()),
        channel_reference: "sbd_1".to_owned(),
        amount: 1000,
        currency: domain::Currency::USD,
        fee: 0,
        stage,
        reason: "fraudulent".to_owned(),
        evidence_due_by: None,
        asked,
    }
}

#[test]
fn disputes_are_read_from_the_status() {
    let mut answered = dispute("opened");
    answered["evidence_submitted"] = json!(true);
    let table = [
        (200, dispute("opened"), DisputeAnswer::Told(told(ReportedStage::NeedsResponse, true))),
        (200, answered, DisputeAnswer::Told(told(ReportedStage::UnderReview, true))),
        (200, dispute("won"), DisputeAnswer::Told(told(ReportedStage::Closed { won: 1000, fee_returned: 0 }, true))),
        (200, dispute("lost"), DisputeAnswer::Told(told(ReportedStage::Closed { won: 0, fee_returned: 0 }, true))),
        (404, refused("dispute_not_found", None), DisputeAnswer::NotFound),
        (409, refused("dispute_closed", None), DisputeAnswer::Refused { code: "dispute_closed".to_owned() }),
    ];
    for (status, body, expected) in table {
        assert_eq!(dispute_answer(answer(status, &body)), expected, "{status} {body}");
    }
    for body in [dispute("melted"), json!({}), refused("idempotency_key_reused", None)] {
        assert!(matches!(dispute_answer(answer(200, &body)), DisputeAnswer::Unknown { .. }), "{body}");
    }
}

#[test]
fn webhooks_are_verified_then_read() {
    let captured = ChannelAnswer::Captured { channel_reference: "sbc_1".to_owned(), amount: 1000, fee: Some(10) };
    let capture = json!({
        "id": "sbp_1", "object": "capture", "reference": payment_id(), "amount": 700, "fee": 7, "currency": "USD",
    });
    let capture_told = ChannelAnswer::Captured { channel_reference: "sbp_1".to_owned(), amount: 700, fee: Some(7) };
    let mut authorized = charge("authorized");
    authorized["reference"] = json!("pa_00000000000000000000000001");
    authorized["amount"] = json!(1000);
    authorized["capture_before"] = json!("2027-01-15T00:00:00.000Z");
    let held = WebhookFact::Authorization {
        pre_auth_id: "pa_00000000000000000000000001".parse().unwrap(),
        answer: AuthorizationAnswer::Authorized {
            channel_reference: "sbc_1".to_owned(),
            amount: 1000,
            capture_before: Some("2027-01-15T00:00:00Z".parse().unwrap()),
        },
    };
    let refunded = RefundAnswer::Succeeded { channel_reference: "sbr_1".to_owned(), fee_returned: 0 };
    let charge_fact = |answer| vec![WebhookFact::Charge { payment_id: payment_id(), answer }];
    let refund_fact = WebhookFact::Refund { payment_id: Some(payment_id()), refund_id: refund_id(), answer: refunded };
    let table = [
        ("charge.succeeded", charge("succeeded"), charge_fact(captured)),
        ("charge.cancelled", charge("cancelled"), charge_fact(ChannelAnswer::Voided)),
        ("charge.captured", capture, charge_fact(capture_told)),
        ("charge.authorized", authorized, vec![held]),
        ("refund.succeeded", refund("succeeded"), vec![refund_fact]),
        ("dispute.opened", dispute("opened"), vec![WebhookFact::Dispute(told(ReportedStage::NeedsResponse, false))]),
        ("something.new", json!({ "object": 7 }), vec![]),
    ];
    for (kind, object, facts) in table {
        let body = json!({ "id": "evt_1", "type": kind, "data": { "object": object } }).to_string();
        let read = read(body.as_bytes()).unwrap();
        assert_eq!((read.event_id.as_str(), read.event_type.as_str(), &read.facts), ("evt_1", kind, &facts), "{kind}");
    }
    for malformed in ["", "[]", r#"{"id":"evt_1"}"#, r#"{"id":"e","type":"t","data":{"object":{"object":"charge"}}}"#] {
        assert_eq!(read(malformed.as_bytes()), Err(WebhookError::Malformed), "{malformed}");
    }
    assert_eq!(webhook::read(None, b"{}", &["s".to_owned()], now()), Err(WebhookError::BadSignature));
    assert_eq!(webhook::read(Some("t=1,v1=00"), b"{}", &["s".to_owned()], now()), Err(WebhookError::BadSignature));
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000)
}

fn read(body: &[u8]) -> Result<commands::ports::channel::Webhook, WebhookError> {
    let header = signature::header("s", 1_800_000_000, body);
    webhook::read(Some(&header), body, &["s".to_owned()], now())
}
