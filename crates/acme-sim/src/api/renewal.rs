//! Renewal information (RFC 9773).

use serde_json::json;

use super::{Reply, World, mix_in};
use crate::problem::Problem;

impl World {
    pub(super) fn renewal_info(&self, id: &str) -> Result<Reply, Problem> {
        let certificate = self.certificates.iter().find(|certificate| certificate.renewal_id == id);
        let window = certificate.ok_or_else(|| Problem::not_found("certificate"))?.renewal_window();
        let mut document = json!({
            "suggestedWindow": {"start": window.start.to_string(), "end": window.end.to_string()},
        });
        if let Some(explanation) = window.explanation {
            document["explanationURL"] = explanation.into();
        }
        let document = mix_in(self.behaviour.unknown_things, document);
        Ok(Reply::json(200, &document).retry_after(self.behaviour.renewal_retry_after))
    }
}
