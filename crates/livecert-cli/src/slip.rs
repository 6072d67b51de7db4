//! A secret that somebody gave as an argument by mistake: errors name the argument that is wrong, and logs keep what they
//! say. What looks like a token is not repeated.

const HIDDEN: &str = "(not repeated: it looks like a token)";
/// Gandi's API keys have 24 characters, its tokens 40; names of domains and certificates have dots, dashes or no digits.
const SHORTEST: usize = 24;

/// The text without the arguments of this process that look like tokens.
pub(crate) fn hide(text: String) -> String {
    let words = std::env::args_os().skip(1);
    hide_words(text, words.filter_map(|word| word.into_string().ok()))
}

fn hide_words(mut text: String, words: impl Iterator<Item = String>) -> String {
    for word in words {
        for piece in
            word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| looks_like_a_token(piece))
        {
            text = text.replace(piece, HIDDEN);
        }
    }
    text
}

/// The text without anything that looks like a token.
pub(crate) fn hide_tokens(text: &str) -> String {
    replaced(text, |_| HIDDEN.to_owned())
}

/// The text with stars in the places of what looks like a token: as long as before.
pub(crate) fn stars(text: &str) -> String {
    replaced(text, |piece| "*".repeat(piece.len()))
}

fn replaced(text: &str, by: impl Fn(&str) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let is_word = rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        let end = rest.find(|c: char| c.is_ascii_alphanumeric() != is_word).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        shown.push_str(&if looks_like_a_token(piece) { by(piece) } else { piece.to_owned() });
        rest = after;
    }
    shown
}

fn looks_like_a_token(piece: &str) -> bool {
    piece.len() >= SHORTEST
        && piece.bytes().any(|b| b.is_ascii_digit())
        && piece.bytes().any(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hidden_and_names_are_not() {
        let hidden = |text: &str, word: &str| hide_words(text.to_owned(), [word.to_owned()].into_iter());
        let token = "0123456789abcdef0123456789abcdef01234567";
        let said = hidden(&format!("there is no plugin '{token}'"), &format!("--plugin={token}"));
        assert_eq!(said, format!("there is no plugin '{HIDDEN}'"));
        assert_eq!(stars(&format!("a='{token}'")), format!("a='{}'", "*".repeat(40)));
        assert_eq!(hide_tokens(&format!("ü {token}.")), format!("ü {HIDDEN}."));
        for name in ["a-very-long-name-of-a-service-1.example.com", "averylongnamewithoutanynumber", "s3"] {
            assert_eq!(hidden(name, name), name);
        }
    }
}
