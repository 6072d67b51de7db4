//! Fuzz targets: what anybody on the internet may send to the listeners for http-01 and tls-alpn-01.

use std::sync::LazyLock;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

use super::http::{self, Files};
use super::tls_alpn::{self, Certificates};

const LIMIT: Duration = Duration::from_secs(15);

/// Lets `answer` work on a connection on which `input` arrives; gives what it sends.
fn connection<F: Future<Output = ()>>(input: &[u8], answer: impl FnOnce(DuplexStream) -> F) -> Vec<u8> {
    // Waits cost no time: the clock goes on to the next one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else { return Vec::new() };
    runtime.block_on(async {
        let (mut ours, theirs) = tokio::io::duplex(4096);
        let mut sent = Vec::new();
        let client = async {
            let (mut reading, mut writing) = tokio::io::split(&mut ours);
            let write = async {
                // The other side may close before it has read everything.
                let _ = writing.write_all(input).await;
                // A client that stays would be left to the limit of its connection.
                let _ = writing.shutdown().await;
            };
            let _ = tokio::join!(write, reading.read_to_end(&mut sent));
        };
        let end = tokio::time::timeout(4 * LIMIT, async { tokio::join!(answer(theirs), client) }).await;
        assert!(end.is_ok(), "the connection does not end");
        sent
    })
}

pub(crate) fn http(input: &[u8]) {
    let files = Files::default();
    assert!(files.add("token", "token.thumbprint").is_ok());
    let sent = connection(input, |stream| http::answer(stream, files, LIMIT));
    // A request has 16 octets at least, an answer some 200.
    assert!(sent.len() <= 1024 + 16 * input.len(), "{} octets for {}", sent.len(), input.len());
}

pub(crate) fn tls(input: &[u8]) {
    static ACCEPTOR: LazyLock<Option<TlsAcceptor>> = LazyLock::new(|| {
        let certificates = Certificates::default();
        certificates.add("a.example", &[7; 32]).ok()?;
        certificates.acceptor().ok()
    });
    let Some(acceptor) = ACCEPTOR.clone() else { return };
    let sent = connection(input, |stream| tls_alpn::answer(stream, acceptor));
    assert!(sent.len() <= 16 * 1024, "{} octets", sent.len());
}
