//! The control endpoint: what a test in another process does to a simulator.

use std::net::SocketAddr;

use hyper::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::listener::{Error, listen, respond, serve};

/// Answers JSON over plain HTTP, for as long as the task in `tasks` lives, where an address is given; gives the one that it
/// became. `answer` gets method, path and body, and gives status and document.
///
/// # Errors
/// The address cannot be listened at.
pub async fn start_control<F>(
    tasks: &mut JoinSet<()>,
    address: Option<SocketAddr>,
    answer: F,
) -> Result<Option<SocketAddr>, Error>
where
    F: Fn(&Method, &str, &[u8]) -> (u16, Value) + Clone + Send + Sync + 'static,
{
    let Some(address) = address else { return Ok(None) };
    let (listener, address) = listen(address).await?;
    tasks.spawn(serve_control(listener, answer));
    Ok(Some(address))
}

/// What a control answers that changes something with the JSON in a body: 200, or 400 with what is wrong.
pub fn apply<T: DeserializeOwned>(body: &[u8], change: impl FnOnce(T)) -> (u16, Value) {
    match serde_json::from_slice(body) {
        Ok(new) => {
            change(new);
            (200, json!({"done": true}))
        }
        Err(error) => (400, json!({"error": error.to_string()})),
    }
}

async fn serve_control<F>(listener: TcpListener, answer: F)
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
