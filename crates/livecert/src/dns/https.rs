//! DNS over HTTPS (RFC 8484), for networks that let no DNS out.

use std::time::Duration;

use hickory_proto::op::Message;
use url::Url;

use super::exchange::DnsError;

/// How long a resolver may take, connection included.
const LIMIT: Duration = Duration::from_secs(5);
const MEDIA_TYPE: &str = "application/dns-message";
/// Longest DNS message.
const LONGEST: usize = 65_535;

/// Asks the resolver at `url`.
pub(super) async fn ask_https(
    http: &reqwest::Client,
    url: &Url,
    mut query: Message,
) -> Result<Message, DnsError> {
    let failed = |reason: String| DnsError::Https { url: url.to_string(), reason };
    // So that equal questions have equal answers in caches (RFC 8484 §4.1).
    query.metadata.id = 0;
    let body = query.to_vec().map_err(|error| failed(error.to_string()))?;
    let request = http
        .post(url.clone())
        .timeout(LIMIT)
        .header("accept", MEDIA_TYPE)
        .header("content-type", MEDIA_TYPE)
        .body(body);
    let reply = request.send().await.map_err(|error| failed(innermost(&error)))?;
    if !reply.status().is_success() {
        return Err(failed(format!("status {}", reply.status())));
    }
    if reply.content_length().is_some_and(|length| length > LONGEST as u64) {
        return Err(failed("the answer is too long".to_owned()));
    }
    let body = reply.bytes().await.map_err(|error| failed(innermost(&error)))?;
    Message::from_vec(&body).map_err(|error| failed(format!("its answer is no DNS: {error}")))
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
