//! Reads a JSON text into a tree, strictly: no field twice, no depth without end. Knows no schema.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use crate::errors;
use crate::problem::Problem;

const DUPLICATE: &str = "the field stands here twice";

/// The tree of a JSON text: 400 if it is no JSON, 422 with the pointer if a field is doubled or a number has no end.
pub fn parse(text: &[u8]) -> Result<Value, Problem> {
    let place = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = Node { path: &Path::Root, place: &place }.deserialize(&mut reader);
    let failure = match read.and_then(|tree| reader.end().map(|()| tree)) {
        Ok(tree) => return Ok(tree),
        Err(failure) => failure,
    };
    let pointer = place.into_inner().unwrap_or_default();
    let message = failure.to_string();
    Err(if message.starts_with(DUPLICATE) {
        Problem::new(errors::DUPLICATE_FIELD, DUPLICATE).at(pointer)
    } else if message.starts_with("number out of range") {
        super::json::fault_at(pointer, "the number is too large to be read")
    } else {
        Problem::new(errors::MALFORMED_JSON, format!("the body is not JSON: {message}"))
    })
}

/// SHA-256 of the tree with its fields sorted and without white space: equal for equal meaning.
pub fn digest(tree: &Value, hasher: &mut Sha256) {
    match tree {
        Value::Array(items) => {
            hasher.update(b"[");
            for item in items {
                digest(item, hasher);
                hasher.update(b",");
            }
            hasher.update(b"]");
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            hasher.update(b"{");
            for (name, value) in sorted {
                hasher.update(Value::from(name.as_str()).to_string());
                hasher.update(b":");
                digest(value, hasher);
                hasher.update(b",");
            }
            hasher.update(b"}");
        }
        scalar => hasher.update(scalar.to_string()),
    }
}

/// Appends one step to a JSON pointer (RFC 6901).
pub fn push_step(pointer: &mut String, step: &str) {
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
}

enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn write_to(&self, pointer: &mut String) {
        match self {
            Path::Root => {}
            Path::Field(parent, name) => {
                parent.write_to(pointer);
                push_step(pointer, name);
            }
            Path::Item(parent, index) => {
                parent.write_to(pointer);
                push_step(pointer, &index.to_string());
            }
        }
    }
}

/// Reads one value; `place` gets the pointer of the innermost one that failed.
#[derive(Clone, Copy)]
struct Node<'a> {
    path: &'a Path<'a>,
    place: &'a RefCell<Option<String>>,
}

impl Node<'_> {
    fn note_place(&self) {
        self.place.borrow_mut().get_or_insert_with(|| {
            let mut pointer = String::new();
            self.path.write_to(&mut pointer);
            pointer
        });
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self).inspect_err(|_| self.note_place())
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = vec![];
        loop {
            let path = Path::Item(self.path, list.len());
            match items.next_element_seed(Node { path: &path, place: self.place })? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = Path::Field(self.path, &name);
            let node = Node { path: &path, place: self.place };
            if object.contains_key(&name) {
                node.note_place();
                return Err(A::Error::custom(DUPLICATE));
            }
            let value = fields.next_value_seed(node)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &[u8], code: &str, pointer: Option<&str>) {
        let problem = parse(text).unwrap_err();
        assert_eq!((&*problem.code, problem.pointer.as_deref()), (code, pointer), "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn faults_are_named() {
        check(b"", "malformed_json", None);
        check(b"{\"a\":", "malformed_json", None);
        check(b"{} {}", "malformed_json", None);
        check(b"\xff", "malformed_json", None);
        check(b"{\"a\":\"\xff\"}", "malformed_json", None);
        check(br#""\ud800""#, "malformed_json", None);
        check("[".repeat(20_000).as_bytes(), "malformed_json", None);
        check("{\"a\":".repeat(20_000).as_bytes(), "malformed_json", None);
        check(br#"{"a":1,"a":1}"#, "duplicate_field", Some("/a"));
        check(br#"{"x~/":[1,{"b":1,"b":2}]}"#, "duplicate_field", Some("/x~0~1/1/b"));
        check(br#"{"amount":1e400}"#, "invalid_amount", Some("/amount"));
        check(br#"{"metadata":{"a":1e400}}"#, "invalid_field", Some("/metadata/a"));
    }

    #[test]
    fn white_space_and_order_do_not_change_the_digest() {
        let hash = |text: &str| {
            let mut hasher = Sha256::new();
            digest(&parse(text.as_bytes()).unwrap(), &mut hasher);
            hasher.finalize()
        };
        assert_eq!(hash(r#"{"a":1,"b":[{"c":null}]}"#), hash(" { \"b\" : [ {\"c\":null} ],\n\"a\": 1 } "));
        for other in
            [r#"{"a":1,"b":[{"c":0}]}"#, r#"{"a":"1","b":[{"c":null}]}"#, r#"{"a":1,"b":[{}]}"#, r#"{"a":1,"b":[[]]}"#]
        {
            assert_ne!(hash(r#"{"a":1,"b":[{"c":null}]}"#), hash(other), "{other}");
        }
    }
}
