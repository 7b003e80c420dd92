//! What the OpenAPI document says of headers and errors that many routes share.

use std::collections::{BTreeMap, BTreeSet};

use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses};

use crate::errors::CATALOGUE;

/// Headers of a request that changes something.
pub struct CommandHeaders;

/// Headers of a command whose outcome can be waited for.
pub struct WaitingCommandHeaders;

/// Headers of a query that is answered from read models.
pub struct QueryHeaders;

impl IntoParams for CommandHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            header(
                "Idempotency-Key",
                true,
                "1 to 255 visible characters; a repeat gets the first answer",
                "order-1001",
            ),
            header("X-Request-Id", false, "Your own id of this request", "req-1"),
        ]
    }
}

impl IntoParams for WaitingCommandHeaders {
    fn into_params(parameter_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let wait = "Seconds to wait for the outcome, at most 30: with it the answer is the object as of its outcome";
        let mut headers = CommandHeaders::into_params(parameter_in);
        headers.push(header("Prefer", false, wait, "wait=10"));
        headers
    }
}

impl IntoParams for QueryHeaders {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let minimum = "A `Ledger-Position` of an earlier answer: this answer will include what that one speaks of";
        vec![
            header("Ledger-Min-Position", false, minimum, "cDE6NDEzMDI"),
            header("Prefer", false, "Seconds to wait for that, at most 30; 5 unless told otherwise", "wait=10"),
        ]
    }
}

fn header(name: &str, required: bool, description: &str, example: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(if required { Required::True } else { Required::False })
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .example(Some(example.into()))
        .build()
}

/// Errors of a command, of a query, of a download and of a webhook: every status with its codes.
pub struct CommandErrors;
pub struct QueryErrors;
pub struct DownloadErrors;
pub struct WebhookErrors;

impl IntoResponses for CommandErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503])
    }
}

impl IntoResponses for QueryErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[400, 401, 403, 404, 422, 429, 500, 503])
    }
}

impl IntoResponses for DownloadErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[400, 401, 403, 404, 409, 410, 416, 429, 500, 503])
    }
}

impl IntoResponses for WebhookErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[400, 401, 404, 408, 413, 500, 503])
    }
}

fn errors(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    let reference = |status: &u16| (status.to_string(), RefOr::Ref(Ref::from_response_name(error_name(*status))));
    statuses.iter().map(reference).collect()
}

fn error_name(status: u16) -> String {
    format!("Error{status}")
}

/// One response for each status that errors have, with the codes that it may carry.
pub fn error_responses() -> BTreeMap<String, RefOr<Response>> {
    let statuses: BTreeSet<u16> = CATALOGUE.iter().map(|entry| entry.status).collect();
    let response = |status: u16| {
        let entries = CATALOGUE.iter().filter(|entry| entry.status == status);
        let codes: Vec<String> = entries.map(|entry| format!("`{}`: {}", entry.code, entry.title)).collect();
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        ResponseBuilder::new().description(codes.join("; ")).content("application/problem+json", problem).build()
    };
    statuses.into_iter().map(|status| (error_name(status), RefOr::T(response(status)))).collect()
}
