//! TXT values as LiveDNS writes them, and the arithmetic on lists of them.
//!
//! LiveDNS returns a TXT value in double quotes, a long one as several quoted chunks of up to 255 bytes in one
//! string, with `\"` and `\\` inside the quotes. It takes quoted and unquoted values. Values are therefore
//! compared by their text, and what others wrote is sent back byte for byte as it was read.

use std::collections::HashSet;

/// Longest chunk of a TXT value in bytes (RFC 1035, section 3.3: a character-string).
const CHUNK: usize = 255;

/// Longest value in its sent form, in characters: the limit that the LiveDNS documentation gives.
const LONGEST_SENT: usize = 16_384;

/// The text of a value as LiveDNS returned it: quotes stripped, chunks joined, `\"` and `\\` unescaped. Any
/// other use of a backslash is left alone, since its meaning is not documented. A value that is not well
/// quoted is its own text.
#[must_use]
pub fn unquote(raw: &str) -> String {
    chunks(raw).concat()
}

/// The quoted form in which a text is sent, split into chunks of 255 bytes. `None` for a text that LiveDNS
/// cannot hold: empty, not printable ASCII, or longer than 16384 characters when quoted.
#[must_use]
pub fn quote(text: &str) -> Option<String> {
    if text.is_empty() || !text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        return None;
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for (position, character) in text.chars().enumerate() {
        if position > 0 && position % CHUNK == 0 {
            quoted.push_str("\" \"");
        }
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    (quoted.len() <= LONGEST_SENT).then_some(quoted)
}

/// Whether two values, quoted or not, have the same text. Letter case counts.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    unquote(a) == unquote(b)
}

/// `existing`, as read, followed by those of `texts` that are not in it, quoted. Repetitions in `existing` are
/// dropped, because LiveDNS may refuse a list that has any.
pub(crate) fn merged(existing: &[String], texts: &[String]) -> Vec<String> {
    // By chunks, not by text: two values of others that differ in their chunks only are not ours to unite. By a set,
    // since an answer of LiveDNS has room for a million values.
    let mut kept = HashSet::with_capacity(existing.len());
    let mut list: Vec<String> = existing.iter().filter(|raw| kept.insert(chunks(raw))).cloned().collect();
    for text in missing(existing, texts) {
        if !list.iter().any(|kept| unquote(kept) == *text) {
            list.extend(quote(text));
        }
    }
    list
}

/// `existing` without the values whose text is one of `texts`; the rest as read.
pub(crate) fn without(existing: &[String], texts: &[String]) -> Vec<String> {
    let foreign: Vec<String> =
        existing.iter().filter(|raw| !texts.contains(&unquote(raw))).cloned().collect();
    merged(&foreign, &[])
}

/// Those of `texts` that no value of `existing` has.
pub(crate) fn missing<'a>(existing: &[String], texts: &'a [String]) -> Vec<&'a String> {
    let present: Vec<String> = existing.iter().map(|raw| unquote(raw)).collect();
    texts.iter().filter(|text| !present.contains(text)).collect()
}

fn chunks(raw: &str) -> Vec<String> {
    quoted_chunks(raw).unwrap_or_else(|| vec![raw.to_owned()])
}

/// `None` unless the whole of `raw` is one or more quoted chunks, with nothing but spaces around them.
fn quoted_chunks(raw: &str) -> Option<Vec<String>> {
    let mut chunks = Vec::new();
    let mut rest = raw.trim_matches(' ');
    while !rest.is_empty() {
        let (chunk, after) = quoted_chunk(rest)?;
        chunks.push(chunk);
        rest = after.trim_start_matches(' ');
    }
    (!chunks.is_empty()).then_some(chunks)
}

fn quoted_chunk(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut chunk = String::new();
    let mut characters = inner.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((chunk, &inner[at + 1..])),
            '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                Some((_, escaped)) => chunk.push(escaped),
                None => chunk.push('\\'),
            },
            other => chunk.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_gandi_returns_is_read() {
        assert_eq!(unquote("\"challengetoken\""), "challengetoken");
        assert_eq!(unquote("challengetoken"), "challengetoken");
        assert_eq!(unquote("\"ab\" \"c d\""), "abc d");
        assert_eq!(unquote("\"ab\"\"c\""), "abc");
        assert_eq!(unquote(r#""a\"b\\c""#), r#"a"b\c"#);
        assert_eq!(unquote(r#""v=DKIM1\; p=1\000""#), r"v=DKIM1\; p=1\000");
        assert_eq!(unquote("\"\""), "");
    }

    #[test]
    fn what_is_not_well_quoted_is_its_own_text() {
        for text in ["\"", "\"a", "a\"", "\"a\" b", "\"a\\\"", "a b", ""] {
            assert_eq!(unquote(text), text);
        }
    }

    #[test]
    fn comparison_sees_the_text_and_its_case() {
        assert!(same("\"abc\"", "abc"));
        assert!(same("\"ab\" \"c\"", "\"abc\""));
        assert!(!same("\"abc\"", "\"Abc\""));
    }

    #[test]
    fn a_long_text_is_chunked() {
        let text = "x".repeat(600);
        let sent = quote(&text).unwrap();
        assert_eq!(chunks(&sent).iter().map(String::len).collect::<Vec<_>>(), [255, 255, 90]);
        assert_eq!(unquote(&sent), text);
    }

    #[test]
    fn a_text_that_livedns_cannot_hold_is_refused() {
        for text in ["", "a\nb", "ä", "\u{7f}"] {
            assert_eq!(quote(text), None, "{text:?}");
        }
        assert_eq!(quote(&"x".repeat(16_384)), None);
        assert!(quote(&"x".repeat(16_000)).is_some());
    }

    #[test]
    fn repetitions_are_not_sent_again() {
        let existing = ["\"a\"".to_owned(), "a".to_owned(), "\"ab\" \"c\"".to_owned(), "\"abc\"".to_owned()];
        let texts = ["a".to_owned(), "n".to_owned(), "n".to_owned()];
        assert_eq!(merged(&existing, &texts), ["\"a\"", "\"ab\" \"c\"", "\"abc\"", "\"n\""]);
    }

    #[test]
    fn an_endless_list_is_merged_in_one_pass() {
        // Comparing each value with each other would take minutes.
        let existing: Vec<String> = (0..60_000).map(|number| format!("\"{number}\"")).collect();
        assert_eq!(merged(&existing, &["new".to_owned()]).len(), existing.len() + 1);
        assert_eq!(without(&existing, &["7".to_owned()]).len(), existing.len() - 1);
    }

    /// Few and awkward characters, so that equal values, escapes and half quotes do come up.
    fn raw() -> impl Strategy<Value = String> {
        prop_oneof!["[ab\"\\\\ ]{0,6}", "\"[ab ]{0,4}\"", "[a-z]{1,3}", "\"[ab]{1,2}\" \"[ab]{1,2}\""]
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]{1,3}", "[ -~]{1,40}", "[a\"\\\\]{250,600}"]
    }

    proptest! {
        #[test]
        fn quoting_goes_round(text in text()) {
            prop_assert_eq!(unquote(&quote(&text).unwrap()), text);
        }

        #[test]
        fn merging_keeps_every_other_value_as_it_is(
            existing in prop::collection::vec(raw(), 0..6),
            texts in prop::collection::vec(text(), 0..4),
        ) {
            let result = merged(&existing, &texts);
            for value in &existing {
                prop_assert!(result.iter().any(|kept| kept == value || chunks(kept) == chunks(value)));
            }
            for kept in &result {
                prop_assert!(existing.contains(kept) || texts.contains(&unquote(kept)));
            }
            prop_assert!(missing(&result, &texts).is_empty());
            for (position, value) in result.iter().enumerate() {
                prop_assert!(!result[..position].iter().any(|before| chunks(before) == chunks(value)));
            }
            prop_assert_eq!(&merged(&result, &texts), &result, "merging twice changes nothing");
        }

        #[test]
        fn removing_what_was_added_gives_back_what_was_there(
            existing in prop::collection::vec(raw(), 0..6),
            texts in prop::collection::vec(text(), 0..4),
        ) {
            let before = merged(&existing, &[]);
            let new: Vec<String> = missing(&before, &texts).into_iter().cloned().collect();
            prop_assert_eq!(without(&merged(&before, &new), &new), before);
        }
    }
}
