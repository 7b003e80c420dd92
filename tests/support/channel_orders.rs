//! Orders for channels, with fresh ids and the keys that the sagas use.

use commands::ports::{AuthorizationOrder, CaptureOrder, ChargeOrder, RefundOrder};
use domain::{Currency, Money, PaymentId, PreAuthId, RefundId};
use sagas::payment::{capture_key, charge_key};
use sagas::pre_auth::authorize_key;
use sagas::refund::refund_key;
use uuid::Uuid;

/// A charge of USD for a payment made just now.
pub fn charge_order(token: &str, minor: i64) -> ChargeOrder {
    let payment_id = PaymentId::from_uuid(Uuid::now_v7());
    ChargeOrder {
        key: charge_key(payment_id),
        payment_id,
        amount: Money::new(minor, Currency::USD).expect("a test's amount"),
        method: "card".to_owned(),
        token: token.to_owned(),
        return_url: None,
        channel_reference: None,
    }
}

/// A refund of a part of that charge.
pub fn refund_order(charge: &ChargeOrder, charge_reference: &str, minor: i64) -> RefundOrder {
    let refund_id = RefundId::from_uuid(Uuid::now_v7());
    RefundOrder {
        key: refund_key(refund_id),
        payment_id: charge.payment_id,
        refund_id,
        amount: Money::new(minor, charge.amount.currency()).expect("a test's amount"),
        charge_reference: charge_reference.to_owned(),
        channel_reference: None,
    }
}

/// An authorisation of USD for a pre-auth made just now.
pub fn authorization_order(token: &str, minor: i64) -> AuthorizationOrder {
    let pre_auth_id = PreAuthId::from_uuid(Uuid::now_v7());
    AuthorizationOrder {
        key: authorize_key(pre_auth_id),
        pre_auth_id,
        amount: Money::new(minor, Currency::USD).expect("a test's amount"),
        method: "card".to_owned(),
        token: token.to_owned(),
        return_url: None,
        channel_reference: None,
    }
}

/// A capture of a part of what that holds.
pub fn capture_order(held: &AuthorizationOrder, authorization_reference: &str, minor: i64) -> CaptureOrder {
    let payment_id = PaymentId::from_uuid(Uuid::now_v7());
    CaptureOrder {
        key: capture_key(payment_id),
        payment_id,
        pre_auth_id: held.pre_auth_id,
        amount: Money::new(minor, held.amount.currency()).expect("a test's amount"),
        authorization_reference: authorization_reference.to_owned(),
    }
}
