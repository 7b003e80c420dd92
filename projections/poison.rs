//! Tells what is an event's fault from what will pass: the first parks a stream, the second is tried again. Knows no
//! read model.

use crate::ApplyError;

/// Why an event cannot be applied, without any value of the event, which may be personal. `None` if it is no event's
/// fault: the database is away, overloaded or not as this program expects it.
pub(crate) fn poison(error: &ApplyError) -> Option<String> {
    match error {
        ApplyError::Unreadable(_) | ApplyError::Inapplicable { .. } | ApplyError::Panicked => Some(error.to_string()),
        ApplyError::DamagedRow(_) => Some("a row of the read model cannot be read".to_owned()),
        ApplyError::Database(error) => refusal(error),
    }
}

fn refusal(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code()?;
            if !is_refused_value(&code) {
                return None;
            }
            let constraint = error.constraint().map(|name| format!(", constraint {name}")).unwrap_or_default();
            Some(format!("the database refuses what it says (SQLSTATE {code}{constraint})"))
        }
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            Some("a row of the read model cannot be read".to_owned())
        }
        sqlx::Error::Encode(_) => Some("a value that the database has no room for".to_owned()),
        _ => None,
    }
}

/// By class: cardinality violation, data exception, integrity violation, limit exceeded. All others (connection,
/// resources, deadlock, missing table, intervention) say nothing about the event.
fn is_refused_value(code: &str) -> bool {
    matches!(code.get(..2), Some("21" | "22" | "23" | "54"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_event_says_is_its_fault() {
        let table = [
            ("22003", true),
            ("22021", true),
            ("23514", true),
            ("23505", true),
            ("21000", true),
            ("54000", true),
            ("08006", false),
            ("25P03", false),
            ("40001", false),
            ("40P01", false),
            ("42P01", false),
            ("53100", false),
            ("53300", false),
            ("55P03", false),
            ("57014", false),
            ("57P01", false),
            ("58030", false),
            ("XX001", false),
            ("", false),
        ];
        for (code, expected) in table {
            assert_eq!(is_refused_value(code), expected, "{code}");
        }
        assert_eq!(poison(&ApplyError::Database(sqlx::Error::PoolTimedOut)), None);
        assert_eq!(poison(&ApplyError::Database(sqlx::Error::WorkerCrashed)), None);
        let secret = poison(&ApplyError::DamagedRow("secret".to_owned())).unwrap();
        assert!(!secret.contains("secret"));
    }
}
