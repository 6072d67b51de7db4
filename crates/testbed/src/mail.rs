//! Mail servers that know nothing but how to begin TLS: SMTP, IMAP and POP3.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, io};

/// How long a silent client is listened to.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a mail server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailProtocol {
    /// SMTP (RFC 5321), with an answer of several lines to EHLO.
    Smtp,
    /// IMAP (RFC 9051).
    Imap,
    /// POP3 (RFC 1939).
    Pop3,
}

impl MailProtocol {
    /// Its word, for `livecert --verify-served` and for `openssl s_client -starttls`.
    pub fn word(self) -> &'static str {
        match self {
            MailProtocol::Smtp => "smtp",
            MailProtocol::Imap => "imap",
            MailProtocol::Pop3 => "pop3",
        }
    }
}

/// A mail server. It reads its certificate anew for each connection, and goes on until the process ends.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
}

impl MailServer {
    /// Starts one that shows the certificate in `folder` (`fullchain.pem`, `privkey.pem`).
    ///
    /// # Errors
    /// No port is free.
    pub fn start(protocol: MailProtocol, folder: &Path) -> Result<Self, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(io("a mail server"))?;
        let address = listener.local_addr().map_err(io("a mail server"))?;
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let folder = folder.clone();
                // A client that leaves early is no matter.
                std::thread::spawn(move || serve(stream, protocol, &folder));
            }
        });
        Ok(MailServer { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn serve(mut stream: TcpStream, protocol: MailProtocol, folder: &Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let greeting = match protocol {
        MailProtocol::Smtp => "220-mx.example ESMTP\r\n220 at your service\r\n",
        MailProtocol::Imap => "* OK [CAPABILITY IMAP4rev2 STARTTLS LOGINDISABLED] ready\r\n",
        MailProtocol::Pop3 => "+OK POP3 ready\r\n",
    };
    stream.write_all(greeting.as_bytes())?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let (answer, begins) = match (protocol, words.as_slice()) {
            (MailProtocol::Smtp, ["EHLO", _]) => {
                ("250-mx.example\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n".to_owned(), false)
            }
            (MailProtocol::Smtp, ["STARTTLS"]) => ("220 go ahead\r\n".to_owned(), true),
            (MailProtocol::Imap, [tag, "STARTTLS"]) => (format!("* OK soon\r\n{tag} OK go ahead\r\n"), true),
            (MailProtocol::Imap, [tag, "CAPABILITY"]) => {
                (format!("* CAPABILITY IMAP4rev2 STARTTLS\r\n{tag} OK\r\n"), false)
            }
            (MailProtocol::Pop3, ["STLS"]) => ("+OK go ahead\r\n".to_owned(), true),
            (MailProtocol::Smtp, _) => ("502 not known here\r\n".to_owned(), false),
            (MailProtocol::Imap, _) => ("* BAD not known here\r\n".to_owned(), false),
            (MailProtocol::Pop3, _) => ("-ERR not known here\r\n".to_owned(), false),
        };
        stream.write_all(answer.as_bytes())?;
        if begins {
            break;
        }
    }
    let config = config(folder)?;
    let session = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = rustls::StreamOwned::new(session, stream);
    let mut byte = [0];
    // Whatever is said then: the certificate has been seen.
    let _ = tls.read(&mut byte)?;
    Ok(())
}

fn config(folder: &Path) -> std::io::Result<Arc<rustls::ServerConfig>> {
    let other = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let file = |name: &str| -> PathBuf { folder.join(name) };
    let chain = CertificateDer::pem_file_iter(file("fullchain.pem")).map_err(|error| other(&error))?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| other(&error))?;
    let key = PrivateKeyDer::from_pem_file(file("privkey.pem")).map_err(|error| other(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| other(&error))?.with_no_client_auth();
    Ok(Arc::new(builder.with_single_cert(chain, key).map_err(|error| other(&error))?))
}
