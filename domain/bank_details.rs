//! Whose account at a bank money goes to: number, bank and holder, and what makes two of them the same account.
//! Never in an event in clear.

use std::fmt;

use crate::iban::{AccountNumber, Bic, Iban};

#[derive(Clone, PartialEq, Eq)]
pub struct BankDetails {
    pub number: BankNumber,
    pub bic: Option<Bic>,
    /// The holder: 1 to 140 characters, as ISO 20022 bounds a name.
    name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BankNumber {
    Iban(Iban),
    /// Where there are no IBANs.
    Other(AccountNumber),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 140 characters without control characters")]
pub struct NotAHolder;

impl BankNumber {
    pub fn as_str(&self) -> &str {
        match self {
            BankNumber::Iban(iban) => iban.as_str(),
            BankNumber::Other(number) => number.as_str(),
        }
    }

    /// All but the last four characters, and an IBAN's country, hidden. A number as short as those four shows none.
    pub fn masked(&self) -> String {
        let text = self.as_str();
        let shown = if text.len() > 4 { 4 } else { 0 };
        let (hidden, tail) = text.split_at(text.len() - shown);
        match self {
            BankNumber::Iban(_) => format!("{}{}{tail}", &hidden[..2], "*".repeat(hidden.len() - 2)),
            BankNumber::Other(_) => format!("{}{tail}", "*".repeat(hidden.len())),
        }
    }
}

impl BankDetails {
    pub fn new(number: BankNumber, bic: Option<Bic>, name: &str) -> Result<BankDetails, NotAHolder> {
        let name = name.trim();
        if !(1..=140).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(NotAHolder);
        }
        Ok(BankDetails { number, bic, name: name.to_owned() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Equal exactly for what counts as one account: the number, the bank where the number does not tell it, and the
    /// holder whatever the case and spacing of the name. Personal: only a keyed hash of it may leave this process.
    pub fn identity(&self) -> String {
        let (kind, bank) = match (&self.number, &self.bic) {
            (BankNumber::Iban(_), _) => ("iban", ""),
            (BankNumber::Other(_), Some(bic)) => ("other", bic.as_str()),
            (BankNumber::Other(_), None) => ("other", ""),
        };
        let holder: Vec<String> = self.name.split_whitespace().map(str::to_lowercase).collect();
        format!("{kind}\n{bank}\n{}\n{}", self.number.as_str(), holder.join(" "))
    }
}

/// Neither number nor person may end in a log.
impl fmt::Debug for BankDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BankDetails").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iban(number: &str, bic: Option<&str>, name: &str) -> BankDetails {
        let bic = bic.map(|bic| bic.parse().unwrap());
        BankDetails::new(BankNumber::Iban(number.parse().unwrap()), bic, name).unwrap()
    }

    fn other(number: &str, bic: Option<&str>, name: &str) -> BankDetails {
        let bic = bic.map(|bic| bic.parse().unwrap());
        BankDetails::new(BankNumber::Other(number.parse().unwrap()), bic, name).unwrap()
    }

    #[test]
    fn one_account_is_recognised_however_it_is_written() {
        let first = iban("DE89370400440532013000", None, "Acme Ltd").identity();
        let table = [
            (iban("DE89 3704 0044 0532 0130 00", Some("COBADEFFXXX"), " ACME  ltd "), true),
            (iban("DE89370400440532013000", None, "Acme Inc"), false),
            (iban("GB29NWBK60161331926819", None, "Acme Ltd"), false),
            (other("DE89370400440532013000", None, "Acme Ltd"), false),
        ];
        for (details, same) in table {
            assert_eq!(details.identity() == first, same);
        }
        assert_ne!(
            other("12345678", Some("CHASUS33"), "A").identity(),
            other("12345678", Some("BOFAUS3N"), "A").identity()
        );
    }

    #[test]
    fn at_most_four_characters_of_a_number_are_shown() {
        let table = [
            (iban("DE89370400440532013000", None, "A").number, "DE****************3000"),
            (other("12345678", None, "A").number, "****5678"),
            (other("1234", None, "A").number, "****"),
        ];
        for (number, masked) in table {
            assert_eq!(number.masked(), masked);
        }
    }

    #[test]
    fn a_holder_has_a_name() {
        let number = || BankNumber::Other("12345678".parse().unwrap());
        for (name, valid) in [("A", true), ("", false), ("  ", false), ("a\nb", false), (&*"é".repeat(141), false)] {
            assert_eq!(BankDetails::new(number(), None, name).is_ok(), valid, "{name:?}");
        }
    }
}
