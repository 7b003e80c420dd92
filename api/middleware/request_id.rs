//! The id of a request: ours, or the caller's own where it is sane.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use uuid::Uuid;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[derive(Debug, Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's id if it is 1 to 64 letters, digits, dots, underscores or hyphens; else a fresh one.
    pub fn of(headers: &HeaderMap) -> RequestId {
        let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let sane = given.filter(|text| (1..=64).contains(&text.len()) && text.bytes().all(allowed));
        RequestId(sane.map_or_else(|| format!("req_{}", Uuid::now_v7().simple()).into(), Arc::from))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sane_id_of_the_caller_is_kept() {
        let of = |text: &str| RequestId::of(&HeaderMap::from_iter([(X_REQUEST_ID, text.parse().unwrap())])).to_string();
        assert_eq!(of("trace-1.a_B"), "trace-1.a_B");
        for odd in ["", "a b", "<script>", &"x".repeat(65)] {
            assert!(of(odd).starts_with("req_"), "{odd}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()).to_string(), RequestId::of(&HeaderMap::new()).to_string());
    }
}
