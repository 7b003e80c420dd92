//! Signed requests: which headers they carry, what the signature covers and how it is checked. Pure.

use axum::http::HeaderMap;
use domain::{ApiKeyId, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::single;

pub const KEY: &str = "x-api-key";
const TIMESTAMP: &str = "x-timestamp";
const NONCE: &str = "x-nonce";
const SIGNATURE: &str = "x-signature";
/// How far the caller's clock may be from ours, in seconds.
const TOLERANCE_S: u64 = 300;
const NONCE_CHARACTERS_MAX: usize = 128;

pub struct Signature<'a> {
    pub key_id: ApiKeyId,
    /// Unix seconds as the caller wrote them: the signature covers the text.
    timestamp: &'a str,
    seconds: i64,
    pub nonce: &'a str,
    mac: [u8; 32],
}

impl<'a> Signature<'a> {
    /// The four headers, if each is there once and well formed.
    pub fn of(headers: &'a HeaderMap) -> Option<Signature<'a>> {
        let timestamp = single(headers, TIMESTAMP)?;
        let nonce = single(headers, NONCE)?;
        if !(1..=NONCE_CHARACTERS_MAX).contains(&nonce.len()) || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut mac = [0; 32];
        hex::decode_to_slice(single(headers, SIGNATURE)?.strip_prefix("v1=")?, &mut mac).ok()?;
        Some(Signature {
            key_id: single(headers, KEY)?.parse().ok()?,
            timestamp,
            seconds: timestamp.parse().ok()?,
            nonce,
            mac,
        })
    }

    /// What the signature covers.
    pub fn message(
        &self,
        method: &str,
        path_and_query: &str,
        idempotency_key: &[u8],
        body_digest: &[u8; 32],
    ) -> Vec<u8> {
        let body_digest = hex::encode(body_digest);
        let lines: [&[u8]; 6] = [
            self.timestamp.as_bytes(),
            self.nonce.as_bytes(),
            method.as_bytes(),
            path_and_query.as_bytes(),
            idempotency_key,
            body_digest.as_bytes(),
        ];
        lines.join(&b'\n')
    }

    /// Compared in constant time.
    pub fn verifies(&self, secret: &str, message: &[u8]) -> bool {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
            return false;
        };
        mac.update(message);
        mac.verify_slice(&self.mac).is_ok()
    }

    pub fn is_recent(&self, now: Timestamp) -> bool {
        now.as_micros().div_euclid(1_000_000).abs_diff(self.seconds) <= TOLERANCE_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use sha2::Digest;
    use uuid::Uuid;

    const SECRET: &str = "sk_test";
    const BODY: &[u8] = br#"{"amount":100}"#;

    fn headers(changed: &str, value: &str) -> HeaderMap {
        let key_id = ApiKeyId::from_uuid(Uuid::from_u128(7)).to_string();
        let mut all = vec![(KEY, key_id.as_str()), (TIMESTAMP, "1790000000"), (NONCE, "n-1"), (SIGNATURE, "v1=00")];
        let mac = "v1=d9bd74a1d9bdee9e0a3b0f0f3d2cb8a0f1e3a0d2f8d4cb5b8a7a1b4bb6b6e9aa";
        all.retain(|(name, _)| *name != changed && *name != SIGNATURE);
        all.push((SIGNATURE, mac));
        if changed == SIGNATURE {
            all.pop();
        }
        if !value.is_empty() {
            all.push((changed, value));
        }
        let header =
            |(name, value): (&'static str, &str)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap());
        let names = [KEY, TIMESTAMP, NONCE, SIGNATURE];
        let position = |name: &str| names.into_iter().find(|known| *known == name).unwrap();
        all.into_iter().map(|(name, value)| header((position(name), value))).collect()
    }

    fn signed(body: &[u8]) -> (HeaderMap, String) {
        let unsigned = headers("", "");
        let signature = Signature::of(&unsigned).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(&signature.message("POST", "/api/v1/payments?x=1", b"key-1", &Sha256::digest(body).into()));
        let text = format!("v1={}", hex::encode(mac.finalize().into_bytes()));
        (headers(SIGNATURE, &text), text)
    }

    #[test]
    fn the_message_is_the_six_lines_of_the_contract() {
        let headers = headers("", "");
        let message = Signature::of(&headers).unwrap().message(
            "POST",
            "/api/v1/payments?x=1",
            b"key-1",
            &Sha256::digest(b"").into(),
        );
        let expected = "1790000000\nn-1\nPOST\n/api/v1/payments?x=1\nkey-1\n\
                        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(String::from_utf8(message).unwrap(), expected);
    }

    #[test]
    fn whatever_is_changed_breaks_the_signature() {
        let (headers, _) = signed(BODY);
        let signature = Signature::of(&headers).unwrap();
        let check = |secret: &str, method: &str, path: &str, key: &[u8], body: &[u8]| {
            signature.verifies(secret, &signature.message(method, path, key, &Sha256::digest(body).into()))
        };
        let path = "/api/v1/payments?x=1";
        assert!(check(SECRET, "POST", path, b"key-1", BODY));
        assert!(!check("sk_other", "POST", path, b"key-1", BODY));
        assert!(!check(SECRET, "PUT", path, b"key-1", BODY));
        assert!(!check(SECRET, "POST", "/api/v1/payments?x=2", b"key-1", BODY));
        assert!(!check(SECRET, "POST", "/api/v1/payments", b"key-1", BODY));
        assert!(!check(SECRET, "POST", path, b"", BODY));
        assert!(!check(SECRET, "POST", path, b"key-1", b"{}"));
    }

    #[test]
    fn a_signature_is_good_for_300_seconds_both_ways() {
        let headers = headers("", "");
        let signature = Signature::of(&headers).unwrap();
        for (offset_s, recent) in
            [(0, true), (300, true), (-300, true), (301, false), (-301, false), (i64::MIN / 4_000_000, false)]
        {
            let now = Timestamp::from_micros((1_790_000_000 + offset_s) * 1_000_000);
            assert_eq!(signature.is_recent(now), recent, "{offset_s}");
        }
    }

    #[test]
    fn malformed_headers_are_no_signature() {
        assert!(Signature::of(&headers("", "")).is_some());
        for (name, value) in [
            (KEY, ""),
            (KEY, "key_1"),
            (TIMESTAMP, ""),
            (TIMESTAMP, "soon"),
            (TIMESTAMP, "99999999999999999999"),
            (NONCE, ""),
            (NONCE, "a b"),
            (SIGNATURE, ""),
            (SIGNATURE, "v2=00"),
            (SIGNATURE, "v1=00"),
            (SIGNATURE, "v1=zz"),
        ] {
            assert!(Signature::of(&headers(name, value)).is_none(), "{name}: {value}");
        }
        let mut doubled = headers("", "");
        doubled.append(NONCE, HeaderValue::from_static("n-2"));
        assert!(Signature::of(&doubled).is_none());
    }
}
