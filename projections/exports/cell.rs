//! How one value is written, as CSV (RFC 4180) and as JSON. Knows no table.
//!
//! A spreadsheet takes a text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return for a formula and carries it
//! out, whoever wrote it. In CSV such a text gets an apostrophe in front; a number never does, so a negative one stays a
//! number. JSON is read by programs and says what is there.

use domain::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    /// Minor units, a count or a position.
    Number(i128),
    Flag(bool),
    Absent,
}

impl Cell {
    pub(super) fn text(value: impl ToString) -> Cell {
        Cell::Text(value.to_string())
    }

    pub(super) fn number(value: impl Into<i128>) -> Cell {
        Cell::Number(value.into())
    }

    /// Several, with a space in between.
    pub(super) fn texts(values: impl IntoIterator<Item = impl ToString>) -> Cell {
        let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
        Cell::Text(values.join(" "))
    }

    pub(super) fn maybe(value: Option<impl ToString>) -> Cell {
        value.map_or(Cell::Absent, Cell::text)
    }

    pub(super) fn push_csv(&self, line: &mut Vec<u8>) {
        match self {
            Cell::Text(text) => push_csv_text(text, line),
            Cell::Number(number) => line.extend_from_slice(number.to_string().as_bytes()),
            Cell::Flag(flag) => line.extend_from_slice(if *flag { b"true" } else { b"false" }),
            Cell::Absent => {}
        }
    }

    pub(super) fn push_json(&self, line: &mut Vec<u8>) {
        match self {
            Cell::Text(text) => push_json_text(text, line),
            Cell::Absent => line.extend_from_slice(b"null"),
            plain => plain.push_csv(line),
        }
    }
}

impl From<Timestamp> for Cell {
    fn from(moment: Timestamp) -> Cell {
        Cell::text(moment)
    }
}

fn push_csv_text(text: &str, line: &mut Vec<u8>) {
    let defused = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains(['"', ',', '\r', '\n']) {
        let quoted = format!("\"{defused}{}\"", text.replace('"', "\"\""));
        line.extend_from_slice(quoted.as_bytes());
    } else {
        line.extend_from_slice(defused.as_bytes());
        line.extend_from_slice(text.as_bytes());
    }
}

pub(super) fn push_json_text(text: &str, line: &mut Vec<u8>) {
    serde_json::to_writer(line, text).expect("a text always serialises, and a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(cell: &Cell) -> (String, String) {
        let (mut csv, mut json) = (vec![], vec![]);
        cell.push_csv(&mut csv);
        cell.push_json(&mut json);
        (String::from_utf8(csv).unwrap(), String::from_utf8(json).unwrap())
    }

    #[test]
    fn a_text_is_never_a_formula_and_a_number_never_a_text() {
        let table = [
            (Cell::text("A-1001"), "A-1001", r#""A-1001""#),
            (Cell::text(""), "", r#""""#),
            (Cell::text("=1+1"), "'=1+1", r#""=1+1""#),
            (Cell::text("+1"), "'+1", r#""+1""#),
            (Cell::text("-1"), "'-1", r#""-1""#),
            (Cell::text("@SUM(A1)"), "'@SUM(A1)", r#""@SUM(A1)""#),
            (Cell::text("\t=1"), "'\t=1", r#""\t=1""#),
            (Cell::text("\r=1"), "\"'\r=1\"", r#""\r=1""#),
            (Cell::text("=A1,\"x\""), "\"'=A1,\"\"x\"\"\"", r#""=A1,\"x\"""#),
            (Cell::text("a,b"), "\"a,b\"", r#""a,b""#),
            (Cell::text("a\nb"), "\"a\nb\"", r#""a\nb""#),
            (Cell::text("a \"b\""), "\"a \"\"b\"\"\"", r#""a \"b\"""#),
            (Cell::text("1=1"), "1=1", r#""1=1""#),
            (Cell::text("ü"), "ü", r#""ü""#),
            (Cell::number(-250), "-250", "-250"),
            (Cell::Number(i128::MIN), &i128::MIN.to_string(), &i128::MIN.to_string()),
            (Cell::Flag(true), "true", "true"),
            (Cell::Absent, "", "null"),
            (Cell::maybe(None::<String>), "", "null"),
            (Cell::texts(["a", "b"]), "a b", r#""a b""#),
        ];
        for (cell, csv, json) in table {
            assert_eq!(written(&cell), (csv.to_owned(), json.to_owned()), "{cell:?}");
        }
    }
}
