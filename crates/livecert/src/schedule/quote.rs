//! How texts are written into unit files, so that systemd reads them back as they are (systemd.syntax(7),
//! systemd.service(5), "Command lines").

use std::path::Path;

/// A text that no unit file can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be written into a unit file: it holds line breaks, other control characters or bytes that are no UTF-8, or ends in a space or backslash"
)]
pub struct QuoteError(String);

/// A word of a list or a command line. Behind the prefix ':' of a command, where `$` has no meaning.
pub(super) fn word(text: &str) -> Result<String, QuoteError> {
    if text.chars().any(char::is_control) {
        return Err(QuoteError(text.to_owned()));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@+=:,./-".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return Ok(text.to_owned());
    }
    // Specifiers are resolved after the quotes are off, so this is right in both.
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%")))
}

/// A path as a word.
pub(super) fn path(path: &Path) -> Result<String, QuoteError> {
    word(text(path)?)
}

/// A path as the rest of a line, where quotes are part of it.
pub(super) fn rest(path: &Path) -> Result<String, QuoteError> {
    let text = text(path)?;
    let unfit = text.chars().any(char::is_control) || text.trim() != text || text.ends_with('\\');
    if unfit { Err(QuoteError(text.to_owned())) } else { Ok(text.replace('%', "%%")) }
}

/// A path as text.
pub(super) fn text(path: &Path) -> Result<&str, QuoteError> {
    path.to_str().ok_or_else(|| QuoteError(path.to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The words of a line as systemd takes them: quotes, escapes, then specifiers.
    fn read_back(line: &str) -> Vec<String> {
        let (mut words, mut word, mut begun, mut quote) = (Vec::new(), String::new(), false, None);
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => {
                    word.push(chars.next().unwrap());
                    begun = true;
                }
                (c, Some(open)) if c == open => quote = None,
                ('"' | '\'', None) => (quote, begun) = (Some(c), true),
                (' ' | '\t', None) => {
                    if std::mem::take(&mut begun) {
                        words.push(std::mem::take(&mut word));
                    }
                }
                (c, _) => {
                    word.push(c);
                    begun = true;
                }
            }
        }
        if begun {
            words.push(word);
        }
        words.into_iter().map(|word| specifiers(&word)).collect()
    }

    fn specifiers(text: &str) -> String {
        let mut resolved = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            resolved.push(c);
            if c == '%' {
                assert_eq!(chars.next(), Some('%'), "a specifier in {text}");
            }
        }
        resolved
    }

    proptest! {
        #[test]
        fn words_are_read_back_as_they_were(words in proptest::collection::vec("[ -~äß\\\\\"'%$;]{0,12}", 1..5)) {
            let line = words.iter().map(|text| word(text).unwrap()).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(read_back(&line), words);
        }

        #[test]
        fn the_rest_of_a_line_is_read_back_or_refused(path in "/[ -~ä\\\\\"'%$]{0,12}") {
            match rest(Path::new(&path)) {
                Ok(text) => prop_assert_eq!(specifiers(text.trim()), path),
                Err(_) => prop_assert!(path.ends_with([' ', '\\'])),
            }
        }
    }

    #[test]
    fn what_no_line_can_hold_is_refused() {
        assert!(word("a\nb").is_err() && rest(Path::new("/a\tb")).is_err());
        assert_eq!(word("/usr/bin/livecert").unwrap(), "/usr/bin/livecert");
        assert_eq!(word("a b%").unwrap(), "\"a b%%\"");
        assert_eq!(word("").unwrap(), "\"\"");
    }
}
