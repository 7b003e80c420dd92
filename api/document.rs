//! The OpenAPI document: what the routes say of themselves, and what they all have in common.

use std::collections::BTreeMap;

use utoipa::PartialSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, Header, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, Tag};
use utoipa_axum::router::OpenApiRouter;

use crate::params::error_responses;
use crate::router::{BASE, with_keys, with_uploads};
use crate::{docs, health, problem, webhooks};

/// Tags whose answers speak for a position of the log.
const POSITIONED: [&str; 14] = [
    "analytics",
    "payments",
    "pre-auths",
    "refunds",
    "disputes",
    "orders",
    "balances",
    "settlements",
    "withdrawals",
    "ledger",
    "reconciliation",
    "log",
    "exports",
    "merchants",
];

/// The document of all routes, wherever they are served.
pub fn openapi() -> OpenApi {
    let routes = OpenApiRouter::with_openapi(preface())
        .nest(BASE, with_keys().merge(with_uploads()).merge(webhooks::routes()))
        .merge(health::routes())
        .merge(docs::routes());
    let mut document = routes.into_openapi();
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            describe_headers(operation);
        }
    }
    document
}

/// The headers that stand on every answer of a kind.
fn describe_headers(operation: &mut Operation) {
    let tags = operation.tags.clone().unwrap_or_default();
    let is_key = |one: &RefOr<Parameter>| matches!(one, RefOr::T(one) if one.name == "Idempotency-Key");
    let is_keyed = operation.parameters.iter().flatten().any(is_key);
    let mut headers = BTreeMap::from([("X-Request-Id", header("Yours if you sent one"))]);
    if tags.iter().any(|tag| POSITIONED.contains(&tag.as_str())) {
        headers.insert("Ledger-Position", header("The position of the log that the answer speaks for"));
    }
    if is_keyed {
        headers.insert("Idempotency-Hit", header("`true` on the repeat of an answer"));
    }
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
            response.headers.extend(headers.iter().map(|(name, header)| ((*name).to_owned(), header.clone().into())));
        }
    }
}

fn header(description: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String).build();
    HeaderBuilder::new().schema(Some(text)).description(Some(description)).build()
}

fn preface() -> OpenApi {
    let info = InfoBuilder::new()
        .title("payledger")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(include_str!("openapi.md")))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()));
    let tags = [
        ("payments", "Payments, from the merchant's intent to their outcome"),
        ("pre-auths", "Money held first and captured later, in one part or several"),
        ("refunds", "Money that goes back"),
        ("disputes", "Money that a channel took back, and what the merchant says to it"),
        ("orders", "What all payments under one order number have come to"),
        ("analytics", "Payments in figures"),
        ("balances", "What a merchant has with us"),
        ("withdrawals", "Money that goes to merchants' bank accounts"),
        ("settlements", "Batches of what was earned, on their way to being available"),
        ("ledger", "The books, for finance and auditors"),
        ("reconciliation", "Statements of channels and banks beside the books, for finance and auditors"),
        ("log", "The events, for auditors, operators and admins"),
        ("exports", "Files of rows, to be downloaded"),
        ("merchants", "Onboarding, for admins"),
        ("keys", "API keys, for admins"),
        ("operations", "Jobs, projections and sagas, for operators and admins"),
        ("webhooks", "News from channels, signed by them"),
        ("health", "Of this process; open"),
        ("reference", "This document and the error reference; open"),
    ];
    let tag = |(name, description): (&str, &str)| {
        let mut tag = Tag::new(name);
        tag.description = Some(description.to_owned());
        tag
    };
    OpenApiBuilder::new()
        .info(info.build())
        .tags(Some(tags.map(tag)))
        .components(Some(components()))
        .security(Some([SecurityRequirement::new("bearer", [""; 0]), signed()]))
        .build()
}

fn components() -> Components {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The key's secret")).build();
    let mut components = Components::new();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    for (name, header, description) in SIGNATURE {
        let value = ApiKeyValue::with_description(header, description);
        components.add_security_scheme(name, SecurityScheme::ApiKey(ApiKey::Header(value)));
    }
    components.schemas.insert("Problem".to_owned(), problem::Document::schema());
    components.responses = error_responses();
    components
}

/// The four headers of a signed request.
const SIGNATURE: [(&str, &str, &str); 4] = [
    ("signed_key", "X-Api-Key", "The key's id"),
    ("signed_timestamp", "X-Timestamp", "Unix seconds, within 300 of ours"),
    ("signed_nonce", "X-Nonce", "1 to 128 visible characters, new for each request"),
    (
        "signed_signature",
        "X-Signature",
        "`v1=<hex>` of HMAC-SHA256(secret, timestamp \\n nonce \\n METHOD \\n path-and-query \\n idempotency-key-or-empty \\n hex(SHA-256(body)))",
    ),
];

fn signed() -> SecurityRequirement {
    let first = SecurityRequirement::new(SIGNATURE[0].0, [""; 0]);
    SIGNATURE[1..].iter().fold(first, |requirement, (name, ..)| requirement.add(*name, [""; 0]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_committed_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let document = openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_CATALOGUES").is_some() {
            std::fs::write(path, &document).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == document, "api/openapi.json is not current: run this test with UPDATE_CATALOGUES=1");
    }

    #[test]
    fn every_operation_is_described_with_its_errors() {
        let document = serde_json::to_value(openapi()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let named = |field: &str| operation[field].as_str().is_some_and(|text| !text.is_empty());
                assert!(named("summary") && named("operationId"), "{method} {path} says nothing of itself");
                let keyed = path.starts_with(BASE) && !path.contains("/webhooks/");
                let has_401 = operation["responses"].get("401").is_some();
                assert_eq!(keyed || path.contains("/webhooks/"), has_401, "{method} {path}");
                assert_eq!(keyed, operation.get("security").is_none(), "{method} {path}");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    let name = parameter["name"].as_str().unwrap();
                    let in_path = parameter["in"] == "path";
                    assert_eq!(in_path, path.contains(&format!("{{{name}}}")), "{name} of {method} {path}");
                }
            }
        }
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = serde_json::to_value(openapi()).unwrap();
        let mut references = vec![];
        collect(&document, &mut references);
        assert!(references.len() > 50);
        for reference in references {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
        }
    }

    fn collect(value: &Value, references: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                references.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|value| collect(value, references));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
            _ => {}
        }
    }
}
