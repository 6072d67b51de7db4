//! The issued certificate (RFC 8555 §7.4.2) and where its other chains are.

use http::HeaderMap;
use url::Url;

/// A certificate with its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// The chain as PEM (RFC 8555 §9.1), the certificate itself first.
    pub pem_chain: String,
    /// Where other chains for it are (`Link: rel="alternate"`).
    pub alternates: Vec<Url>,
}

/// The largest number of chains of one certificate.
pub(crate) const MAX_CHAINS: usize = 10;
/// The longest `Link` header that is looked at, in bytes; longer ones are cut.
const MAX_HEADER: usize = 16 * 1024;
/// The largest number of links that are taken.
const MAX_LINKS: usize = 100;

/// URLs of the links with the relation `relation` (RFC 8288 §3), resolved against `base`. Those that are not `https`
/// are none.
pub(crate) fn links(headers: &HeaderMap, relation: &str, base: &Url) -> Vec<Url> {
    let texts = headers.get_all(http::header::LINK).iter().filter_map(|value| value.to_str().ok());
    // `to_str` lets only ASCII pass, so any index is a boundary.
    let texts = texts.take(MAX_LINKS).map(|text| &text[..text.len().min(MAX_HEADER)]);
    let targets = texts.flat_map(|text| parse_links(text, relation));
    let urls = targets.filter_map(|target| base.join(&target).ok());
    urls.filter(|url| url.scheme() == "https").take(MAX_LINKS).collect()
}

/// A header may hold several links, separated by commas; commas and semicolons may stand in targets and in quotes.
fn parse_links(text: &str, relation: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find('<') {
        let Some(length) = rest[begin + 1..].find('>') else { break };
        let target = &rest[begin + 1..begin + 1 + length];
        rest = &rest[begin + length + 2..];
        let end = parameters_end(rest);
        let has_relation = rest[..end].split(';').any(|parameter| {
            let Some((name, value)) = parameter.split_once('=') else { return false };
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(relation))
        });
        if has_relation {
            found.push(target.trim().to_owned());
        }
        rest = &rest[end..];
    }
    found
}

/// Where the parameters of a link end: at the first comma outside quotes.
fn parameters_end(text: &str) -> usize {
    let mut quoted = false;
    for (index, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => return index,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_told_apart_by_their_relation() {
        let text = r#"<https://ca/dir>;rel="index", <https://ca/c/1,2;x>; title="a, b"; rel="up alternate",<c/2>;rel=alternate"#;
        assert_eq!(parse_links(text, "alternate"), ["https://ca/c/1,2;x", "c/2"]);
        assert_eq!(parse_links(text, "index"), ["https://ca/dir"]);
        assert_eq!(parse_links("<", "alternate"), Vec::<String>::new());
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_a_panic(text in "[<>;,=\"a-z é]{0,60}") {
            let _ = parse_links(&text, "alternate");
        }
    }
}
