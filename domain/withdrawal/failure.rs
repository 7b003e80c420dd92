//! Why a bank did not pay, or sent the money back, in stable codes of ours beside the bank's own.

use serde::{Deserialize, Serialize};

/// Made by [`Failure::of_bank_code`] alone, so that no text of a bank, which may name a person, gets into the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    pub code: String,
    pub message: String,
    /// The ISO 20022 reason, such as `AC04`.
    pub bank_code: Option<String>,
}

impl Failure {
    /// From a reason of ISO 20022's external code sets for status and return; anything else is no reason.
    pub fn of_bank_code(told: Option<&str>) -> Failure {
        let is_code = |code: &&str| code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let bank_code = told.filter(is_code).map(str::to_ascii_uppercase);
        let (code, message) = meaning(bank_code.as_deref().unwrap_or_default());
        Failure { code: code.to_owned(), message: message.to_owned(), bank_code }
    }
}

fn meaning(bank_code: &str) -> (&'static str, &'static str) {
    match bank_code {
        "AC01" | "AC02" | "AC03" => ("incorrect_account_number", "The account number is not right."),
        "AC04" | "AC05" | "AC07" => ("account_closed", "The account is closed."),
        "AC06" => ("account_blocked", "The account is blocked."),
        "AG01" | "AG02" | "AG03" => ("transfer_forbidden", "The account cannot take this kind of transfer."),
        "AM04" => ("cover_missing", "Our own account at the bank does not cover the transfer."),
        "BE01" | "BE04" | "BE05" | "BE06" => ("holder_mismatch", "The account's holder is somebody else."),
        "MD07" => ("holder_deceased", "The account's holder has died."),
        "RC01" | "RC03" | "RC04" | "RC07" | "RC08" => ("incorrect_bank", "The bank is not known under this BIC."),
        "RR01" | "RR02" | "RR03" | "RR04" => ("regulatory_reason", "A regulation forbids the transfer."),
        "CUST" | "FOCR" => ("returned_on_request", "The holder or a bank asked for the return."),
        _ => ("refused_by_bank", "The bank did not make the transfer; its code tells why."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_of_the_standard_are_kept() {
        let table = [
            (Some("AC04"), "account_closed", Some("AC04")),
            (Some("ac01"), "incorrect_account_number", Some("AC01")),
            (Some("MS03"), "refused_by_bank", Some("MS03")),
            (Some("Jane Doe has moved"), "refused_by_bank", None),
            (None, "refused_by_bank", None),
        ];
        for (told, code, bank_code) in table {
            let failure = Failure::of_bank_code(told);
            assert_eq!((failure.code.as_str(), failure.bank_code.as_deref()), (code, bank_code), "{told:?}");
        }
    }
}
