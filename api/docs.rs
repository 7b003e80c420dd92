//! The OpenAPI document, Swagger UI (vendored: it loads nothing from elsewhere) and the error reference.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{Extension, Path};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::Config;

use crate::app::App;
use crate::errors::{CATALOGUE, ErrorCode};
use crate::problem::Problem;

/// Scripts and styles of this server only; nobody frames it.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

/// The document is known only once every route is, so it comes in as an extension.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(openapi_json))
        .routes(routes!(docs))
        .routes(routes!(errors))
        .route("/docs/", get(|| docs_file(Path("index.html".to_owned()))))
        .route("/docs/{*file}", get(docs_file))
}

/// The document as it is served.
#[derive(Clone)]
pub struct Document(Arc<str>);

impl Document {
    pub fn of(openapi: &OpenApi) -> Document {
        Document(openapi.to_json().expect("the document is made of strings and numbers").into())
    }
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "reference", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")))]
async fn openapi_json(Extension(Document(text)): Extension<Document>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text.to_string()).into_response()
}

/// Swagger UI
#[utoipa::path(get, path = "/docs", tag = "reference", security(()),
    responses((status = 303, description = "To the page")))]
async fn docs() -> Redirect {
    Redirect::to("/docs/")
}

async fn docs_file(Path(file): Path<String>) -> Result<Response, Problem> {
    let config = Arc::new(Config::from("/openapi.json"));
    let file = utoipa_swagger_ui::serve(&file, config).map_err(|error| Problem::internal(&error))?;
    let file = file.ok_or_else(|| Problem::of(crate::errors::NOT_FOUND))?;
    let headers = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.to_owned()),
    ];
    Ok((StatusCode::OK, headers, file.bytes.into_owned()).into_response())
}

/// The error reference
#[utoipa::path(get, path = "/errors", tag = "reference", security(()),
    responses((status = 200, description = "Every error code, with an anchor each", body = String, content_type = "text/html")))]
async fn errors() -> Response {
    let policy = [(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY)];
    (policy, Html(reference_html())).into_response()
}

fn reference_html() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>payledger: error reference</title>\
         <style>body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem}\
         code{font-size:1.1em}section:target{background:#fff3c4}</style><h1>Error reference</h1>\n",
    );
    for ErrorCode { code, status, retryable, title, advice } in CATALOGUE {
        let again = if *retryable { "The same request can succeed later." } else { "The request must be changed." };
        let advice = escape(advice);
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "<section id=\"{code}\"><h2><code>{code}</code> {status}</h2><p>{}. {again} {advice}</p></section>",
            escape(title)
        );
    }
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_anchor_and_no_text_is_markup() {
        let page = reference_html();
        for entry in CATALOGUE {
            assert!(page.contains(&format!("<section id=\"{}\">", entry.code)), "{}", entry.code);
        }
        assert!(!page.contains("<secret>"));
    }
}
