//! `Prefer: wait=N` (RFC 7240): how long the caller would wait for more than the first answer.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const SECONDS_MAX: u64 = 30;

/// The wait that the caller prefers, at most 30 s. What cannot be read is ignored, as a preference may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Option<Duration>);

impl Wait {
    fn of(headers: &HeaderMap) -> Wait {
        let texts = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let mut preferences = texts.flat_map(|text| text.split(',')).map(|one| one.split(';').next().unwrap_or(one));
        let seconds = preferences.find_map(|preference| {
            let (name, value) = preference.split_once('=')?;
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("wait").then(|| value.parse::<u64>().ok()).flatten()
        });
        Wait(seconds.map(|seconds| Duration::from_secs(seconds.min(SECONDS_MAX))))
    }

    /// What is answered about the preference.
    pub fn applied(&self) -> Option<(HeaderName, HeaderValue)> {
        let text = format!("wait={}", self.0?.as_secs());
        Some((PREFERENCE_APPLIED, HeaderValue::try_from(text).ok()?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Wait {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Wait, Infallible> {
        Ok(Wait::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_read_and_bounded() {
        let table: [(&[&str], Option<u64>); 9] = [
            (&[], None),
            (&["wait=5"], Some(5)),
            (&["Wait = \"7\""], Some(7)),
            (&["respond-async, wait=10;foo=bar"], Some(10)),
            (&["respond-async", "wait=0"], Some(0)),
            (&["wait=31"], Some(30)),
            (&["wait=-1"], None),
            (&["wait=1.5"], None),
            (&["waiting=3"], None),
        ];
        for (values, seconds) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", HeaderValue::from_static(value));
            }
            assert_eq!(Wait::of(&headers), Wait(seconds.map(Duration::from_secs)), "{values:?}");
        }
    }
}
