//! What we call authorised against what the sandbox's book says that it authorised, each once. What is still open here
//! may have taken effect there.

use std::collections::HashSet;

use domain::invariants::Violation;
use domain::pre_auth::{Phase, Record};

use super::channel_book::{Operation, differs, index};

/// Answers how many authorisations were compared.
pub fn compare<'a>(book: &[Operation], pre_auths: impl Iterator<Item = &'a Record>) -> Result<u64, Violation> {
    let told = index(book, "authorization")?;
    let mut known = HashSet::new();
    let mut compared = 0;
    for record in pre_auths.filter(|record| record.terms.channel.as_str() == "sandbox") {
        let id = record.terms.pre_auth_id.to_string();
        if let Phase::Authorized(hold) = &record.phase {
            match told.get(id.as_str()) {
                Some(operation) if operation.amount == hold.amount => compared += 1,
                Some(_) => return Err(differs(&id, "the channel authorised another amount")),
                None => return Err(differs(&id, "we booked an authorisation that the channel does not know")),
            }
        }
        known.insert(id);
    }
    match told.keys().find(|reference| !known.contains(**reference)) {
        Some(stranger) => Err(differs(stranger, "the channel's book has an authorisation that we never asked for")),
        None => Ok(compared),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(reference: &str, key: &str) -> Operation {
        let text = serde_json::json!({
            "kind": "authorization", "reference": reference, "idempotency_key": key, "amount": 5, "fee": 0,
            "time": "2026-11-21T00:00:00Z",
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn an_authorisation_that_we_never_asked_for_is_named() {
        for book in [vec![operation("pa_1", "k1")], vec![operation("pa_1", "k1"), operation("pa_1", "k2")]] {
            assert_eq!(compare(&book, std::iter::empty()).unwrap_err().invariant, 6, "{book:?}");
        }
        assert_eq!(compare(&[], std::iter::empty()), Ok(0));
    }
}
