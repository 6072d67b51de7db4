//! TOML with the position of each word.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A part of the file, in bytes.
pub(super) type Span = Range<usize>;
/// A value with its position.
pub(super) type Node<'t> = Spanned<DeValue<'t>>;

/// A file that was parsed, as far as it can be.
pub(super) struct Document<'t> {
    pub(super) text: &'t str,
    root: Spanned<DeTable<'t>>,
    /// What is no TOML.
    pub(super) errors: Vec<(Span, String)>,
}

/// A key with its value.
pub(super) struct Entry<'d, 't> {
    pub(super) key: &'d str,
    pub(super) key_span: Span,
    pub(super) value: &'d Node<'t>,
}

impl<'t> Document<'t> {
    pub(super) fn parse(text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let end = text.len();
        let at = |error: &toml::de::Error| {
            let span = error.span().unwrap_or(end..end);
            let message = error.message().trim_end_matches(", expected nothing").to_owned();
            (span.start.min(end)..span.end.min(end), message)
        };
        let errors = errors.iter().map(at).collect();
        Document { text, root, errors }
    }

    pub(super) fn entries(&self) -> Vec<Entry<'_, 't>> {
        entries(self.root.get_ref())
    }

    pub(super) fn table(&self, key: &str) -> Option<&DeTable<'t>> {
        table(self.root.get_ref().get(key)?)
    }
}

/// The keys of a table in the order in which they are written.
pub(super) fn entries<'d, 't>(table: &'d DeTable<'t>) -> Vec<Entry<'d, 't>> {
    let entry = |(key, value): (&'d Spanned<_>, &'d Node<'t>)| Entry {
        key: as_str(key),
        key_span: key.span(),
        value,
    };
    let mut all: Vec<_> = table.iter().map(entry).collect();
    all.sort_by_key(|entry| entry.key_span.start);
    all
}

fn as_str<'d>(key: &'d Spanned<std::borrow::Cow<'_, str>>) -> &'d str {
    key.get_ref()
}

/// The value as a table, if it is one.
pub(super) fn table<'d, 't>(value: &'d Node<'t>) -> Option<&'d DeTable<'t>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// The elements of an array; another value stands for one that has only itself.
pub(super) fn elements<'d, 't>(value: &'d Node<'t>) -> Vec<&'d Node<'t>> {
    match value.get_ref() {
        DeValue::Array(elements) => elements.iter().collect(),
        _ => vec![value],
    }
}

/// What a value is, in words.
pub(super) fn what(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A whole number that is not less than nothing.
pub(super) fn number(value: &DeValue<'_>) -> Option<u64> {
    match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}
