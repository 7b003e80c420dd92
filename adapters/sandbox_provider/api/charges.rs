//! Charges and authorisations.

use super::SharedApp;
use super::error::ApiError;
use super::extract::{Body, ByReference, Key, Params, Segment, check_amount, check_reference};
use crate::sandbox_provider::book::decide::{self, ChargeRequest};
use crate::sandbox_provider::connection::Cut;
use crate::sandbox_provider::money::Currency;
use crate::sandbox_provider::tokens::Token;
use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

const TOKEN_CHARS_MAX: usize = 255;
const RETURN_URL_CHARS_MAX: usize = 2048;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCharge {
    reference: String,
    amount: i64,
    currency: String,
    token: String,
    #[serde(default = "default_capture")]
    capture: bool,
    return_url: Option<String>,
}

fn default_capture() -> bool {
    true
}

impl NewCharge {
    fn check(self) -> Result<ChargeRequest, ApiError> {
        let currency = Currency::parse(&self.currency)
            .ok_or_else(|| ApiError::invalid("currency", "a currency is three or four upper-case letters"))?;
        if self.token.len() > TOKEN_CHARS_MAX {
            return Err(ApiError::invalid("token", "a token has at most 255 characters"));
        }
        Ok(ChargeRequest {
            reference: check_reference("reference", &self.reference)?,
            amount: check_amount(self.amount)?,
            currency,
            token: Token::parse(&self.token),
            capture: self.capture,
            return_url: self.return_url.map(|url| check_return_url(&url)).transpose()?,
        })
    }
}

/// Only where a browser may be sent: the page and the redirect quote it.
fn check_return_url(text: &str) -> Result<Arc<str>, ApiError> {
    let invalid = || ApiError::invalid("return_url", "return_url is an http or https URL");
    let url = url::Url::parse(text).map_err(|_| invalid())?;
    let is_web = matches!(url.scheme(), "http" | "https") && text.len() <= RETURN_URL_CHARS_MAX;
    is_web.then(|| url.as_str().into()).ok_or_else(invalid)
}

pub(super) async fn create(
    State(app): SharedApp,
    ConnectInfo(cut): ConnectInfo<Cut>,
    key: Key,
    body: Body<NewCharge>,
) -> Result<Response, ApiError> {
    let ticket = key.ticket("charges", &body.canonical);
    let request = body.value.check()?;
    app.call(&cut, ticket, |book, ticket| decide::charge(book, ticket, request)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoFields {}

pub(super) async fn cancel(
    State(app): SharedApp,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Segment(target): Segment,
    key: Key,
    body: Body<NoFields>,
) -> Result<Response, ApiError> {
    let ticket = key.ticket(&format!("charges/{target}/cancel"), &body.canonical);
    app.call(&cut, ticket, |book, ticket| decide::cancel(book, ticket, &target)).await
}

pub(super) async fn find(app: SharedApp, query: Params<ByReference>) -> Result<Json<Value>, ApiError> {
    show(app, Segment(query.0.reference)).await
}

pub(super) async fn show(State(app): SharedApp, Segment(target): Segment) -> Result<Json<Value>, ApiError> {
    let found = app.desk.read(|book| book.charge(&target).cloned()).await?;
    let charge = found.ok_or_else(|| ApiError::not_found("charge_not_found"))?;
    Ok(Json(app.renderer.charge(&charge)))
}
