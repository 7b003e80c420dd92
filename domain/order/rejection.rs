//! Why an order says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderRejection {
    #[error("no order of this number was made by POST /orders")]
    NotFound,
    #[error("this order number is taken by another order")]
    AlreadyExists,
    #[error("an order lists 1 to 100 items")]
    InvalidItems,
    #[error("an item has a quantity of at least 1 and an amount of 0 to 999999999999999 minor units")]
    InvalidItem,
    #[error("a total is 1 to 999999999999999 minor units")]
    InvalidTotal,
    #[error("the total is not the sum of the items")]
    TotalDiffers,
    #[error("the order is cancelled")]
    Cancelled,
    #[error("the order is to be paid in another currency")]
    CurrencyDiffers,
    #[error("payments cover the whole order already")]
    FullyPaid,
    #[error("an order takes at most 200 payments, failed ones included")]
    TooManyPayments,
    #[error("the payment exceeds what is left of the order's total")]
    TotalExceeded,
    #[error("nothing of the order's money is left to refund")]
    NothingToRefund,
    #[error("the refund exceeds what is left of the order's money")]
    RefundExceedsPaid,
    #[error("an order asks for at most 1000 refunds")]
    TooManyRefunds,
    #[error("the order is not paid in full")]
    NotPaid,
    #[error("all of the order's money went back")]
    Refunded,
    #[error("the order is not shipped")]
    NotShipped,
    #[error("the order was shipped")]
    AlreadyShipped,
    #[error("a payment of the order is under way: cancel it or wait for its outcome")]
    PaymentInFlight,
    #[error("the order is paid in part or in full: refund it first")]
    NotRefunded,
}

impl Rejection for OrderRejection {
    fn code(&self) -> &'static str {
        match self {
            OrderRejection::NotFound => "order_not_found",
            OrderRejection::AlreadyExists => "order_already_exists",
            OrderRejection::InvalidItems => "invalid_items",
            OrderRejection::InvalidItem => "invalid_item",
            OrderRejection::InvalidTotal => "invalid_total",
            OrderRejection::TotalDiffers => "order_total_differs",
            OrderRejection::Cancelled => "order_cancelled",
            OrderRejection::CurrencyDiffers => "order_currency_differs",
            OrderRejection::FullyPaid => "order_fully_paid",
            OrderRejection::TooManyPayments => "too_many_payments",
            OrderRejection::TotalExceeded => "order_total_exceeded",
            OrderRejection::NothingToRefund => "order_nothing_to_refund",
            OrderRejection::RefundExceedsPaid => "order_refund_exceeds_paid",
            OrderRejection::TooManyRefunds => "order_too_many_refunds",
            OrderRejection::NotPaid => "order_not_paid",
            OrderRejection::Refunded => "order_refunded",
            OrderRejection::NotShipped => "order_not_shipped",
            OrderRejection::AlreadyShipped => "order_already_shipped",
            OrderRejection::PaymentInFlight => "order_payment_in_flight",
            OrderRejection::NotRefunded => "order_not_refunded",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            OrderRejection::NotFound => RejectionClass::NotFound,
            OrderRejection::AlreadyExists
            | OrderRejection::Cancelled
            | OrderRejection::NothingToRefund
            | OrderRejection::NotPaid
            | OrderRejection::Refunded
            | OrderRejection::NotShipped
            | OrderRejection::AlreadyShipped
            | OrderRejection::PaymentInFlight
            | OrderRejection::NotRefunded => RejectionClass::Conflict,
            OrderRejection::InvalidItems
            | OrderRejection::InvalidItem
            | OrderRejection::InvalidTotal
            | OrderRejection::TotalDiffers
            | OrderRejection::CurrencyDiffers
            | OrderRejection::FullyPaid
            | OrderRejection::TooManyPayments
            | OrderRejection::TotalExceeded
            | OrderRejection::RefundExceedsPaid
            | OrderRejection::TooManyRefunds => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            OrderRejection::FullyPaid
            | OrderRejection::TotalExceeded
            | OrderRejection::NothingToRefund
            | OrderRejection::RefundExceedsPaid
            | OrderRejection::NotPaid
            | OrderRejection::NotShipped
            | OrderRejection::PaymentInFlight
            | OrderRejection::NotRefunded => true,
            OrderRejection::NotFound
            | OrderRejection::AlreadyExists
            | OrderRejection::InvalidItems
            | OrderRejection::InvalidItem
            | OrderRejection::InvalidTotal
            | OrderRejection::TotalDiffers
            | OrderRejection::Cancelled
            | OrderRejection::CurrencyDiffers
            | OrderRejection::TooManyPayments
            | OrderRejection::TooManyRefunds
            | OrderRejection::Refunded
            | OrderRejection::AlreadyShipped => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            OrderRejection::AlreadyExists => Some("/order_no"),
            OrderRejection::InvalidItems | OrderRejection::InvalidItem => Some("/items"),
            OrderRejection::InvalidTotal | OrderRejection::TotalDiffers => Some("/total"),
            OrderRejection::CurrencyDiffers => Some("/currency"),
            OrderRejection::TotalExceeded | OrderRejection::RefundExceedsPaid => Some("/amount"),
            _ => None,
        }
    }
}
