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
    let mut reply = request.send().await.map_err(|error| failed(innermost(&error)))?;
    if !reply.status().is_success() {
        return Err(failed(format!("status {}", reply.status())));
    }
    let mut body = Vec::new();
    // Chunk by chunk: not every answer says how long it is.
    while let Some(chunk) = reply.chunk().await.map_err(|error| failed(innermost(&error)))? {
        if body.len() + chunk.len() > LONGEST {
            return Err(failed("the answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Message::from_vec(&body).map_err(|error| failed(format!("its answer is no DNS: {error}")))
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::RecordType;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::dns::exchange::{absolute, question};

    #[tokio::test]
    async fn an_answer_without_end_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/dns-query", listener.local_addr().unwrap()).parse().unwrap();
        let endless = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
            let chunk = [b"1000\r\n".as_slice(), &[0; 0x1000], b"\r\n"].concat();
            // Ends when the other side has had enough.
            while stream.write_all(&chunk).await.is_ok() {}
        });
        let query = question(&absolute("a.example").unwrap(), RecordType::TXT, true);
        let error = ask_https(&crate::network::http_client(None).unwrap(), &url, query).await.unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
        endless.await.unwrap();
    }
}
