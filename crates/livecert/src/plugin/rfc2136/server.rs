//! Signed messages to one name server, and their answers (RFC 8945). TCP only: nobody can forge an answer from beside the
//! way, and nothing is too long.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::TSigner;
use hickory_proto::rr::rdata::tsig::{TSIG, TsigError};
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::UpdateError;

/// How long a connection may take, and then an answer. A server that signs a zone on the fly takes a second or two.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(20);

/// A name server that is asked and told things.
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) signer: Option<TSigner>,
}

/// An answer that may be believed, and who gave it.
pub(super) struct Answer {
    pub(super) server: SocketAddr,
    pub(super) message: Message,
}

impl Answer {
    /// The answer, unless the server said no.
    pub(super) fn accepted(self) -> Result<Self, UpdateError> {
        match self.message.metadata.response_code {
            ResponseCode::NoError => Ok(self),
            code => Err(UpdateError::Refused { server: self.server, code: code.into() }),
        }
    }
}

impl Server {
    /// Sends `message`, and waits for its answer. It is sent again when a connection breaks: updates of ours do the same
    /// when they are done twice.
    pub(super) async fn exchange(&self, message: Message) -> Result<Answer, UpdateError> {
        let addresses = self.addresses().await?;
        let mut last = None;
        // All addresses once, and once more.
        for &server in addresses.iter().chain(&addresses) {
            match self.exchange_with(server, message.clone()).await {
                Err(error @ (UpdateError::Unreachable { .. } | UpdateError::Timeout { .. })) => {
                    tracing::debug!(%server, %error, "no answer");
                    last.get_or_insert(error);
                }
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| self.no_address(std::io::ErrorKind::NotFound.into())))
    }

    fn no_address(&self, source: std::io::Error) -> UpdateError {
        UpdateError::NoAddress { host: self.host.clone(), source }
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, UpdateError> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> = found.map_err(|source| self.no_address(source))?.collect();
        if addresses.is_empty() {
            return Err(self.no_address(std::io::ErrorKind::NotFound.into()));
        }
        Ok(addresses)
    }

    async fn exchange_with(&self, server: SocketAddr, mut message: Message) -> Result<Answer, UpdateError> {
        let garbled = |reason: String| UpdateError::Garbled { server, reason };
        let mut mac = Vec::new();
        if let Some(signer) = &self.signer {
            let (signature, _) =
                signer.sign_message(&message, now()).map_err(|error| garbled(error.to_string()))?;
            mac.clone_from(&signature.data.mac);
            message.set_signature(signature);
        }
        let bytes = message.to_vec().map_err(|error| garbled(error.to_string()))?;
        let received = send(server, &bytes).await?;
        let answer = Message::from_vec(&received).map_err(|error| garbled(error.to_string()))?;
        if answer.metadata.id != message.metadata.id
            || answer.metadata.message_type != MessageType::Response
            || answer.metadata.op_code != message.metadata.op_code
        {
            return Err(garbled("it answers another question".to_owned()));
        }
        if let Some(signer) = &self.signer {
            believe(signer, server, &received, &answer, &mac)?;
        }
        Ok(Answer { server, message: answer })
    }
}

async fn send(server: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>, UpdateError> {
    let unreachable = |source| UpdateError::Unreachable { server, source };
    let silent = |_| UpdateError::Timeout { server };
    let length = u16::try_from(bytes.len());
    let length =
        length.map_err(|_| UpdateError::Garbled { server, reason: "ours is too long".to_owned() })?;
    let connecting = timeout(CONNECT, TcpStream::connect(server)).await;
    let mut stream = connecting.map_err(silent)?.map_err(unreachable)?;
    let conversation = async {
        stream.write_all(&[length.to_be_bytes().as_slice(), bytes].concat()).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    timeout(ANSWER, conversation).await.map_err(silent)?.map_err(unreachable)
}

/// Whether the answer is the key owner's (RFC 8945 §5.3). What the server does not like about our signature is told without
/// a look at its own: nothing is done because of it.
pub(super) fn believe(
    signer: &TSigner,
    server: SocketAddr,
    received: &[u8],
    answer: &Message,
    mac: &[u8],
) -> Result<(), UpdateError> {
    let key = || signer.signer_name().to_ascii().trim_end_matches('.').to_owned();
    let code = answer.metadata.response_code.into();
    let not_authentic = |reason| UpdateError::NotAuthentic { server, code, reason };
    let Some(signature) = answer.signature() else {
        // Some servers do not sign a refusal. Whoever it is from, nothing was done.
        return match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Err(not_authentic("is not signed")),
            _ => Err(UpdateError::Refused { server, code }),
        };
    };
    match signature.data.error {
        Some(TsigError::BadKey) => return Err(UpdateError::BadKey { server, key: key() }),
        Some(TsigError::BadSig | TsigError::BadTrunc) => {
            return Err(UpdateError::BadSignature { server, key: key() });
        }
        Some(TsigError::BadTime) => {
            return Err(UpdateError::BadTime { server, ahead: ahead(&signature.data) });
        }
        _ => {}
    }
    // hickory-proto takes the one from the other.
    if signature.data.time < u64::from(signature.data.fudge) {
        return Err(not_authentic("was signed at another time"));
    }
    let (_, _, window) = signer
        .verify_message_byte(received, Some(mac), true)
        .map_err(|_| not_authentic("has a wrong signature"))?;
    if window.contains(&now()) { Ok(()) } else { Err(not_authentic("was signed at another time")) }
}

/// By how much the server's clock is ahead of ours: its time is in the other data (RFC 8945 §5.2.3), 48 bits of seconds.
fn ahead(signature: &TSIG) -> Option<i64> {
    let seconds = signature.other.iter().try_fold(0_i64, |time, &octet| {
        time.checked_mul(256).and_then(|time| time.checked_add(i64::from(octet)))
    })?;
    (signature.other.len() == 6).then(|| seconds - Timestamp::now().as_second())
}

/// Seconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::rdata::tsig::{TsigAlgorithm, make_tsig_record};
    use hickory_proto::rr::{Name, RecordType};
    use tokio::net::TcpListener;

    use super::*;
    use crate::plugin::rfc2136::message::{absolute, question};

    fn signer(secret: &[u8]) -> TSigner {
        let name = Name::from_ascii("livecert.").unwrap();
        TSigner::new(secret.to_vec(), TsigAlgorithm::HmacSha256, name, 300).unwrap()
    }

    /// What comes of a question to a server that answers as `answer` makes of it.
    async fn asked(answer: impl FnOnce(Message) -> Vec<u8>) -> Result<Answer, UpdateError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let signer = Some(signer(b"right"));
        let server = Server { host: address.ip().to_string(), port: address.port(), signer };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut message = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut message).await.unwrap();
            let answer = answer(Message::from_vec(&message).unwrap());
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        };
        let question = question(&absolute("example.com"), RecordType::SOA);
        tokio::join!(server.exchange_with(address, question), serve).0
    }

    /// An answer that `signer` has signed, at a time that is `late` seconds from now.
    fn signed(question: &Message, signer: &TSigner, late: i64) -> Vec<u8> {
        let mut answer = question.clone().into_response();
        let mac = question.signature().unwrap().data.mac.clone();
        answer.take_signature();
        let time = now().saturating_add_signed(late);
        let stub = TSIG::new(
            TsigAlgorithm::HmacSha256,
            time,
            300,
            Vec::new(),
            question.metadata.id,
            None,
            Vec::new(),
        );
        let bytes = answer.to_vec().unwrap();
        let signature = signer.sign(&signer.encode_response_tbs(&mac, &bytes, &stub).unwrap()).unwrap();
        answer
            .set_signature(Box::new(make_tsig_record(signer.signer_name().clone(), stub.set_mac(signature))));
        answer.to_vec().unwrap()
    }

    #[tokio::test]
    async fn only_the_owner_of_the_key_is_believed() {
        assert!(asked(|question| signed(&question, &signer(b"right"), 0)).await.is_ok());
        let forged = asked(|question| signed(&question, &signer(b"wrong"), 0)).await;
        assert!(matches!(forged, Err(UpdateError::NotAuthentic { reason: "has a wrong signature", .. })));
        for late in [-400, 400] {
            let old = asked(|question| signed(&question, &signer(b"right"), late)).await;
            assert!(matches!(
                old,
                Err(UpdateError::NotAuthentic { reason: "was signed at another time", .. })
            ));
        }
        let unsigned = |question: Message, code| {
            let mut answer = question.into_response();
            answer.take_signature();
            answer.metadata.response_code = code;
            answer.to_vec().unwrap()
        };
        let plain = asked(|question| unsigned(question, ResponseCode::NXDomain)).await;
        assert!(matches!(plain, Err(UpdateError::NotAuthentic { reason: "is not signed", .. })));
        let refused = asked(|question| unsigned(question, ResponseCode::NotImp)).await;
        assert!(matches!(refused, Err(UpdateError::Refused { code: 4, .. })));
    }

    #[tokio::test]
    async fn answers_to_something_else_are_garbled() {
        let other = asked(|mut question| {
            question.metadata.id = question.metadata.id.wrapping_add(1);
            signed(&question, &signer(b"right"), 0)
        });
        assert!(matches!(other.await, Err(UpdateError::Garbled { .. })));
        let other = asked(|mut question| {
            question.metadata.op_code = OpCode::Update;
            signed(&question, &signer(b"right"), 0)
        });
        assert!(matches!(other.await, Err(UpdateError::Garbled { .. })));
        assert!(matches!(asked(|_| b"no DNS".to_vec()).await, Err(UpdateError::Garbled { .. })));
    }

    #[tokio::test]
    async fn a_clock_that_is_wrong_is_told_with_the_difference() {
        let answer = asked(|question| {
            let mut answer = question.clone().into_response();
            answer.take_signature();
            answer.metadata.response_code = ResponseCode::NotAuth;
            let other = (now() + 1000).to_be_bytes()[2..].to_vec();
            let error = Some(TsigError::BadTime);
            let id = question.metadata.id;
            let tsig = TSIG::new(TsigAlgorithm::HmacSha256, now(), 300, Vec::new(), id, error, other);
            answer.set_signature(Box::new(make_tsig_record(absolute("livecert"), tsig)));
            answer.to_vec().unwrap()
        });
        let Err(error) = answer.await else { panic!("it was believed") };
        assert!(matches!(error, UpdateError::BadTime { ahead: Some(999..=1001), .. }), "{error}");
        assert!(error.to_string().contains("(BADTIME): its clock is "), "{error}");
    }
}
