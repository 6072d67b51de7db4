//! What Gandi says when it refuses: one type for all the shapes in which it does.

use std::fmt;

use reqwest::StatusCode;
use serde_json::Value;

/// Longest piece of a body that is kept for a message, in characters.
const EXCERPT: usize = 200;

/// The largest number of items of `errors` that are kept.
const MAX_ERRORS: usize = 100;

/// A request that was not granted, with Gandi's own words.
///
/// The gateway and the backend write different JSON (compact or spaced, members in any order, some missing),
/// and what stands before them may answer with HTML, so every member may be absent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Method and path, such as `GET /domains/example.com`.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The member `code`; not sent with every refusal.
    pub code: Option<i64>,
    /// The member `message`.
    pub message: Option<String>,
    /// The member `object`, such as `HTTPForbidden` or `dns-record`.
    pub object: Option<String>,
    /// The member `cause`.
    pub cause: Option<String>,
    /// The members of `errors`, for input that was refused.
    pub errors: Vec<FieldError>,
    /// The beginning of the body when it is not such JSON.
    pub excerpt: Option<String>,
}

/// One item of `errors` in a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// Where, such as `body`.
    pub location: Option<String>,
    /// Of what, such as `rrset_ttl`.
    pub name: Option<String>,
    /// What is wrong.
    pub description: Option<String>,
}

/// The kinds of 404, which mean very different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotFoundKind {
    /// `object` is `dns-record`: the zone is there, the rrset is not.
    Record,
    /// `object` is `HTTPNotFound`: no zone, or one of another account, or one outside a limited token.
    NotFound,
    /// `object` is `LocalizedHTTPNotFound`: registered, but not on LiveDNS or not visible.
    UnknownDomain,
    /// `cause` is `Unknown` and `object` is missing: seen for a zone of another organisation when no sharing id
    /// was given.
    OtherOrganization,
    /// None of these.
    Other,
}

impl Refusal {
    pub(crate) fn read(request: String, status: StatusCode, body: &[u8]) -> Self {
        let json = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
        let text = |name: &str| {
            let value = json.as_ref()?.get(name)?.as_str()?;
            (!value.is_empty()).then(|| value.to_owned())
        };
        let mut refusal = Self {
            request,
            status: status.as_u16(),
            code: json.as_ref().and_then(|json| json.get("code")).and_then(Value::as_i64),
            message: text("message"),
            object: text("object"),
            cause: text("cause"),
            errors: json.as_ref().and_then(|json| json.get("errors")).map(field_errors).unwrap_or_default(),
            excerpt: None,
        };
        if refusal.message.is_none() && refusal.errors.is_empty() {
            refusal.excerpt = excerpt(body);
        }
        refusal
    }

    /// Which 404 it is, by the typed members and never by the text.
    #[must_use]
    pub fn not_found_kind(&self) -> NotFoundKind {
        match (self.object.as_deref(), self.cause.as_deref()) {
            (Some("dns-record"), _) => NotFoundKind::Record,
            (Some("HTTPNotFound"), _) => NotFoundKind::NotFound,
            (Some("LocalizedHTTPNotFound"), _) => NotFoundKind::UnknownDomain,
            (None, Some("Unknown")) => NotFoundKind::OtherOrganization,
            _ => NotFoundKind::Other,
        }
    }
}

/// Whether a 2xx answer says `"status":"error"` all the same.
pub(crate) fn says_error(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body)
        .is_ok_and(|json| json.get("status").and_then(Value::as_str) == Some("error"))
}

/// The beginning of a body as one line of printable characters; `None` when there is nothing to show.
pub(crate) fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(8 * EXCERPT)]);
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(EXCERPT).collect();
    (!cut.is_empty()).then_some(cut)
}

fn field_errors(errors: &Value) -> Vec<FieldError> {
    let Some(items) = errors.as_array() else { return Vec::new() };
    items
        .iter()
        .take(MAX_ERRORS)
        .map(|item| {
            let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned);
            match item.as_str() {
                Some(description) => {
                    FieldError { description: Some(description.to_owned()), ..FieldError::default() }
                }
                None => FieldError {
                    location: text("location"),
                    name: text("name"),
                    description: text("description"),
                },
            }
        })
        .collect()
}

/// Gandi's words, for the end of a sentence: `400 rrset_ttl: too small`, or `502 (Bad Gateway ...)`.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(message) = &self.message {
            write!(f, " {}", one_line(message))?;
        }
        for (position, error) in self.errors.iter().enumerate() {
            f.write_str(if position == 0 { " " } else { "; " })?;
            if let Some(name) = &error.name {
                write!(f, "{}: ", one_line(name))?;
            }
            f.write_str(&one_line(error.description.as_deref().unwrap_or("refused")))?;
        }
        match &self.excerpt {
            Some(excerpt) => write!(f, " ({excerpt})"),
            None => Ok(()),
        }
    }
}

/// Text from the network that goes to a terminal or a log: no control characters, no endless length.
fn one_line(text: &str) -> String {
    excerpt(text.as_bytes()).unwrap_or_default()
}

impl fmt::Display for NotFoundKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "no such record",
            Self::NotFound => "no zone, or not visible to this credential",
            Self::UnknownDomain => "registered, but not on LiveDNS",
            Self::OtherOrganization => "unknown here, perhaps a zone of another organisation",
            Self::Other => "not found",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Refusal {
        Refusal::read("GET /domains/x".into(), StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    #[test]
    fn the_401_without_a_code() {
        let refusal = read(
            401,
            r#"{"message":"You must provide an access token or an API Key. See https://api.gandi.net/docs/authentication/"}"#,
        );
        assert_eq!(
            refusal.message.as_deref(),
            Some(
                "You must provide an access token or an API Key. See https://api.gandi.net/docs/authentication/"
            )
        );
        assert_eq!(
            (refusal.code, &refusal.object, &refusal.cause, &refusal.excerpt),
            (None, &None, &None, &None)
        );
    }

    #[test]
    fn the_401_of_a_wrong_key_spaced_and_compact() {
        let spaced = read(
            401,
            r#"{"code": 401, "message": "The server could not verify that you authorized to access the document you requested. Either you supplied the wrong credentials (e.g., bad api key), or your access token has expired", "object": "HTTPUnauthorized", "cause": "Unauthorized"}"#,
        );
        let compact = read(
            401,
            r#"{"code":401,"message":"The server could not verify that you authorized to access the document you requested. Either you supplied the wrong credentials (e.g., bad api key), or your access token has expired","object":"HTTPUnauthorized","cause":"Unauthorized"}"#,
        );
        assert_eq!(spaced, compact);
        assert_eq!(spaced.object.as_deref(), Some("HTTPUnauthorized"));
        assert_eq!(spaced.code, Some(401));
    }

    #[test]
    fn the_403_in_any_member_order() {
        let one = read(
            403,
            r#"{"code":403,"message":"Access was denied to this resource.","object":"HTTPForbidden","cause":"Forbidden"}"#,
        );
        let other = read(
            403,
            r#"{"object": "HTTPForbidden", "cause": "Forbidden", "code": 403, "message": "Access was denied to this resource."}"#,
        );
        assert_eq!(one, other);
        assert_eq!(one.to_string(), "403 Access was denied to this resource.");
    }

    #[test]
    fn the_kinds_of_404() {
        let kind = |body| read(404, body).not_found_kind();
        assert_eq!(
            kind(
                r#"{"code": 404, "message": "The resource could not be found.", "object": "HTTPNotFound", "cause": "Not Found"}"#
            ),
            NotFoundKind::NotFound
        );
        assert_eq!(
            kind(
                r#"{"code": 404, "message": "Unknown domain", "object": "LocalizedHTTPNotFound", "cause": "Not Found"}"#
            ),
            NotFoundKind::UnknownDomain
        );
        assert_eq!(
            kind(r#"{"code":404,"cause":"Unknown","message":"The resource does not exist"}"#),
            NotFoundKind::OtherOrganization
        );
        assert_eq!(
            kind(
                r#"{"code": 404, "message": "Can't find the DNS record n/t in the zone", "object": "dns-record", "cause": "Not Found"}"#
            ),
            NotFoundKind::Record
        );
        // The words alone prove nothing.
        assert_eq!(kind(r#"{"message": "Can't find the DNS record n/t in the zone"}"#), NotFoundKind::Other);
        assert_eq!(kind("<html>Not Found</html>"), NotFoundKind::Other);
        assert_eq!(kind(""), NotFoundKind::Other);
    }

    #[test]
    fn validation_errors_of_both_shapes() {
        let new = read(
            400,
            r#"{"status":"error","errors":[{"location":"body","name":"rrset_ttl","description":"299 is less than minimum value 300"}]}"#,
        );
        assert_eq!(new.errors[0].location.as_deref(), Some("body"));
        assert_eq!(new.to_string(), "400 rrset_ttl: 299 is less than minimum value 300");
        let old = read(
            400,
            r#"{"code":400,"message":"Bad","object":"HTTPBadRequest","cause":"Bad Request","errors":[{"location":"body","name":"a","description":"b"},"c"]}"#,
        );
        assert_eq!(old.to_string(), "400 Bad a: b; c");
    }

    #[test]
    fn a_body_that_is_not_json_is_shown_in_part_and_on_one_line() {
        let refusal = read(403, "<html>\r\n<body>\u{1b}[31mBlocked</body>");
        assert_eq!(refusal.excerpt.as_deref(), Some("<html> <body> [31mBlocked</body>"));
        assert_eq!(read(502, &"ä".repeat(5000)).excerpt.unwrap().chars().count(), EXCERPT);
        assert_eq!(read(400, "").to_string(), "400");
        assert_eq!(read(400, "[1]").excerpt.as_deref(), Some("[1]"));
    }

    #[test]
    fn control_characters_in_a_message_are_not_shown() {
        assert_eq!(read(400, "{\"message\":\"a\\u001b[2Jb\\n c\"}").to_string(), "400 a [2Jb c");
    }

    #[test]
    fn an_error_in_a_2xx_is_seen() {
        assert!(says_error(br#"{"errors":[], "status" : "error"}"#));
        assert!(!says_error(br#"{"message":"DNS Record Created"}"#));
        assert!(!says_error(b""));
    }

    proptest::proptest! {
        #[test]
        fn no_body_is_too_odd(status in 300u16..600, body in proptest::collection::vec(0u8.., 0..400)) {
            let refusal = Refusal::read("r".into(), StatusCode::from_u16(status).unwrap(), &body);
            proptest::prop_assert!(!refusal.to_string().chars().any(char::is_control));
        }
    }

    #[test]
    fn an_endless_list_of_errors_is_cut() {
        let body = serde_json::json!({"errors": vec!["no"; 5000]}).to_string();
        let refusal = read(400, &body);
        assert_eq!(refusal.errors.len(), MAX_ERRORS);
        assert!(refusal.to_string().len() < 1000);
    }
}
