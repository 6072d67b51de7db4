//! Sockets that accept connections until they are stopped.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::plugin::WebError;

/// How long no connection is accepted after one could not be: there are no file descriptors left, most likely.
const BREATH: Duration = Duration::from_millis(20);

/// What one socket bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// The longest life of a connection.
    pub(super) connection_time: Duration,
    /// Connections at a time. One more, and the oldest goes: a CA's takes milliseconds, the old ones mean no good.
    pub(super) connections: usize,
}

/// Sockets at work. Dropped, they close as soon as the runtime finds the time.
#[derive(Debug)]
pub(super) struct Running {
    tasks: Vec<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

impl Running {
    /// Begins to accept. `answer` is given each connection.
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(
        sockets: Vec<std::net::TcpListener>,
        limits: Limits,
        answer: impl Fn(TcpStream) -> F + Clone + Send + 'static,
    ) -> Result<Self, WebError> {
        let mut running = Running { tasks: Vec::new(), addresses: Vec::new() };
        for socket in sockets {
            let address = socket.local_addr().map_err(WebError::PassedSocket)?;
            let listener = TcpListener::from_std(socket);
            let listener = listener.map_err(|source| WebError::Listen { address, source })?;
            tracing::debug!(%address, "listening");
            running.addresses.push(address);
            running.tasks.push(tokio::spawn(accept(listener, limits, answer.clone())));
        }
        Ok(running)
    }

    /// Closes all sockets and connections; when it returns, the ports are free.
    pub(super) async fn stop(mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks.drain(..) {
            // It ends as aborted.
            let _ = task.await;
        }
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    limits: Limits,
    answer: impl Fn(TcpStream) -> F,
) {
    // The set ends its connections with itself.
    let mut connections = JoinSet::new();
    let mut by_age = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        if by_age.len() >= limits.connections {
            by_age.retain(|connection: &tokio::task::AbortHandle| !connection.is_finished());
            if by_age.len() >= limits.connections
                && let Some(oldest) = by_age.pop_front()
            {
                oldest.abort();
            }
        }
        let work = tokio::time::timeout(limits.connection_time, answer(stream));
        by_age.push_back(connections.spawn(async move {
            let _ = work.await;
        }));
    }
}
