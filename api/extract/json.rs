//! A request's JSON body as a typed value: every field known, of its type and within its bounds, or a problem with the
//! JSON pointer of the faulty one. Knows no rule of the business.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, Uri, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::{query, tree};
use crate::errors;
use crate::idempotency::Nothing;
use crate::problem::Problem;

/// A body that asks for something without changing anything. What changes something is a `Command`.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Json<T>, Problem> {
        let headers = request.headers().clone();
        no_query(request.uri())?;
        let body = read(request, state).await?;
        value(&headers, &body).map(|(value, _)| Json(value))
    }
}

/// A request with a body says everything there.
pub fn no_query(uri: &Uri) -> Result<(), Problem> {
    query::parse::<Nothing>(uri.query().unwrap_or_default()).map(|Nothing {}| ())
}

/// The whole body; how large it may be was seen to before.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|_| Problem::of(errors::MALFORMED_REQUEST))
}

/// A body's value and its tree. An empty body will do where nothing needs to be said.
pub fn value<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<(T, Value), Problem> {
    if body.is_empty() {
        let nothing = Value::Object(serde_json::Map::new());
        let empty = |_| Problem::new(errors::MALFORMED_JSON, "the body is empty");
        return decode(&nothing).map(|value| (value, nothing)).map_err(empty);
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(is_json) {
        return Err(Problem::of(errors::UNSUPPORTED_MEDIA_TYPE));
    }
    let tree = tree::parse(body)?;
    Ok((decode(&tree)?, tree))
}

/// `application/json`, in UTF-8 if it names its encoding.
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    essence
        && parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

fn decode<T: DeserializeOwned>(tree: &Value) -> Result<T, Problem> {
    part(tree, "")
}

/// The value of that part of a body that stands at `root`, for a part whose shape another field tells.
pub fn part<T: DeserializeOwned>(tree: &Value, root: &str) -> Result<T, Problem> {
    serde_path_to_error::deserialize(tree).map_err(|failure| {
        let pointer = format!("{root}{}", pointer(failure.path()));
        fault(pointer, &failure.inner().to_string())
    })
}

fn pointer(path: &Path) -> String {
    path.iter().fold(String::new(), |mut pointer, segment| {
        match segment {
            Segment::Map { key } => tree::push_step(&mut pointer, key),
            Segment::Seq { index } => tree::push_step(&mut pointer, &index.to_string()),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
        pointer
    })
}

/// The problem of one field, from serde's message about it, of which nothing that the caller sent is kept.
fn fault(mut pointer: String, message: &str) -> Problem {
    if let Some(name) = quoted(message, "missing field ") {
        tree::push_step(&mut pointer, name);
        return Problem::new(errors::MISSING_FIELD, "the field is missing").at(pointer);
    }
    if message.starts_with("unknown field ") {
        return Problem::new(errors::UNKNOWN_FIELD, "the field is not known here").at(pointer);
    }
    let expected = message.split_once(", expected ").map(|(_, expected)| match expected {
        // Serde names the type; a caller knows objects only.
        structure if structure.starts_with("struct ") => "must be an object".to_owned(),
        other => format!("must be {other}"),
    });
    fault_at(pointer, &expected.unwrap_or_else(|| message.to_owned()))
}

/// The problem of a value at `pointer`.
pub fn fault_at(pointer: String, detail: &str) -> Problem {
    let entry = match pointer.as_str() {
        "/amount" => errors::INVALID_AMOUNT,
        "/currency" | "/home_currency" => errors::UNKNOWN_CURRENCY,
        "/channel" => errors::UNKNOWN_CHANNEL,
        "/expires_in" => errors::INVALID_EXPIRY,
        "/month" => errors::INVALID_MONTH,
        leg if leg.starts_with("/legs/") && leg.ends_with("/account") => errors::UNKNOWN_ACCOUNT,
        leg if leg.starts_with("/legs/") && leg.ends_with("/amount") => errors::INVALID_AMOUNT,
        "/bank_account/iban" => errors::INVALID_IBAN,
        "/bank_account/bic" => errors::INVALID_BIC,
        "/bank_account/account_number" => errors::INVALID_ACCOUNT_NUMBER,
        _ => errors::INVALID_FIELD,
    };
    Problem::new(entry, detail.to_owned()).at(pointer)
}

/// `x` of a message that starts with `prefix` and goes on with "`x`".
fn quoted<'a>(message: &'a str, prefix: &str) -> Option<&'a str> {
    message.strip_prefix(prefix)?.strip_prefix('`')?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::fields::Amount;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        amount: Amount,
        inner: Inner,
        #[serde(default)]
        list: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        name: String,
    }

    fn check(body: &str, code: &str, pointer: &str) {
        let tree = tree::parse(body.as_bytes()).unwrap();
        let problem = decode::<Outer>(&tree).unwrap_err();
        assert_eq!((&*problem.code, problem.pointer.as_deref()), (code, Some(pointer)), "{body}");
        assert!(!problem.detail.contains("secret"), "{}", problem.detail);
    }

    #[test]
    fn each_fault_has_its_pointer() {
        check("[]", "invalid_field", "");
        check("{}", "missing_field", "/amount");
        check(r#"{"amount":1}"#, "missing_field", "/inner");
        check(r#"{"amount":1,"inner":{}}"#, "missing_field", "/inner/name");
        check(r#"{"amount":1,"inner":{"name":"secret","extra":1}}"#, "unknown_field", "/inner/extra");
        check(r#"{"amount":1,"inner":{"name":5}}"#, "invalid_field", "/inner/name");
        check(r#"{"amount":1,"inner":"secret"}"#, "invalid_field", "/inner");
        check(r#"{"amount":1,"inner":{"name":"x"},"list":["a",1]}"#, "invalid_field", "/list/1");
        for amount in ["0", "-1", "-0", "10.5", "1e3", "1.0", "1e30", "1000000000000000", "\"100\"", "null", "[]"] {
            check(&format!(r#"{{"amount":{amount},"inner":{{"name":"x"}}}}"#), "invalid_amount", "/amount");
        }
        for amount in ["18446744073709551616", "-9223372036854775809"] {
            check(&format!(r#"{{"amount":{amount}}}"#), "invalid_amount", "/amount");
        }
    }

    #[test]
    fn content_types() {
        for yes in ["application/json", "Application/JSON ; charset=UTF-8", "application/json;charset=\"utf-8\""] {
            assert!(is_json(yes), "{yes}");
        }
        for no in ["", "text/plain", "application/jsonp", "application/json; charset=latin1", "multipart/form-data"] {
            assert!(!is_json(no), "{no}");
        }
    }
}
