//! What a PaymentIntent is made for: a payment's charge or a pre-auth's authorisation. Each carries our id in its metadata.

use commands::ports::{AuthorizationOrder, ChargeOrder};
use domain::Money;
use uuid::Uuid;

use super::objects::{CaptureMethod, PAYMENT_ID, PRE_AUTH_ID};

pub(super) struct IntentOrder<'a> {
    pub(super) key: &'a str,
    pub(super) purpose: Purpose,
    pub(super) amount: Money,
    pub(super) method: &'a str,
    pub(super) token: &'a str,
    pub(super) return_url: Option<&'a str>,
    pub(super) channel_reference: Option<&'a str>,
    pub(super) capture: CaptureMethod,
}

/// Our object, as the intent's metadata names it.
pub(super) struct Purpose {
    pub(super) key: &'static str,
    pub(super) id: String,
    pub(super) uuid: Uuid,
}

impl<'a> From<&'a ChargeOrder> for IntentOrder<'a> {
    fn from(order: &'a ChargeOrder) -> IntentOrder<'a> {
        let id = order.payment_id;
        IntentOrder {
            key: &order.key,
            purpose: Purpose { key: PAYMENT_ID, id: id.to_string(), uuid: id.as_uuid() },
            amount: order.amount,
            method: &order.method,
            token: &order.token,
            return_url: order.return_url.as_deref(),
            channel_reference: order.channel_reference.as_deref(),
            capture: CaptureMethod::Automatic,
        }
    }
}

impl<'a> From<&'a AuthorizationOrder> for IntentOrder<'a> {
    fn from(order: &'a AuthorizationOrder) -> IntentOrder<'a> {
        let id = order.pre_auth_id;
        IntentOrder {
            key: &order.key,
            purpose: Purpose { key: PRE_AUTH_ID, id: id.to_string(), uuid: id.as_uuid() },
            amount: order.amount,
            method: &order.method,
            token: &order.token,
            return_url: order.return_url.as_deref(),
            channel_reference: order.channel_reference.as_deref(),
            capture: CaptureMethod::Manual,
        }
    }
}
