//! One question to one server: UDP first, TCP when the answer does not fit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// The answer size that is offered: what passes unfragmented nearly everywhere (DNS flag day 2020).
const UDP_SIZE: u16 = 1232;
/// How long a server may take for one try. Servers across the world answer within 0.3 s.
const TRY_LIMIT: Duration = Duration::from_millis(1500);
/// Datagrams get lost; after this many tries the server is taken to be unreachable for now.
const TRIES: u32 = 2;

/// Why a server gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// Nothing came back in time.
    #[error("{server} does not answer")]
    Timeout {
        /// The server.
        server: SocketAddr,
    },
    /// There is no way to it: no route, or an address family that this machine does not have.
    #[error("{server} cannot be reached from here: {reason}")]
    Unreachable {
        /// The server.
        server: SocketAddr,
        /// The system's reason.
        reason: String,
    },
    /// Its answer is not DNS, or not to our question.
    #[error("{server} sent an answer that is not understood: {reason}")]
    Garbled {
        /// The server.
        server: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
    /// A resolver that is asked over HTTPS gives no answer.
    #[error("{url} gives no answer: {reason}")]
    Https {
        /// The resolver.
        url: String,
        /// Why.
        reason: String,
    },
    /// The name cannot be asked for.
    #[error("'{name}' is not a name that DNS can be asked for: {reason}")]
    Name {
        /// The name.
        name: String,
        /// The reason.
        reason: String,
    },
}

/// Parses an absolute name.
pub(super) fn absolute(name: &str) -> Result<Name, DnsError> {
    let mut parsed = Name::from_ascii(name)
        .map_err(|error| DnsError::Name { name: name.to_owned(), reason: error.to_string() })?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

/// Asks `server` for `name` and `kind`. `recursive` sets RD: for resolvers, not for authoritative servers.
///
/// # Errors
/// No understandable answer; every response code is an answer.
pub async fn ask(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    recursive: bool,
) -> Result<Message, DnsError> {
    exchange(server, question(name, kind, recursive)).await
}

pub(super) async fn exchange(server: SocketAddr, query: Message) -> Result<Message, DnsError> {
    let mut last = DnsError::Timeout { server };
    for _ in 0..TRIES {
        match timeout(TRY_LIMIT, over_udp(server, &query)).await {
            Ok(Ok(answer)) if answer.metadata.truncation => {
                return timeout(2 * TRY_LIMIT, over_tcp(server, &query))
                    .await
                    .unwrap_or(Err(DnsError::Timeout { server }));
            }
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => last = error,
            Err(_) => last = DnsError::Timeout { server },
        }
        if matches!(last, DnsError::Unreachable { .. }) {
            break;
        }
    }
    Err(last)
}

/// A question; `recursive` as for [`ask`].
pub(super) fn question(name: &Name, kind: RecordType, recursive: bool) -> Message {
    let mut id = [0_u8; 2];
    if SystemRandom::new().fill(&mut id).is_err() {
        // A guessable id is better than no question: the port is random too.
        id = fastrand::u16(..).to_be_bytes();
    }
    let mut message = Message::new(u16::from_be_bytes(id), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = recursive;
    message.add_query(Query::query(name.clone(), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_SIZE);
    message.set_edns(edns);
    message
}

async fn over_udp(server: SocketAddr, query: &Message) -> Result<Message, DnsError> {
    let unreachable = |error: std::io::Error| DnsError::Unreachable { server, reason: error.to_string() };
    let local = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((local, 0)).await.map_err(unreachable)?;
    // A connected socket takes datagrams from this server only, and reports a closed port at once.
    socket.connect(server).await.map_err(unreachable)?;
    socket.send(&encode(server, query)?).await.map_err(unreachable)?;
    let mut buffer = vec![0; usize::from(UDP_SIZE)];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(unreachable)?;
        // An answer to somebody else's question is a forgery or a straggler: the right one may still come.
        if let Ok(answer) = Message::from_vec(&buffer[..length])
            && answers(&answer, query)
        {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &Message) -> Result<Message, DnsError> {
    let unreachable = |error: std::io::Error| DnsError::Unreachable { server, reason: error.to_string() };
    let mut stream = TcpStream::connect(server).await.map_err(unreachable)?;
    let bytes = encode(server, query)?;
    let garbled = |reason: &str| DnsError::Garbled { server, reason: reason.to_owned() };
    let length = u16::try_from(bytes.len()).map_err(|_| garbled("the question is too long"))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&bytes);
    stream.write_all(&framed).await.map_err(unreachable)?;
    let length = stream.read_u16().await.map_err(unreachable)?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(unreachable)?;
    let answer = Message::from_vec(&buffer).map_err(|error| garbled(&error.to_string()))?;
    if answers(&answer, query) { Ok(answer) } else { Err(garbled("it answers another question")) }
}

fn encode(server: SocketAddr, query: &Message) -> Result<Vec<u8>, DnsError> {
    query.to_vec().map_err(|error| DnsError::Garbled { server, reason: error.to_string() })
}

pub(super) fn answers(answer: &Message, query: &Message) -> bool {
    let same_question = match (answer.queries.first(), query.queries.first()) {
        (Some(a), Some(q)) => a.name() == q.name() && a.query_type() == q.query_type(),
        // Some servers leave the question out of a refusal.
        (None, _) => true,
        (Some(_), None) => false,
    };
    answer.metadata.id == query.metadata.id
        && answer.metadata.message_type == MessageType::Response
        && same_question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_known_at_once_and_named() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        drop(socket);
        let name = absolute("example.com").unwrap();
        let error = ask(server, &name, RecordType::TXT, false).await.unwrap_err();
        assert!(matches!(error, DnsError::Unreachable { server: named, .. } if named == server), "{error}");
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_passed_over() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        let forger = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let mut wrong = query.clone().into_response();
            wrong.metadata.id = query.metadata.id.wrapping_add(1);
            socket.send_to(&wrong.to_vec().unwrap(), client).await.unwrap();
            socket.send_to(b"no dns", client).await.unwrap();
            socket.send_to(&query.into_response().to_vec().unwrap(), client).await.unwrap();
        });
        let name = absolute("example.com").unwrap();
        let answer = ask(server, &name, RecordType::TXT, false).await.unwrap();
        assert_eq!(answer.metadata.message_type, MessageType::Response);
        forger.await.unwrap();
    }
}
