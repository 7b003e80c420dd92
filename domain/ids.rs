//! Every kind of id, one append-only list. Ids are made outside (from UUIDv7) and parsed strictly here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Crockford's base 32 in lower case: sorts as the number does, and has no look-alike letters.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const ENCODED_LENGTH: usize = 26;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an id of the form {prefix}_ and 26 characters")]
pub struct NotAnId {
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            pub fn from_uuid(uuid: Uuid) -> Self {
                $name(uuid)
            }

            pub fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = encode(self.0.as_u128());
                write!(f, "{}_{}", $prefix, std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let encoded = text.strip_prefix($prefix).and_then(|rest| rest.strip_prefix('_'));
                let value = encoded.and_then(decode).ok_or(NotAnId { prefix: $prefix })?;
                Ok($name(Uuid::from_u128(value)))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    PaymentId "pay";
    RefundId "re";
    PreAuthId "pa";
    MerchantId "mer";
    ApiKeyId "key";
    SettlementId "set";
    WithdrawalId "wd";
    DisputeId "dp";
    OrderId "ord";
    BankAccountId "ba";
    AdjustmentId "adj";
    StatementId "stm";
    JobRunId "run";
    ReconciliationRunId "rec";
    ExceptionId "exc";
    ExportId "exp";
}

impl RefundId {
    /// A refund that the ledger itself asks for when a payment succeeds too late; `attempt` counts from 0. Derived, so
    /// that deciding twice asks for the same refund; the payment's own time prefix keeps ids time-ordered.
    pub fn of_late_success(payment: PaymentId, attempt: u32) -> RefundId {
        let seed = [b"late-success:".as_slice(), payment.0.as_bytes(), &attempt.to_be_bytes()].concat();
        let digest = Sha256::digest(seed);
        let mut bytes = *payment.0.as_bytes();
        bytes[8..].copy_from_slice(&digest[..8]);
        RefundId(Uuid::from_bytes(bytes))
    }
}

impl RefundId {
    /// The part of an order's refund that one of its payments sends back. Derived, so that deciding twice asks for the
    /// same refunds; the whole refund's own time prefix keeps ids time-ordered.
    pub fn of_part(whole: RefundId, payment: PaymentId) -> RefundId {
        let seed = [b"order-refund:".as_slice(), whole.0.as_bytes(), payment.0.as_bytes()].concat();
        let digest = Sha256::digest(seed);
        let mut bytes = *whole.0.as_bytes();
        bytes[8..].copy_from_slice(&digest[..8]);
        RefundId(Uuid::from_bytes(bytes))
    }
}

impl DisputeId {
    /// The dispute that a channel knows by its own reference. Derived, so that whoever hears of it first, and in which
    /// order, it is one dispute; the payment's own time prefix keeps ids time-ordered.
    pub fn of(payment: PaymentId, channel: &ChannelName, channel_reference: &str) -> DisputeId {
        let mut seed = [b"dispute:".as_slice(), payment.0.as_bytes(), channel.as_str().as_bytes()].concat();
        seed.push(0);
        seed.extend_from_slice(channel_reference.as_bytes());
        let digest = Sha256::digest(seed);
        let mut bytes = *payment.0.as_bytes();
        bytes[8..].copy_from_slice(&digest[..8]);
        DisputeId(Uuid::from_bytes(bytes))
    }
}

impl SettlementId {
    /// The batch of a merchant and currency whose window opens behind the position `from`. Derived, so that two nodes
    /// or a repeat close the same batch; ids sort by where in the log their windows open.
    pub fn of_window(merchant: MerchantId, currency: &str, from: u64) -> SettlementId {
        let seed =
            [b"settlement:".as_slice(), merchant.0.as_bytes(), currency.as_bytes(), &from.to_be_bytes()].concat();
        let digest = Sha256::digest(seed);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&from.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&digest[..10]);
        SettlementId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl StatementId {
    /// A statement by its content, so that the same file of the same counterparty is the same statement. The last two
    /// bytes are left for the numbers of its runs.
    pub fn of_content(parts: &[&str]) -> StatementId {
        let mut bytes = *of_parts("statement", parts).as_bytes();
        bytes[14..].fill(0);
        StatementId(Uuid::from_bytes(bytes))
    }
}

impl ReconciliationRunId {
    /// The `number`-th run over a statement, counted from 1.
    pub fn of(statement: StatementId, number: u16) -> ReconciliationRunId {
        let mut bytes = *statement.0.as_bytes();
        bytes[14..].copy_from_slice(&number.to_be_bytes());
        ReconciliationRunId(Uuid::from_bytes(bytes))
    }

    /// The statement that it is a run over.
    pub fn statement(&self) -> StatementId {
        let mut bytes = *self.0.as_bytes();
        bytes[14..].fill(0);
        StatementId(Uuid::from_bytes(bytes))
    }
}

impl ExceptionId {
    /// A difference by what it is made of, so that each run that finds it again finds the same one.
    pub fn of_difference(parts: &[&str]) -> ExceptionId {
        ExceptionId(of_parts("exception", parts))
    }
}

/// A UUID (version 8) from the SHA-256 of the length-prefixed parts.
fn of_parts(purpose: &str, parts: &[&str]) -> Uuid {
    let mut hasher = Sha256::new();
    for part in std::iter::once(&purpose).chain(parts) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn encode(value: u128) -> [u8; ENCODED_LENGTH] {
    std::array::from_fn(|index| {
        let shift = 5 * (ENCODED_LENGTH - 1 - index);
        ALPHABET[usize::try_from((value >> shift) & 31).unwrap_or_default()]
    })
}

/// Strict: one spelling for each id, so that two texts never name one object.
fn decode(text: &str) -> Option<u128> {
    if text.len() != ENCODED_LENGTH || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0_u128, |value, byte| {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        Some(value << 5 | u128::try_from(digit).ok()?)
    })
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $check:expr, $message:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                let valid: fn(&str) -> bool = $check;
                if valid(text) { Ok($name(text.to_owned())) } else { Err($message) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

names! {
    /// A merchant's own number for an order: 1 to 64 characters, none of them a control character,
    /// none white space at either end.
    OrderNo,
    |text| (1..=64).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control),
    "must be 1 to 64 characters without control characters or surrounding white space";

    /// A time zone by its IANA name: `Asia/Shanghai`, `UTC`. Whether there is one of this name is not known here.
    TimeZone,
    |text| (1..=64).contains(&text.len())
        && text.split('/').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
        }),
    "must be an IANA time zone such as Europe/Berlin";

    /// A payment channel's name as it stands in accounts and URLs: `sandbox`, `stripe`.
    ChannelName,
    |text| (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
    "must be 1 to 32 lower-case letters, digits or underscores";

    /// A bank of ours by its short name, as it stands in accounts: `sandbox`.
    BankName,
    |text| (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
    "must be 1 to 32 lower-case letters, digits or underscores";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = PaymentId::from_uuid(Uuid::from_u128(0x0192_f3a4_0000_7000_8000_0000_0000_002a));
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        for wrong in [
            text.to_uppercase(),
            text.replace("pay_", "re_"),
            text[..29].to_owned(),
            format!("{text}0"),
            text.replace("pay_0", "pay_8"),
            String::new(),
        ] {
            assert!(wrong.parse::<PaymentId>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn text_sorts_as_the_number(a in any::<u128>(), b in any::<u128>()) {
            let (left, right) = (PaymentId::from_uuid(Uuid::from_u128(a)), PaymentId::from_uuid(Uuid::from_u128(b)));
            prop_assert_eq!(left.to_string().cmp(&right.to_string()), a.cmp(&b));
            prop_assert_eq!(left.to_string().parse(), Ok(left));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<PaymentId>();
            let _ = text.parse::<OrderNo>();
        }
    }
}
