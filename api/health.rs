//! Is this process alive, and can it do its work? Open to everybody, so it tells no more than that.

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::idempotency::answer;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(live)).routes(routes!(ready)).routes(routes!(metrics))
}

/// What this process needs to do its work. The composition root knows which roles it runs.
#[async_trait]
pub trait Readiness: Send + Sync {
    async fn check(&self) -> Vec<Check>;
}

/// One thing that must be so.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Check {
    #[schema(example = "database")]
    pub name: &'static str,
    pub ok: bool,
}

#[derive(Serialize, ToSchema)]
struct Health {
    /// `ok` or `unavailable`.
    #[schema(example = "ok")]
    status: &'static str,
    checks: Vec<Check>,
}

async fn checked(app: &App) -> Response {
    let checks = app.readiness.check().await;
    let ok = checks.iter().all(|check| check.ok);
    let (code, status) = if ok { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "unavailable") };
    let mut response = answer(code, [], &Health { status, checks });
    response.extensions_mut().insert(crate::middleware::Finished);
    response
}

/// Health
#[utoipa::path(get, path = "/health", tag = "health", security(()),
    responses((status = 200, description = "Everything this process needs is there", body = Health),
              (status = 503, description = "Something is missing", body = Health)))]
async fn health(State(app): State<App>) -> Response {
    checked(&app).await
}

/// Ready to serve
#[utoipa::path(get, path = "/health/ready", tag = "health", security(()),
    responses((status = 200, description = "Send requests", body = Health),
              (status = 503, description = "Send none", body = Health)))]
async fn ready(State(app): State<App>) -> Response {
    checked(&app).await
}

/// Alive
#[utoipa::path(get, path = "/health/live", tag = "health", security(()),
    responses((status = 200, description = "The process answers", body = Health)))]
async fn live() -> Response {
    answer(StatusCode::OK, [], &Health { status: "ok", checks: vec![] })
}

/// Metrics in the text format of Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health", security(()),
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")))]
async fn metrics(State(app): State<App>) -> Response {
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, app.metrics.render()).into_response()
}
