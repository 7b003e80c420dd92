//! How accounts at banks are named: IBAN (ISO 13616), BIC (ISO 9362) and the plain number where there is no IBAN.
//! Valid by construction; none of them is ever written to a log. Whether such an account exists is not known here.

use std::fmt;
use std::str::FromStr;

/// An IBAN whose country, length, structure and check digits are right, in its electronic form.
#[derive(Clone, PartialEq, Eq)]
pub struct Iban(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an IBAN whose country, length and check digits are right")]
pub struct NotAnIban;

/// Spaces, as IBANs are printed, and lower case do not count.
impl FromStr for Iban {
    type Err = NotAnIban;

    fn from_str(text: &str) -> Result<Self, NotAnIban> {
        let electronic: String = text.chars().filter(|letter| *letter != ' ').collect();
        let electronic = electronic.to_ascii_uppercase();
        match electronic.parse::<iban::Iban>() {
            Ok(_) => Ok(Iban(electronic)),
            Err(_) => Err(NotAnIban),
        }
    }
}

/// A BIC of 8 or 11 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Bic(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a BIC of 8 or 11 characters such as COBADEFFXXX")]
pub struct NotABic;

impl FromStr for Bic {
    type Err = NotABic;

    fn from_str(text: &str) -> Result<Self, NotABic> {
        let bytes = text.as_bytes();
        let alphanumeric = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let country = bytes.get(4..6).is_some_and(|country| country.iter().all(u8::is_ascii_uppercase));
        if matches!(bytes.len(), 8 | 11) && country && bytes.iter().all(alphanumeric) {
            Ok(Bic(text.to_owned()))
        } else {
            Err(NotABic)
        }
    }
}

/// The number of an account in a country without IBANs: 4 to 34 letters and digits.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountNumber(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an account number of 4 to 34 letters and digits")]
pub struct NotAnAccountNumber;

/// Spaces and hyphens between the digits do not count.
impl FromStr for AccountNumber {
    type Err = NotAnAccountNumber;

    fn from_str(text: &str) -> Result<Self, NotAnAccountNumber> {
        let number: String = text.chars().filter(|letter| !matches!(letter, ' ' | '-')).collect();
        if (4..=34).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(AccountNumber(number.to_ascii_uppercase()))
        } else {
            Err(NotAnAccountNumber)
        }
    }
}

macro_rules! secrets {
    ($($name:ident)+) => {$(
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        /// Says what it is and not what it holds.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}

secrets! { Iban Bic AccountNumber }

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GERMAN: &str = "DE89370400440532013000";

    #[test]
    fn an_iban_of_any_country_is_taken_in_print_and_in_electronic_form() {
        for text in [
            GERMAN,
            "DE89 3704 0044 0532 0130 00",
            "de89370400440532013000",
            "GB29NWBK60161331926819",
            "FR1420041010050500013M02606",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "SA0380000000608010167519",
            "AE070331234567890123456",
        ] {
            assert!(text.parse::<Iban>().is_ok(), "{text}");
        }
        assert_eq!("DE89 3704 0044 0532 0130 00".parse::<Iban>().unwrap().as_str(), GERMAN);
    }

    #[test]
    fn a_wrong_iban_is_refused() {
        for text in [
            "",
            "DE88370400440532013000",
            "DE8937040044053201300",
            "DE893704004405320130000",
            "XX89370400440532013000",
            "DE89370400440532O13000",
            "DE89-3704-0044-0532-0130-00",
            "89370400440532013000",
            "DE00370400440532013000",
        ] {
            assert_eq!(text.parse::<Iban>(), Err(NotAnIban), "{text}");
        }
    }

    #[test]
    fn bics_and_account_numbers_have_a_shape() {
        for (text, valid) in [
            ("COBADEFF", true),
            ("COBADEFFXXX", true),
            ("B4NKDEFF500", true),
            ("COBADEFFX", false),
            ("cobadeff", false),
            ("COBA12FF", false),
            ("COBADEFF XX", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Bic>().is_ok(), valid, "{text}");
        }
        for (text, normal) in
            [("1234", Some("1234")), ("12-34 56ab", Some("123456AB")), ("123", None), ("12_34", None), ("ä1234", None)]
        {
            assert_eq!(text.parse::<AccountNumber>().ok().as_ref().map(AccountNumber::as_str), normal, "{text}");
        }
        assert!("1".repeat(35).parse::<AccountNumber>().is_err());
    }

    #[test]
    fn none_of_them_shows_itself_in_a_log() {
        let iban: Iban = GERMAN.parse().unwrap();
        assert_eq!(format!("{iban:?}"), "Iban(..)");
    }

    proptest! {
        /// What the check digits are for: one changed digit, and two neighbours swapped, are noticed.
        #[test]
        fn a_slip_of_the_pen_is_noticed(place in 4..22_usize, digit in b'0'..=b'9') {
            let mut changed = GERMAN.as_bytes().to_vec();
            changed[place] = digit;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(changed.parse::<Iban>().is_ok(), changed == GERMAN);
            let mut swapped = GERMAN.as_bytes().to_vec();
            swapped.swap(place, (place + 1).min(21));
            let swapped = String::from_utf8(swapped).unwrap();
            prop_assert_eq!(swapped.parse::<Iban>().is_ok(), swapped == GERMAN);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Iban>();
            let _ = text.parse::<Bic>();
            let _ = text.parse::<AccountNumber>();
        }
    }
}
