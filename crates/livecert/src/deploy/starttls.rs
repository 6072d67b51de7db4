//! From the first words of a mail server to the moment at which TLS begins. What a server says is bounded, in its lines
//! and as a whole, and nothing of it is believed beyond that.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::served_at::StartTls;
use crate::process::harmless;

/// The longest line that is read, in octets. SMTP allows 512 (RFC 5321 §4.5.3.1.5), and greetings of IMAP are longer.
const LONGEST_LINE: usize = 8 * 1024;
/// The most lines of one answer.
const MOST_LINES: usize = 200;

/// Why TLS was not begun.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartTlsError {
    /// The connection.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    /// The server said something else than what the protocol has at this point.
    #[error("it said '{0}'")]
    Said(String),
    /// The server does not offer TLS.
    #[error("it does not offer STARTTLS")]
    NotOffered,
    /// The server says more, or longer, than any server does.
    #[error("it says too much")]
    TooMuch,
    /// The server went on talking without TLS: somebody in between may have put words in.
    #[error("it said more before TLS began")]
    Early,
}

/// A line of an SMTP answer (RFC 5321 §4.2): its code, whether it is the last one, and its text.
fn smtp_line(line: &str) -> Option<(u16, bool, &str)> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = code.bytes().all(|b| b.is_ascii_digit()).then(|| code.parse::<u16>().ok())??;
    match rest.bytes().next() {
        None => Some((code, true, "")),
        Some(b' ') => Some((code, true, &rest[1..])),
        Some(b'-') => Some((code, false, &rest[1..])),
        Some(_) => None,
    }
}

/// A conversation, line by line.
struct Lines<'a, S> {
    stream: &'a mut S,
    read: Vec<u8>,
    left: usize,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Lines<'a, S> {
    fn new(stream: &'a mut S) -> Self {
        Lines { stream, read: Vec::new(), left: MOST_LINES }
    }

    async fn line(&mut self) -> Result<String, StartTlsError> {
        self.left = self.left.checked_sub(1).ok_or(StartTlsError::TooMuch)?;
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.read.len() >= LONGEST_LINE {
                return Err(StartTlsError::TooMuch);
            }
            let mut buffer = [0; 1024];
            match self.stream.read(&mut buffer).await? {
                0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
                read => self.read.extend_from_slice(&buffer[..read]),
            }
        }
    }

    async fn say(&mut self, line: &str) -> Result<(), StartTlsError> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }

    /// The lines of an SMTP answer, which must have this code.
    async fn smtp(&mut self, wanted: u16) -> Result<Vec<String>, StartTlsError> {
        let mut texts = Vec::new();
        loop {
            let line = self.line().await?;
            match smtp_line(&line) {
                Some((code, last, text)) if code == wanted => {
                    texts.push(text.to_owned());
                    if last {
                        return Ok(texts);
                    }
                }
                _ => return Err(said(&line)),
            }
        }
    }

    /// A line that must begin like this.
    async fn begins(&mut self, wanted: &str) -> Result<(), StartTlsError> {
        let line = self.line().await?;
        let begins = line.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted));
        if begins { Ok(()) } else { Err(said(&line)) }
    }
}

fn said(line: &str) -> StartTlsError {
    let short: String = line.chars().take(200).collect();
    StartTlsError::Said(harmless(&short))
}

/// Talks until TLS can begin. `own` is how we name ourselves (an address literal, RFC 5321 §4.1.3).
pub(super) async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    protocol: StartTls,
    own: &str,
) -> Result<(), StartTlsError> {
    let mut lines = Lines::new(stream);
    match protocol {
        StartTls::Smtp => {
            lines.smtp(220).await?;
            lines.say(&format!("EHLO {own}")).await?;
            let offers = lines.smtp(250).await?;
            if !offers.iter().skip(1).any(|offer| offer.trim().eq_ignore_ascii_case("STARTTLS")) {
                return Err(StartTlsError::NotOffered);
            }
            lines.say("STARTTLS").await?;
            lines.smtp(220).await?;
        }
        StartTls::Imap => {
            lines.begins("* OK").await?;
            lines.say("a1 STARTTLS").await?;
            loop {
                let line = lines.line().await?;
                // It may say something about itself before it answers.
                if !line.starts_with("* ") {
                    let ok = line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("a1 OK"));
                    if ok { break } else { return Err(said(&line)) }
                }
            }
        }
        StartTls::Pop3 => {
            lines.begins("+OK").await?;
            lines.say("STLS").await?;
            lines.begins("+OK").await?;
        }
    }
    if lines.read.is_empty() { Ok(()) } else { Err(StartTlsError::Early) }
}

/// How to leave politely, once TLS is there.
pub(super) fn farewell(protocol: StartTls) -> &'static [u8] {
    match protocol {
        StartTls::Smtp | StartTls::Pop3 => b"QUIT\r\n",
        StartTls::Imap => b"a2 LOGOUT\r\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::duplex;

    /// What comes of a server that says this, whatever it is told.
    fn talk(protocol: StartTls, words: &[u8], chunk: usize) -> Result<(), StartTlsError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = duplex(chunk.max(1));
            let (mut reader, mut writer) = tokio::io::split(&mut theirs);
            let server = async {
                let _ = writer.write_all(words).await;
                let _ = writer.shutdown().await;
            };
            let mut heard = Vec::new();
            let listen = reader.read_to_end(&mut heard);
            let client = async {
                let done = begin(&mut ours, protocol, "[127.0.0.1]").await;
                drop(ours);
                done
            };
            tokio::join!(client, server, listen).0
        })
    }

    fn goes(protocol: StartTls, words: &str) -> Result<(), StartTlsError> {
        talk(protocol, words.as_bytes(), 7)
    }

    #[test]
    fn tls_begins_where_the_server_wants_it() {
        let smtp =
            "220-mx ESMTP\r\n220 hello\r\n250-mx greets\r\n250-PIPELINING\r\n250 starttls\r\n220 go\r\n";
        goes(StartTls::Smtp, smtp).unwrap();
        goes(StartTls::Imap, "* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n* OK wait\r\na1 OK go\r\n").unwrap();
        goes(StartTls::Pop3, "+OK POP3 ready\r\n+OK begin\r\n").unwrap();
    }

    #[test]
    fn what_a_server_says_instead_is_told() {
        let none = "220 mx\r\n250-mx STARTTLS\r\n250 SIZE 1000\r\n";
        assert!(matches!(goes(StartTls::Smtp, none), Err(StartTlsError::NotOffered)));
        let busy = goes(StartTls::Smtp, "421 too busy \x1b[2J\r\n");
        assert!(
            matches!(&busy, Err(StartTlsError::Said(said)) if said == "421 too busy \\u{1b}[2J"),
            "{busy:?}"
        );
        let bye = goes(StartTls::Imap, "* BYE no\r\n");
        assert!(matches!(bye, Err(StartTlsError::Said(said)) if said == "* BYE no"));
        assert!(matches!(goes(StartTls::Imap, "* OK\r\na1 NO\r\n"), Err(StartTlsError::Said(_))));
        assert!(matches!(goes(StartTls::Pop3, "+OK\r\n-ERR\r\n"), Err(StartTlsError::Said(_))));
        assert!(matches!(goes(StartTls::Pop3, "+OK\r\n"), Err(StartTlsError::Io(_))));
    }

    #[test]
    fn words_that_come_too_early_are_refused() {
        let early = talk(StartTls::Pop3, b"+OK\r\n+OK\r\n+OK injected\r\n", 1000);
        assert!(matches!(early, Err(StartTlsError::Early)), "{early:?}");
    }

    #[test]
    fn a_server_that_never_stops_is_left() {
        let long = vec![b'x'; LONGEST_LINE + 2000];
        assert!(matches!(talk(StartTls::Imap, &long, 500), Err(StartTlsError::TooMuch)));
        let many = "220-x\r\n".repeat(MOST_LINES + 10);
        assert!(matches!(talk(StartTls::Smtp, many.as_bytes(), 500), Err(StartTlsError::TooMuch)));
        let many = format!("* OK\r\n{}", "* more\r\n".repeat(MOST_LINES + 10));
        assert!(matches!(talk(StartTls::Imap, many.as_bytes(), 500), Err(StartTlsError::TooMuch)));
    }

    proptest! {
        #[test]
        fn hostile_words_do_no_harm(
            lines in proptest::collection::vec("(220|250|\\* OK|a1 OK|\\+OK|[ -~é]{0,3})[- ]?(STARTTLS|[ -~\u{0}-\u{1f}ü]{0,9})\r?\n?", 0..12),
            chunk in 1..40_usize,
        ) {
            for protocol in [StartTls::Smtp, StartTls::Imap, StartTls::Pop3] {
                if let Err(StartTlsError::Said(said)) = talk(protocol, lines.concat().as_bytes(), chunk) {
                    prop_assert!(said.chars().all(|c| !c.is_control() || c == '\t'), "{said:?}");
                    prop_assert!(said.chars().count() <= 2000);
                }
            }
        }

        #[test]
        fn an_smtp_line_is_parsed_or_not(line in "\\PC{0,20}") {
            if let Some((code, _, _)) = smtp_line(&line) {
                let prefix = format!("{code:03}");
                prop_assert!(line.starts_with(&prefix));
            }
        }
    }
}
