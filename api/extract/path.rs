//! The id in a request's path. One that is no id at all names nothing, just as one that nobody has.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use chrono::NaiveDate;
use domain::tier::TierName;
use domain::{
    Account, AdjustmentId, ApiKeyId, BankAccountId, ChannelName, DisputeId, ExceptionId, ExportId, MerchantId, OrderNo,
    PaymentId, PreAuthId, ReconciliationRunId, RefundId, SettlementId, WithdrawalId,
};

use crate::errors::{self, ErrorCode};
use crate::problem::Problem;

/// The one path parameter of a route, or 404.
pub struct Named<T>(pub T);

/// What a path may name, and what is said if there is none.
pub trait Addressed: FromStr {
    const MISSING: &'static ErrorCode;
}

impl Addressed for AdjustmentId {
    const MISSING: &'static ErrorCode = errors::ADJUSTMENT_NOT_FOUND;
}

impl Addressed for PaymentId {
    const MISSING: &'static ErrorCode = errors::PAYMENT_NOT_FOUND;
}

impl Addressed for PreAuthId {
    const MISSING: &'static ErrorCode = errors::PRE_AUTH_NOT_FOUND;
}

impl Addressed for RefundId {
    const MISSING: &'static ErrorCode = errors::REFUND_NOT_FOUND;
}

impl Addressed for DisputeId {
    const MISSING: &'static ErrorCode = errors::DISPUTE_NOT_FOUND;
}

impl Addressed for SettlementId {
    const MISSING: &'static ErrorCode = errors::SETTLEMENT_NOT_FOUND;
}

impl Addressed for OrderNo {
    const MISSING: &'static ErrorCode = errors::ORDER_NOT_FOUND;
}

impl Addressed for MerchantId {
    const MISSING: &'static ErrorCode = errors::MERCHANT_NOT_FOUND;
}

impl Addressed for TierName {
    const MISSING: &'static ErrorCode = errors::TIER_NOT_FOUND;
}

/// What is no day names nothing.
impl Addressed for NaiveDate {
    const MISSING: &'static ErrorCode = errors::NOT_FOUND;
}

impl Addressed for ApiKeyId {
    const MISSING: &'static ErrorCode = errors::KEY_NOT_FOUND;
}

impl Addressed for Account {
    const MISSING: &'static ErrorCode = errors::ACCOUNT_NOT_FOUND;
}

impl Addressed for BankAccountId {
    const MISSING: &'static ErrorCode = errors::BANK_ACCOUNT_NOT_FOUND;
}

impl Addressed for WithdrawalId {
    const MISSING: &'static ErrorCode = errors::WITHDRAWAL_NOT_FOUND;
}

impl Addressed for ReconciliationRunId {
    const MISSING: &'static ErrorCode = errors::RECONCILIATION_RUN_NOT_FOUND;
}

impl Addressed for ExceptionId {
    const MISSING: &'static ErrorCode = errors::EXCEPTION_NOT_FOUND;
}

impl Addressed for ExportId {
    const MISSING: &'static ErrorCode = errors::EXPORT_NOT_FOUND;
}

impl Addressed for ChannelName {
    const MISSING: &'static ErrorCode = errors::CHANNEL_NOT_FOUND;
}

impl<T: Addressed, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Named<T>, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.ok().and_then(|Path(text)| text.parse().ok()).map(Named).ok_or_else(|| Problem::of(T::MISSING))
    }
}
