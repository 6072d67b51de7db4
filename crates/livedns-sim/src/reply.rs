//! Answers of the API, in all the shapes that were seen.

use base64::Engine;
use serde_json::{Value, json};

use crate::api::record_href;
use crate::behaviour::Json;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Reply {
            status,
            headers: vec![("content-type", "application/json; charset=utf-8".into())],
            body: value.to_string(),
        }
    }

    pub(crate) fn no_credential() -> Self {
        let message =
            "You must provide an access token or an API Key. See https://api.gandi.net/docs/authentication/";
        Reply::json(401, &json!({"message": message}))
    }

    /// An error of the backend.
    pub(crate) fn error(status: u16, object: &str, cause: &str, message: &str) -> Self {
        let document = json!({"code": status, "message": message, "object": object, "cause": cause});
        let headers = vec![("content-type", "application/json; charset=UTF-8".to_owned())];
        Reply { status, headers, body: document.to_string() }
    }

    /// Something is broken inside, in Gandi's words.
    pub(crate) fn broken() -> Self {
        let words = "The server has either erred or is incapable of performing the requested operation.";
        Reply::error(500, "HTTPInternalServerError", "Internal Server Error", words)
    }

    pub(crate) fn not_found() -> Self {
        Reply::error(404, "HTTPNotFound", "Not Found", "The resource could not be found.")
    }

    pub(crate) fn not_allowed() -> Self {
        let words = "The method is not allowed for this resource.";
        Reply::error(405, "HTTPMethodNotAllowed", "Method Not Allowed", words)
    }

    pub(crate) fn other_organisation() -> Self {
        Reply::json(404, &json!({"code": 404, "cause": "Unknown", "message": "The resource does not exist"}))
    }

    pub(crate) fn invalid(field: &str, description: &str) -> Self {
        let error = json!({"location": "body", "name": field, "description": description});
        Reply::json(400, &json!({"status": "error", "errors": [error]}))
    }

    pub(crate) fn no_record(name: &str, kind: &str) -> Self {
        Reply::error(
            404,
            "dns-record",
            "Not Found",
            &format!("Can't find the DNS record {name}/{kind} in the zone"),
        )
    }

    pub(crate) fn created(zone: &str, name: &str, kind: &str) -> Self {
        let mut reply = Reply::json(201, &json!({"message": "DNS Record Created"}));
        reply.headers.push(("location", record_href(zone, name, kind)));
        reply
    }

    /// With its JSON written in this form, and, on a success, with a weak tag of the body as web frameworks make it. That
    /// is no version of anything, and `If-Match` is not looked at.
    pub(crate) fn finished(mut self, form: Json) -> Self {
        if let Ok(document) = serde_json::from_str::<Value>(&self.body) {
            let spaced = match form {
                Json::Compact => false,
                Json::Spaced => true,
                Json::Mixed => fastrand::bool(),
            };
            self.body = written(&document, spaced, form == Json::Mixed);
        }
        if matches!(self.status, 200 | 201) {
            let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, self.body.as_bytes());
            let hash = base64::engine::general_purpose::STANDARD_NO_PAD.encode(digest);
            self.headers.push(("etag", format!("W/\"{:x}-{hash}\"", self.body.len())));
        }
        self
    }
}

/// JSON with or without spaces, its members in order or in any. Whoever matches text, loses.
fn written(value: &Value, spaced: bool, shuffled: bool) -> String {
    let (colon, comma) = if spaced { (": ", ", ") } else { (":", ",") };
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            if shuffled {
                fastrand::shuffle(&mut members);
            }
            let member = |(name, value): (&String, &Value)| {
                format!("{}{colon}{}", json!(name), written(value, spaced, shuffled))
            };
            format!("{{{}}}", members.into_iter().map(member).collect::<Vec<_>>().join(comma))
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| written(item, spaced, shuffled));
            format!("[{}]", items.collect::<Vec<_>>().join(comma))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_the_one_that_was_recorded() {
        let reply = Reply::created("example.com", "@", "TXT").finished(Json::Compact);
        let header = |wanted| reply.headers.iter().find(|(name, _)| *name == wanted).unwrap().1.as_str();
        assert_eq!(header("etag"), r#"W/"20-8GzTjxqNVdrkc6ay0Gf8zJRLVdc""#);
        assert!(header("location").ends_with("/records/%40/TXT"), "{}", header("location"));
    }

    #[test]
    fn json_comes_compact_spaced_and_in_any_order() {
        let written = |form| Reply::not_found().finished(form).body;
        assert!(written(Json::Compact).starts_with(r#"{"cause":"Not Found","code":404,"#));
        assert!(written(Json::Spaced).starts_with(r#"{"cause": "Not Found", "code": 404, "#));
        let all: std::collections::BTreeSet<_> = (0..200).map(|_| written(Json::Mixed)).collect();
        assert!(all.len() > 10);
        assert!(all.iter().all(|text| serde_json::from_str::<Value>(text).unwrap()["code"] == 404));
    }
}
