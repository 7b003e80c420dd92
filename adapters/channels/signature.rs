//! The signature scheme `t=<unix s>,v1=<hex HMAC-SHA256(secret, "{t}.{body}")>`, which Stripe made common.
//! Knows no channel and no clock. Source: <https://docs.stripe.com/webhooks#verify-manually>.

use domain::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// How far the signed time may lie from ours, in either direction. A replay of an old message is refused by it.
pub const TOLERANCE_S: u64 = 300;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// True if any `v1` of the header is the signature of `body` under any of the secrets, made close to `now`.
/// A message has several signatures, and we several secrets, while a secret is being replaced.
pub fn is_valid(header: &str, body: &[u8], secrets: &[String], now: Timestamp) -> bool {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let Some(time) = parts().find(|(name, _)| *name == "t").map(|(_, time)| time) else {
        return false;
    };
    let Ok(signed_at_s) = time.parse::<i64>() else {
        return false;
    };
    if (now.as_micros() / MICROS_PER_SECOND).abs_diff(signed_at_s) > TOLERANCE_S {
        return false;
    }
    let given: Vec<Vec<u8>> =
        parts().filter(|(name, _)| *name == "v1").filter_map(|(_, hex)| hex::decode(hex).ok()).collect();
    let mut matches = Choice::from(0);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let expected = sign(secret, time, body);
        // Every pair is compared, so that the time taken tells nothing about which one matched.
        given.iter().for_each(|signature| matches |= expected.as_slice().ct_eq(signature));
    }
    matches.into()
}

fn sign(secret: &str, time: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// A header that [`is_valid`] accepts, for tests of what stands behind it.
#[cfg(test)]
pub(super) fn header(secret: &str, signed_at_s: u64, body: &[u8]) -> String {
    format!("t={signed_at_s},v1={}", hex::encode(sign(secret, &signed_at_s.to_string(), body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_800_000_000;
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;

    type Case<'a> = (&'a str, String, &'a [u8], &'a [&'a str], bool);

    fn valid(header: &str, body: &[u8], secrets: &[&str]) -> bool {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        is_valid(header, body, &secrets, Timestamp::from_micros(NOW_S * MICROS_PER_SECOND))
    }

    fn signed(secret: &str, age_s: i64) -> String {
        header(secret, u64::try_from(NOW_S - age_s).unwrap(), BODY)
    }

    #[test]
    fn the_scheme_is_the_published_one() {
        // Computed outside: printf '1800000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test
        let digest = "45705be2a45ab5acdd1395cc695e9e7073125385ec24194921c401dff44176f8";
        assert_eq!(header("whsec_test", 1_800_000_000, BODY), format!("t=1800000000,v1={digest}"));
    }

    #[test]
    fn only_fresh_signatures_under_a_known_secret_over_the_very_body_pass() {
        let good = signed("a", 0);
        let hex = good.split("v1=").nth(1).unwrap().to_owned();
        let table: [Case; 17] = [
            ("good", good.clone(), BODY, &["a"], true),
            ("second secret of ours", good.clone(), BODY, &["b", "a"], true),
            ("second signature", format!("t={NOW_S},v1={},v1={hex}", "0".repeat(64)), BODY, &["a"], true),
            ("other schemes beside it", format!("t={NOW_S},v0=abc,v1={hex},v2=x"), BODY, &["a"], true),
            ("as old as allowed", signed("a", 300), BODY, &["a"], true),
            ("stale", signed("a", 301), BODY, &["a"], false),
            ("from the future", signed("a", -301), BODY, &["a"], false),
            ("tampered body", good.clone(), br#"{"id":"evt_2"}"#, &["a"], false),
            ("tampered time", good.replace(&NOW_S.to_string(), &(NOW_S - 1).to_string()), BODY, &["a"], false),
            ("wrong secret", good.clone(), BODY, &["b"], false),
            ("no secret configured", good.clone(), BODY, &[], false),
            ("an empty secret is none", signed("", 0), BODY, &[""], false),
            ("a weaker scheme only", format!("t={NOW_S},v0={hex}"), BODY, &["a"], false),
            ("cut short", good[..good.len() - 2].to_owned(), BODY, &["a"], false),
            ("no signature", format!("t={NOW_S}"), BODY, &["a"], false),
            ("no time", format!("v1={hex}"), BODY, &["a"], false),
            ("empty", String::new(), BODY, &["a"], false),
        ];
        for (case, header, body, secrets, expected) in table {
            assert_eq!(valid(&header, body, secrets), expected, "{case}");
        }
    }
}
