//! The HTTP side: routes, and what they share. A handler parses, calls the desk and renders.

mod actions;
mod book;
mod captures;
mod charges;
mod disputes;
mod error;
mod extract;
mod faults;
mod payouts;
mod refunds;

use super::book::State as Book;
use super::book::decide::Verdict;
use super::book::entry::Ticket;
use super::book::{Answer, refusal::Refusal};
use super::connection::Cut;
use super::desk::{Outcome, SharedDesk};
use super::faults::{CallFault, FaultSwitch};
use super::render::Renderer;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use error::ApiError;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

const BODY_BYTES_MAX: usize = 64 * 1024;

pub(super) struct App {
    pub(super) desk: SharedDesk,
    pub(super) faults: Arc<FaultSwitch>,
    pub(super) renderer: Renderer,
    pub(super) latency: Duration,
    pub(super) hang: Duration,
    pub(super) stopping: watch::Receiver<bool>,
}

type SharedApp = State<Arc<App>>;

pub(super) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/charges", post(charges::create).get(charges::find))
        .route("/charges/{target}", get(charges::show))
        .route("/charges/{target}/capture", post(captures::create))
        .route("/charges/{target}/cancel", post(charges::cancel))
        .route("/captures", get(captures::find))
        .route("/captures/{target}", get(captures::show))
        .route("/refunds", post(refunds::create).get(refunds::find))
        .route("/refunds/{target}", get(refunds::show))
        .route("/actions/{target}", get(actions::page))
        .route("/actions/{target}/complete", post(actions::complete))
        .route("/disputes", get(disputes::list))
        .route("/disputes/{id}", get(disputes::show))
        .route("/disputes/{id}/accept", post(disputes::accept))
        .route("/disputes/{id}/evidence", post(disputes::submit_evidence))
        .route("/book", get(book::list))
        .route("/payouts", get(payouts::list))
        .route("/payouts/run", post(payouts::run))
        .route("/payouts/{id}", get(payouts::show))
        .route("/payouts/{id}/statement", get(payouts::statement_of))
        .route("/faults", post(faults::set).get(faults::show))
        .fallback(|| async { ApiError::no_route() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), delay_answer))
        .layer(axum::middleware::from_fn(number_answer))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(app)
}

async fn health(State(app): SharedApp) -> Result<Json<Value>, ApiError> {
    let charges = app.desk.read(|book| book.charges.len()).await?;
    Ok(Json(json!({ "status": "ok", "charges": charges })))
}

async fn delay_answer(State(app): SharedApp, request: Request, next: Next) -> Response {
    let answer = next.run(request).await;
    if !app.latency.is_zero() {
        tokio::time::sleep(app.latency).await;
    }
    answer
}

/// Every answer has an id of its own, by which the provider could be asked about the call.
async fn number_answer(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    let id = format!("sbq_{}", Uuid::now_v7().simple());
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert("request-id", id);
    }
    answer
}

impl App {
    /// A call that moves money: decided once under its key, and subject to the random faults.
    async fn call(
        &self,
        cut: &Cut,
        ticket: Ticket,
        decide: impl FnOnce(&Book, Ticket) -> Verdict,
    ) -> Result<Response, ApiError> {
        let fault = self.faults.roll_call();
        match fault {
            CallFault::Error => return Err(ApiError::unavailable()),
            CallFault::TimeoutBefore => return self.never_answer(cut).await,
            CallFault::None | CallFault::TimeoutAfter => {}
        }
        match self.desk.perform(ticket, decide).await? {
            Outcome::Answered(_) if fault == CallFault::TimeoutAfter => self.never_answer(cut).await,
            Outcome::Answered(answer) => Ok(self.render(&answer)),
            Outcome::Hang => self.never_answer(cut).await,
            Outcome::Unavailable => Err(ApiError::unavailable()),
        }
    }

    /// Holds the call, then drops its connection without a status.
    async fn never_answer(&self, cut: &Cut) -> Result<Response, ApiError> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = tokio::time::sleep(self.hang) => {}
            // An error means that the server is gone, which is a reason to stop as well.
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        cut.now();
        std::future::pending().await
    }

    fn render(&self, answer: &Answer) -> Response {
        let renderer = &self.renderer;
        let (status, body) = match answer {
            Answer::Charge { charge, created: true } => (StatusCode::CREATED, renderer.charge(charge)),
            Answer::Charge { charge, created: false } => (StatusCode::OK, renderer.charge(charge)),
            Answer::Capture(capture) => (StatusCode::CREATED, renderer.capture(capture)),
            Answer::Refund(refund) => (StatusCode::CREATED, renderer.refund(refund)),
            Answer::Dispute(dispute) => (StatusCode::OK, renderer.dispute(dispute)),
            Answer::Refused { refusal, charge } => {
                let charge = charge.as_ref().map(|charge| renderer.charge(charge));
                return refused(*refusal, charge);
            }
        };
        (status, Json(body)).into_response()
    }
}

/// The error of a business refusal, with the charge as it stands, where there is one.
fn refused(refusal: Refusal, charge: Option<Value>) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::CONFLICT);
    let error = json!({ "code": refusal.code(), "message": refusal.message(), "field": refusal.field() });
    let body = match charge {
        Some(charge) => json!({ "error": error, "charge": charge }),
        None => json!({ "error": error }),
    };
    (status, Json(body)).into_response()
}

/// One page of a list that only ever grows: `after` is the place of the last one seen.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    after: usize,
    #[serde(default = "default_limit")]
    limit: usize,
}

const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

fn default_limit() -> usize {
    LIMIT_DEFAULT
}

fn check_limit(limit: usize) -> Result<usize, ApiError> {
    let is_within = (1..=LIMIT_MAX).contains(&limit);
    is_within.then_some(limit).ok_or_else(|| ApiError::bad_query("limit", "limit is 1 to 1000"))
}

fn list_json(data: Vec<Value>, after: usize, total: usize) -> Json<Value> {
    let reached = after.saturating_add(data.len());
    let has_more = reached < total && !data.is_empty();
    let next_after = has_more.then_some(reached);
    Json(json!({ "object": "list", "data": data, "has_more": has_more, "next_after": next_after }))
}
