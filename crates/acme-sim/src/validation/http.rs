//! http-01 (RFC 8555 §8.3).

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Task;
use crate::problem::Problem;

const LIMIT: Duration = Duration::from_secs(10);
/// A key authorization has far fewer bytes.
const MAX_BODY: usize = 4096;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Redirects are not followed: nothing is asked outside the address that was given.
pub(super) async fn look(task: &Task, server: SocketAddr) -> Result<(), Problem> {
    let (status, body) = match tokio::time::timeout(LIMIT, get(task, server)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(Problem::new(400, "connection", error.to_string())),
        Err(_) => return Err(Problem::new(400, "connection", "no answer in time")),
    };
    let url = format!("http://{}/.well-known/acme-challenge/{}", host(task), task.token);
    if status != 200 {
        return Err(Problem::unauthorized(format!("status {status} at {url}")));
    }
    // RFC 8555 §8.3: white space at the end does no harm.
    if String::from_utf8_lossy(&body).trim_end() != task.key_authorization {
        return Err(Problem::unauthorized(format!("{url} does not have the key authorization")));
    }
    Ok(())
}

fn host(task: &Task) -> String {
    match task.identifier.value.parse() {
        Ok(std::net::IpAddr::V6(address)) => format!("[{address}]"),
        _ => task.identifier.value.clone(),
    }
}

async fn get(task: &Task, server: SocketAddr) -> Result<(u16, Bytes), Failure> {
    let stream = TcpStream::connect(server).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get(format!("/.well-known/acme-challenge/{}", task.token))
        .header("host", host(task))
        .header("user-agent", "acme-sim")
        .header("connection", "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        Ok::<_, Failure>((status, Limited::new(response.into_body(), MAX_BODY).collect().await?.to_bytes()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end once everything has come.
        ended = connection => {
            ended?;
            answer.await
        }
    }
}
