//! TXT values at a name, over UDP, and over TCP where they do not fit; CNAMEs are followed.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::problem::Problem;

/// What passes unfragmented nearly everywhere (DNS flag day 2020).
const UDP_SIZE: u16 = 1232;
/// How long a server may take for one try.
const TRY_LIMIT: Duration = Duration::from_secs(2);
const TRIES: u32 = 3;
/// CNAMEs that are followed.
const MAX_CNAMES: u32 = 8;

fn failed(detail: impl Into<String>) -> Problem {
    Problem::new(400, "dns", detail)
}

/// The TXT values at a name; none where there is no such name.
pub(super) async fn txt(server: SocketAddr, name: &str) -> Result<Vec<String>, Problem> {
    let mut name = Name::from_ascii(name).map_err(|error| failed(format!("{name}: {error}")))?;
    name.set_fqdn(true);
    for _ in 0..MAX_CNAMES {
        let answer = ask(server, &name).await?;
        match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {}
            code => return Err(failed(format!("{code} when asked for TXT at {name}"))),
        }
        // One answer may have several steps, and its records in any order.
        let mut target = name.clone();
        let mut steps = 0;
        while let Some(next) = answer.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(cname) if record.name == target => Some(cname.0.clone()),
            _ => None,
        }) {
            target = next;
            steps += 1;
            if steps > MAX_CNAMES {
                return Err(failed(format!("the CNAMEs at {name} go in a circle")));
            }
        }
        let value = |record: &hickory_proto::rr::Record| match &record.data {
            RData::TXT(txt) if record.name == target => {
                Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned())
            }
            _ => None,
        };
        let values: Vec<String> = answer.answers.iter().filter_map(value).collect();
        if !values.is_empty() || target == name {
            return Ok(values);
        }
        name = target;
    }
    Err(failed(format!("too many CNAMEs, the last one to {name}")))
}

async fn ask(server: SocketAddr, name: &Name) -> Result<Message, Problem> {
    let mut query = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name.clone(), RecordType::TXT));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_SIZE);
    query.set_edns(edns);
    let bytes = query.to_vec().map_err(|error| failed(error.to_string()))?;
    let mut last = "no answer in time".to_owned();
    for _ in 0..TRIES {
        match timeout(TRY_LIMIT, over_udp(server, &query, &bytes)).await {
            Ok(Ok(answer)) if answer.metadata.truncation => {
                match timeout(TRY_LIMIT, over_tcp(server, &bytes)).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(error)) => last = error.to_string(),
                    Err(_) => {}
                }
            }
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => {}
        }
    }
    Err(failed(format!("asking {server} for TXT at {name}: {last}")))
}

async fn over_udp(server: SocketAddr, query: &Message, bytes: &[u8]) -> std::io::Result<Message> {
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(server).await?;
    socket.send(bytes).await?;
    let mut buffer = vec![0; usize::from(UDP_SIZE)];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Ok(answer) = Message::from_vec(&buffer[..length])
            && answer.metadata.id == query.metadata.id
        {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, bytes: &[u8]) -> std::io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await?;
    Message::from_vec(&buffer).map_err(std::io::Error::other)
}
