//! Amounts in minor units, currencies and the fee of the sandbox provider. Own types on purpose:
//! an outside provider shares no code with the ledger that it is there to contradict.

use serde::{Deserialize, Serialize};

/// The greatest amount of a single operation, in minor units.
pub(super) const AMOUNT_MAX: i64 = 999_999_999_999_999;

/// Three or four upper-case ASCII letters, padded with zero bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Currency([u8; 4]);

impl Currency {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !(3..=4).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_uppercase) {
            return None;
        }
        let mut code = [0; 4];
        code.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Some(Self(code))
    }

    pub(super) fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(4);
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl TryFrom<String> for Currency {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a currency is three or four upper-case letters")
    }
}

/// 1.0 % of a capture, rounded half up. It cannot overflow: the result is below the amount.
pub(super) fn fee_of(amount: i64) -> i64 {
    amount / 100 + i64::from(amount % 100 >= 50)
}

pub(super) fn is_amount(amount: i64) -> bool {
    (1..=AMOUNT_MAX).contains(&amount)
}
