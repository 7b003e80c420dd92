//! A request's query as a typed value: every parameter known, at most once and valid, or 400 with its name.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;

use crate::errors;
use crate::problem::Problem;

/// A parameter of a type that knows its own spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<T>(pub T);

impl<'de, T> Deserialize<'de> for Parsed<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Parsed).map_err(D::Error::custom)
    }
}

/// `T` refuses unknown fields and reads every value from a text.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Params)
    }
}

pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(pairs).map_err(|failure| {
        let name = failure.path().iter().find_map(|segment| match segment {
            Segment::Map { key } => Some(key.as_str()),
            _ => None,
        });
        fault(name, &failure.inner().to_string())
    })
}

fn fault(name: Option<&str>, message: &str) -> Problem {
    let quoted = message.split('`').nth(1).filter(|_| message.contains(" field `"));
    let Some(name) = name.or(quoted) else {
        return Problem::new(errors::INVALID_PARAMETER, "the query cannot be read");
    };
    let problem = if message.starts_with("unknown field ") {
        Problem::new(errors::UNKNOWN_PARAMETER, format!("the parameter {name} is not known here"))
    } else if message.starts_with("missing field ") {
        Problem::new(errors::INVALID_PARAMETER, format!("the parameter {name} is missing"))
    } else if message.starts_with("duplicate field ") {
        Problem::new(errors::INVALID_PARAMETER, format!("the parameter {name} stands there twice"))
    } else {
        let expected = message.split_once(", expected ").map(|(_, expected)| format!("must be {expected}"));
        Problem::new(errors::INVALID_PARAMETER, format!("{name}: {}", expected.as_deref().unwrap_or(message)))
    };
    problem.in_parameter(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Limit;
    use domain::{Currency, Timestamp};

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Filter {
        limit: Limit,
        currency: Option<Currency>,
        amount_min: Option<i64>,
        created_from: Option<Timestamp>,
    }

    #[test]
    fn what_is_known_and_valid_is_read() {
        let filter: Filter = parse("currency=EUR&created_from=2026-11-20T09%3A30%3A00%2B01:00&amount_min=5").unwrap();
        assert_eq!((filter.currency, filter.amount_min), (Some(Currency::EUR), Some(5)));
        assert_eq!(filter.created_from.map(|time| time.to_string()).as_deref(), Some("2026-11-20T08:30:00.000000Z"));
        assert_eq!(parse::<Filter>("").unwrap(), Filter::default());
    }

    #[test]
    fn what_is_not_is_named() {
        let table = [
            ("colour=red", "unknown_parameter", "colour"),
            ("currency=EUR&currency=USD", "invalid_parameter", "currency"),
            ("currency=eur", "invalid_parameter", "currency"),
            ("amount_min=1.5", "invalid_parameter", "amount_min"),
            ("amount_min=", "invalid_parameter", "amount_min"),
            ("created_from=yesterday", "invalid_parameter", "created_from"),
            ("limit=0", "invalid_parameter", "limit"),
            ("limit=101", "invalid_parameter", "limit"),
            ("limit=-1", "invalid_parameter", "limit"),
            ("limit=99999999999999999999", "invalid_parameter", "limit"),
        ];
        for (query, code, name) in table {
            let problem = parse::<Filter>(query).unwrap_err();
            assert_eq!((&*problem.code, problem.parameter.as_deref()), (code, Some(name)), "{query}");
            assert_eq!(problem.status, 400);
        }
    }
}
