//! The outermost layer: a span and metrics for each request, a panic caught, the body of a problem written, and the
//! headers that every answer carries. Logs neither bodies nor queries.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use commands::trace;
use futures::FutureExt;
use metrics::{counter, histogram};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::RequestId;
use super::request_id::X_REQUEST_ID;
use crate::errors;
use crate::problem::Problem;

/// Marks an error answer that is no problem and stays as it is: the health of this process.
#[derive(Debug, Clone, Copy)]
pub struct Finished;

pub async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = RequestId::of(request.headers());
    request.extensions_mut().insert(request_id.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let method = known(request.method());
    let span = span_of(&request, method, route, &request_id);

    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let response = answered.unwrap_or_else(|_| {
        let _entered = span.enter();
        Problem::internal(&"a handler panicked").into_response()
    });
    let response = finish(response, &request_id);

    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    span.record("http.status", status);
    span.record("duration_ms", u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
    span.in_scope(|| tracing::debug!("request answered"));
    let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_string())];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_duration_seconds", &labels[..2]).record(elapsed.as_secs_f64());
    response
}

fn span_of(request: &Request, method: &'static str, route: &str, request_id: &RequestId) -> Span {
    let span = tracing::info_span!(
        "http.request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.method = method,
        http.route = route,
        http.status = Empty,
        request.id = %request_id,
        caller.role = Empty,
        duration_ms = Empty,
    );
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    trace::set_parent(&span, traceparent);
    span
}

/// Methods are made up by callers, labels of metrics are not.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn finish(mut response: Response, request_id: &RequestId) -> Response {
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = problem.or_else(|| foreign(&response)) {
        response = write(problem, response, request_id);
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(request_id.to_string()) {
        headers.insert(X_REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// An error answer that was not made here, such as one of the framework's own.
fn foreign(response: &Response) -> Option<Problem> {
    let status = response.status();
    let finished = response.extensions().get::<Finished>().is_some();
    if finished || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(Problem::of(match status {
        StatusCode::NOT_FOUND => errors::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => errors::METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => errors::BODY_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => errors::UNSUPPORTED_MEDIA_TYPE,
        status if status.is_client_error() => errors::MALFORMED_REQUEST,
        _ => errors::INTERNAL_ERROR,
    }))
}

/// The problem as the body of `response`, whose headers (`Allow`, say) are kept.
fn write(problem: Problem, mut response: Response, request_id: &RequestId) -> Response {
    *response.body_mut() = Body::from(problem.body(&request_id.to_string()));
    *response.status_mut() = problem.status;
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.extend(problem.headers.iter().cloned());
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::to_bytes;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    async fn panicking() -> StatusCode {
        panic!("a bug with sk_secret in it")
    }

    async fn answer(path: &str) -> (StatusCode, Value) {
        let routes = Router::new()
            .route("/panic", get(panicking))
            .route("/teapot", get(|| async { (StatusCode::IM_A_TEAPOT, "sk_secret") }))
            .route("/broken", get(|| async { (StatusCode::BAD_GATEWAY, "sk_secret") }))
            .route("/busy", get(|| async { Problem::of(errors::OVERLOADED) }))
            .layer(from_fn(observe));
        let request = Request::get(path).header("X-Request-Id", "mine").body(Body::empty()).unwrap();
        let response = routes.oneshot(request).await.unwrap();
        assert_eq!(response.headers()["x-request-id"], "mine");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers().contains_key("retry-after"), response.status() == 503);
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("sk_secret"));
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn whatever_goes_wrong_the_answer_is_a_problem() {
        for (path, status, code) in [
            ("/panic", 500, "internal_error"),
            ("/teapot", 400, "malformed_request"),
            ("/broken", 500, "internal_error"),
            ("/busy", 503, "overloaded"),
        ] {
            let (answered, problem) = answer(path).await;
            assert_eq!((answered.as_u16(), &problem["code"]), (status, &Value::from(code)), "{path}");
            assert_eq!((&problem["status"], &problem["request_id"]), (&Value::from(status), &Value::from("mine")));
        }
    }
}
