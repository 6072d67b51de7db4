//! Settings as certbot writes them: Python's `configobj`. Sections in brackets, more brackets for deeper ones; `key = value`;
//! comments behind `#`; values with commas, quotes, or three quotes over several lines.

use std::collections::BTreeMap;

/// Settings, by section and key. The names of a deeper section stand one behind the other, with a line break between.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ini {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

impl Ini {
    /// Reads settings. A line that is none is passed over, as it would be of no use to its owner either.
    pub(super) fn parse(text: &str) -> Self {
        let mut ini = Ini::default();
        let mut path: Vec<&str> = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let line = line.trim_start_matches('\u{feff}').trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some((depth, name)) = section(line) {
                path.truncate(depth - 1);
                path.push(name);
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = match quotes(value.trim()) {
                Some((quote, begin)) => long(begin, quote, &mut lines),
                None => value.trim().to_owned(),
            };
            let section = ini.sections.entry(path.join("\n")).or_default();
            section.insert(unquoted(key).to_owned(), value);
        }
        ini
    }

    /// A value as it stands there, of the section with this path.
    fn raw(&self, path: &[&str], key: &str) -> Option<&str> {
        self.sections.get(&path.join("\n"))?.get(key).map(String::as_str)
    }

    /// A text; none if it is empty, or Python's `None`.
    pub(super) fn text(&self, path: &[&str], key: &str) -> Option<String> {
        let text = unquoted(without_comment(self.raw(path, key)?));
        (!text.is_empty() && text != "None").then(|| text.to_owned())
    }

    /// A list; one value is a list of one.
    pub(super) fn list(&self, path: &[&str], key: &str) -> Vec<String> {
        let Some(raw) = self.raw(path, key) else { return Vec::new() };
        let parts = split(without_comment(raw)).into_iter().map(unquoted);
        parts.filter(|part| !part.is_empty() && *part != "None").map(str::to_owned).collect()
    }

    /// Whether it says yes.
    pub(super) fn flag(&self, path: &[&str], key: &str) -> bool {
        self.text(path, key).is_some_and(|text| matches!(text.as_str(), "True" | "true" | "yes" | "on" | "1"))
    }

    /// Keys and values of a section.
    pub(super) fn section(&self, path: &[&str]) -> impl Iterator<Item = (&str, &str)> {
        let section = self.sections.get(&path.join("\n")).into_iter().flatten();
        section.map(|(key, value)| (key.as_str(), unquoted(without_comment(value))))
    }
}

/// Depth and name of a section's head.
fn section(line: &str) -> Option<(usize, &str)> {
    let depth = line.bytes().take_while(|byte| *byte == b'[').count();
    let name = line.get(depth..)?.split(']').next()?;
    (depth > 0).then(|| (depth, unquoted(name)))
}

/// Three quotes in front, and what comes after them.
fn quotes(value: &str) -> Option<(&'static str, &str)> {
    ["\"\"\"", "'''"].into_iter().find_map(|quote| Some((quote, value.strip_prefix(quote)?)))
}

fn long<'a>(begin: &str, quote: &str, lines: &mut impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut rest = begin;
    loop {
        if let Some((end, _)) = rest.split_once(quote) {
            text.push_str(end);
            // Quoted, so that what is in it is not taken for a comment.
            return if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") };
        }
        text.push_str(rest);
        let Some(next) = lines.next() else { return text };
        text.push('\n');
        rest = next;
    }
}

/// The value without a comment behind it; `#` in quotes begins none.
fn without_comment(value: &str) -> &str {
    let mut open = None;
    for (at, character) in value.char_indices() {
        match (open, character) {
            (None, '#') => return value[..at].trim_end(),
            (None, '"' | '\'') => open = Some(character),
            (Some(quote), _) if quote == character => open = None,
            _ => {}
        }
    }
    value
}

/// The parts between commas; those in quotes part nothing.
fn split(value: &str) -> Vec<&str> {
    let (mut parts, mut open, mut begin) = (Vec::new(), None, 0);
    for (at, character) in value.char_indices() {
        match (open, character) {
            (None, ',') => {
                parts.push(&value[begin..at]);
                begin = at + 1;
            }
            (None, '"' | '\'') => open = Some(character),
            (Some(quote), _) if quote == character => open = None,
            _ => {}
        }
    }
    parts.push(&value[begin..]);
    parts
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let within = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_configobj_writes_is_read() {
        let ini = Ini::parse(
            "# a comment\nversion = 2.1.0\n[renewalparams]\nserver = https://ca.example/dir#1 # why\n\
             pref_challs = dns-01,\nwebroot_path = /var/www, \"/srv/a, b\"\nreuse_key = True\nhook = \"a # b\"\n\
             empty = \nnothing = None\nlong = '''one\n\"two\" # three'''\n[[webroot_map]]\nexample.com = /srv\n\
             [other]\nkey=value\n",
        );
        let text = |key| ini.text(&["renewalparams"], key);
        assert_eq!(ini.text(&[], "version").as_deref(), Some("2.1.0"));
        assert_eq!(text("server").as_deref(), Some("https://ca.example/dir"));
        assert_eq!(text("hook").as_deref(), Some("a # b"));
        assert_eq!(text("long").as_deref(), Some("one\n\"two\" # three"));
        assert_eq!((text("empty"), text("nothing")), (None, None));
        assert_eq!(ini.list(&["renewalparams"], "pref_challs"), ["dns-01"]);
        assert_eq!(ini.list(&["renewalparams"], "webroot_path"), ["/var/www", "/srv/a, b"]);
        assert!(ini.flag(&["renewalparams"], "reuse_key"));
        let map: Vec<_> = ini.section(&["renewalparams", "webroot_map"]).collect();
        assert_eq!(map, [("example.com", "/srv")]);
        assert_eq!(ini.text(&["other"], "key").as_deref(), Some("value"));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[\\[\\]='\"#,a-z\\n ]{0,200}") {
            let ini = Ini::parse(&text);
            for (path, section) in &ini.sections {
                let path: Vec<&str> = path.split('\n').filter(|part| !part.is_empty()).collect();
                for key in section.keys() {
                    let _ = (ini.text(&path, key), ini.list(&path, key), ini.flag(&path, key));
                }
            }
        }
    }
}
