//! XML as far as the messages need it: a tree that is read whole, or some elements of a file one after the other, and an
//! indented writer that escapes. No document types and no entities but the five of XML, so a message cannot make us read
//! anything else.

use std::io::BufRead;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer, XmlVersion};

use super::Malformed;

/// Deeper than any message goes.
const DEPTH_MAX: usize = 40;
/// Elements within one that is read from a file: a batch of 10,000 transfers has fewer.
const INNER_ELEMENTS_MAX: usize = 500_000;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Element {
    /// Without its prefix.
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    text: String,
}

impl Element {
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The element at the end of a path such as `Refs/EndToEndId`.
    pub(super) fn at(&self, path: &str) -> Option<&Element> {
        path.split('/').try_fold(self, |element, name| element.child(name))
    }

    pub(super) fn text(&self) -> &str {
        self.text.trim()
    }

    pub(super) fn text_at(&self, path: &str) -> Option<&str> {
        self.at(path).map(Element::text).filter(|text| !text.is_empty())
    }

    pub(super) fn required(&self, path: &str) -> Result<&Element, Malformed> {
        self.at(path).ok_or_else(|| Malformed(format!("{} has no {path}", self.name)))
    }

    pub(super) fn required_text(&self, path: &str) -> Result<&str, Malformed> {
        self.text_at(path).ok_or_else(|| Malformed(format!("{} has no {path}", self.name)))
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `pain.002` of the namespace `urn:iso:std:iso:20022:tech:xsd:pain.002.001.10`.
    pub(super) fn message_kind(&self) -> Result<&str, Malformed> {
        let namespaces = self.attributes.iter().filter(|(name, _)| name == "xmlns" || name.starts_with("xmlns:"));
        let mut kinds = namespaces.filter_map(|(_, uri)| uri.strip_prefix("urn:iso:std:iso:20022:tech:xsd:"));
        let kind = kinds.next().and_then(|kind| kind.get(..8)).filter(|_| self.name == "Document");
        kind.ok_or_else(|| Malformed("this is no document of ISO 20022".to_owned()))
    }
}

pub(super) fn parse(text: &str) -> Result<Element, Malformed> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        let event = reader.read_event().map_err(|_| not_well_formed())?;
        let innermost = open.last_mut().ok_or_else(not_well_formed)?;
        match event {
            Event::Start(start) => {
                open.push(element(&start)?);
                if open.len() > DEPTH_MAX {
                    return Err(Malformed("the message is nested too deeply".to_owned()));
                }
            }
            Event::End(_) => {
                let closed = open.pop().ok_or_else(not_well_formed)?;
                open.last_mut().ok_or_else(not_well_formed)?.children.push(closed);
            }
            Event::DocType(_) => return Err(Malformed("a document type is not allowed".to_owned())),
            Event::Eof => break,
            other => add_text(innermost, &other)?,
        }
    }
    match (open.pop(), open.is_empty()) {
        (Some(mut outside), true) if outside.children.len() == 1 => outside.children.pop().ok_or_else(not_well_formed),
        _ => Err(not_well_formed()),
    }
}

/// Hands on each outermost element of one of these names, so that no more than one is held at a time; `false` ends the
/// reading. Answers the kind of the message.
pub(super) fn each_element(
    file: impl BufRead,
    names: &[&str],
    mut each: impl FnMut(Element) -> bool,
) -> Result<String, Malformed> {
    let mut reader = Reader::from_reader(file);
    reader.config_mut().enable_all_checks(true);
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut open, mut depth, mut elements) = (vec![], Vec::<Element>::new(), 0_usize, 0_usize);
    let mut kind = None;
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(|_| not_well_formed())? {
            Event::Start(start) => {
                depth += 1;
                if kind.is_none() {
                    kind = Some(element(&start)?.message_kind()?.to_owned());
                }
                if !open.is_empty() || names.contains(&start.local_name().as_ref()) {
                    open.push(element(&start)?);
                    elements += 1;
                }
                if depth > DEPTH_MAX || elements > INNER_ELEMENTS_MAX {
                    return Err(Malformed("the message is nested too deeply, or an entry is too large".to_owned()));
                }
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                match (open.pop(), open.last_mut()) {
                    (Some(closed), Some(parent)) => parent.children.push(closed),
                    (Some(closed), None) => {
                        elements = 0;
                        if !each(closed) {
                            break;
                        }
                    }
                    (None, _) => {}
                }
            }
            Event::DocType(_) => return Err(Malformed("a document type is not allowed".to_owned())),
            Event::Eof if depth > 0 => return Err(not_well_formed()),
            Event::Eof => break,
            other => open.last_mut().map_or(Ok(()), |innermost| add_text(innermost, &other))?,
        }
    }
    kind.ok_or_else(not_well_formed)
}

/// What an event adds to the text of the element that it stands in.
fn add_text(innermost: &mut Element, event: &Event<'_>) -> Result<(), Malformed> {
    match event {
        Event::Text(text) => innermost.text.push_str(&text.xml10_content()),
        Event::CData(text) => innermost.text.push_str(&text.xml10_content()),
        Event::GeneralRef(reference) => match reference.resolve_char_ref().map_err(|_| not_well_formed())? {
            Some(letter) => innermost.text.push(letter),
            None => {
                let resolved = resolve_xml_entity(&reference.xml10_content()).ok_or_else(not_well_formed)?;
                innermost.text.push_str(resolved);
            }
        },
        _ => {}
    }
    Ok(())
}

fn element(start: &BytesStart<'_>) -> Result<Element, Malformed> {
    let name = start.local_name().as_ref().to_owned();
    let mut attributes = vec![];
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| not_well_formed())?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|_| not_well_formed())?;
        attributes.push((attribute.key.as_ref().to_owned(), value.into_owned()));
    }
    Ok(Element { name, attributes, ..Element::default() })
}

fn not_well_formed() -> Malformed {
    Malformed("the message is not well-formed XML".to_owned())
}

/// Writes a document of one namespace, two blanks a level. Writing to memory cannot fail.
pub(super) struct Document(Writer<Vec<u8>>);

impl Document {
    /// `content` of the message `kind`, such as `pain.001.001.09`.
    pub(super) fn write(kind: &str, content: impl FnOnce(&mut Document)) -> String {
        let mut document = Document(Writer::new_with_indent(vec![], b' ', 2));
        document.event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        let namespace = format!("urn:iso:std:iso:20022:tech:xsd:{kind}");
        let mut root = BytesStart::new("Document");
        root.push_attribute(("xmlns", namespace.as_str()));
        document.event(Event::Start(root));
        content(&mut document);
        document.event(Event::End(BytesEnd::new("Document")));
        let mut text = String::from_utf8(document.0.into_inner()).expect("only text was written");
        text.push('\n');
        text
    }

    pub(super) fn element(&mut self, name: &str, content: impl FnOnce(&mut Document)) {
        self.event(Event::Start(BytesStart::new(name)));
        content(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.event(Event::Start(BytesStart::new(name)));
        self.event(Event::Text(BytesText::new(text)));
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// `<name Ccy="USD">10.50</name>`
    pub(super) fn amount(&mut self, name: &str, amount: domain::Money) {
        let mut start = BytesStart::new(name);
        start.push_attribute(("Ccy", amount.currency().code()));
        self.event(Event::Start(start));
        self.event(Event::Text(BytesText::new(&super::amount_text(amount))));
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// Elements of one path, each inside the one before: `path("Rsn/Cd", "AC04")`.
    pub(super) fn path(&mut self, path: &str, text: &str) {
        match path.split_once('/') {
            Some((outer, inner)) => self.element(outer, |document| document.path(inner, text)),
            None => self.text(path, text),
        }
    }

    fn event(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("writing to memory cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again_whatever_it_says() {
        let name = "Müller & Söhne <\"GmbH\"> 'x' ]]> &amp;";
        let written = Document::write("pain.001.001.09", |document| document.path("A/B", name));
        let read = parse(&written).unwrap();
        assert_eq!((read.message_kind().unwrap(), read.text_at("A/B")), ("pain.001", Some(name)));
    }

    #[test]
    fn prefixes_comments_and_references_are_understood() {
        let text = "<?xml version=\"1.0\"?><!-- c --><x:Document xmlns:x=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\">\
                    <x:A>1<![CDATA[<2>]]>&#51;&gt;</x:A><x:B/></x:Document>";
        let read = parse(text).unwrap();
        assert_eq!((read.message_kind().unwrap(), read.text_at("A")), ("camt.053", Some("1<2>3>")));
        assert!(read.child("B").is_some());
    }

    #[test]
    fn what_is_not_such_a_document_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(50), "</a>".repeat(50));
        for text in [
            "",
            "plain",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>",
            "<a>&unknown;</a>",
            deep.as_str(),
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("<a/>").unwrap().message_kind().is_err());
    }
}
