//! The control endpoint: what a test in another process does to a simulator.

use hyper::Method;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::listener::{respond, serve};

/// Answers JSON over plain HTTP, for as long as the task lives; `answer` gets method, path and body, and gives status
/// and document.
pub async fn serve_control<F>(listener: TcpListener, answer: F)
where
    F: Fn(&Method, &str, &[u8]) -> (u16, Value) + Clone + Send + Sync + 'static,
{
    let json = |(status, document): (u16, Value)| {
        let headers = vec![("content-type", "application/json".to_owned())];
        respond(status, headers, document.to_string() + "\n")
    };
    serve(listener, None, move |request, _| {
        let answer = answer.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.read().await?;
            Ok(json(answer(&parts.method, parts.uri.path(), &body)))
        }
    })
    .await;
}
