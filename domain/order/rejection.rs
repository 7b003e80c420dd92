//! Why an order says no, in the order in which it is checked. Codes are stable and never reused.

use crate::{Rejection, RejectionClass};

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderRejection {
    #[error("there is no such order")]
    NotFound,
    #[error("this order number is taken by another order")]
    AlreadyExists,
    #[error("an order lists 1 to 200 items")]
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
    #[error("an order takes at most 200 payments")]
    TooManyPayments,
    #[error("the payment exceeds what is left of the order's total")]
    TotalExceeded,
    #[error("the order is not paid in full")]
    NotPaid,
    #[error("the order is not shipped")]
    NotShipped,
    #[error("an order with payments, or one that was shipped, cannot be cancelled: cancel or refund them")]
    NotCancellable,
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
            OrderRejection::NotPaid => "order_not_paid",
            OrderRejection::NotShipped => "order_not_shipped",
            OrderRejection::NotCancellable => "order_not_cancellable",
        }
    }

    fn class(&self) -> RejectionClass {
        match self {
            OrderRejection::NotFound => RejectionClass::NotFound,
            OrderRejection::AlreadyExists
            | OrderRejection::Cancelled
            | OrderRejection::FullyPaid
            | OrderRejection::NotPaid
            | OrderRejection::NotShipped
            | OrderRejection::NotCancellable => RejectionClass::Conflict,
            OrderRejection::InvalidItems
            | OrderRejection::InvalidItem
            | OrderRejection::InvalidTotal
            | OrderRejection::TotalDiffers
            | OrderRejection::CurrencyDiffers
            | OrderRejection::TooManyPayments
            | OrderRejection::TotalExceeded => RejectionClass::Refused,
        }
    }

    fn retryable(&self) -> bool {
        match self {
            OrderRejection::FullyPaid
            | OrderRejection::TotalExceeded
            | OrderRejection::NotPaid
            | OrderRejection::NotShipped
            | OrderRejection::NotCancellable => true,
            OrderRejection::NotFound
            | OrderRejection::AlreadyExists
            | OrderRejection::InvalidItems
            | OrderRejection::InvalidItem
            | OrderRejection::InvalidTotal
            | OrderRejection::TotalDiffers
            | OrderRejection::Cancelled
            | OrderRejection::CurrencyDiffers
            | OrderRejection::TooManyPayments => false,
        }
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            OrderRejection::AlreadyExists => Some("/order_no"),
            OrderRejection::InvalidItems | OrderRejection::InvalidItem => Some("/items"),
            OrderRejection::InvalidTotal | OrderRejection::TotalDiffers => Some("/total"),
            OrderRejection::CurrencyDiffers => Some("/currency"),
            OrderRejection::TotalExceeded => Some("/amount"),
            _ => None,
        }
    }
}
