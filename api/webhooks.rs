//! Where channels tell us their news. The channel's own signature is the only key to this door.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use commands::webhook::WebhookRefused;
use domain::ChannelName;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::read_body;
use crate::errors;
use crate::extract::Named;
use crate::idempotency::answer;
use crate::params::WebhookErrors;
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(receive_webhook))
}

#[derive(Serialize, ToSchema)]
struct WebhookAnswer {
    received: bool,
}

/// Receive a channel's webhook
///
/// Verified, kept sealed, then acted on. A duplicate is answered like the first.
#[utoipa::path(post, path = "/webhooks/{channel}", tag = "webhooks",
    params(("channel" = String, Path, example = "sandbox")), security(()),
    request_body(content = String, description = "Whatever the channel signs", content_type = "application/json"),
    responses((status = 200, description = "Kept", body = WebhookAnswer), WebhookErrors))]
async fn receive_webhook(
    State(app): State<App>,
    Named(channel): Named<ChannelName>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let body = read_body(&headers, body).await?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    app.webhooks.receive(&channel, &header, &body).await?;
    Ok(answer(StatusCode::OK, [], &WebhookAnswer { received: true }))
}

impl From<WebhookRefused> for Problem {
    fn from(refused: WebhookRefused) -> Problem {
        match refused {
            WebhookRefused::UnknownChannel => Problem::of(errors::CHANNEL_NOT_FOUND),
            WebhookRefused::BadSignature => Problem::of(errors::WEBHOOK_SIGNATURE_INVALID),
            WebhookRefused::Malformed => Problem::new(errors::MALFORMED_REQUEST, refused.to_string()),
            WebhookRefused::Unavailable(reason) => Problem::unavailable(&reason),
        }
    }
}
