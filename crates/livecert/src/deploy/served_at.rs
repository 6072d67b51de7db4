//! Where a certificate has to be seen: `HOST:PORT[,starttls=smtp|imap|pop3][,sni=NAME]`.

use std::fmt;
use std::str::FromStr;

use rustls_pki_types::ServerName;

/// A service that has to show the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedAt {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The protocol in which TLS is asked for; `None` if it is there from the first byte.
    pub starttls: Option<StartTls>,
    /// The name that it is asked for; `None` for one that fits the certificate.
    pub sni: Option<String>,
}

/// A protocol that begins without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// SMTP (RFC 3207).
    Smtp,
    /// IMAP (RFC 9051 §6.2.1).
    Imap,
    /// POP3 (RFC 2595 §4).
    Pop3,
}

impl StartTls {
    const WORDS: [(&'static str, StartTls); 3] =
        [("smtp", StartTls::Smtp), ("imap", StartTls::Imap), ("pop3", StartTls::Pop3)];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            StartTls::Smtp => "smtp",
            StartTls::Imap => "imap",
            StartTls::Pop3 => "pop3",
        }
    }
}

/// Why a text does not say where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not HOST:PORT[,starttls=smtp|imap|pop3][,sni=NAME]: {reason}")]
pub struct ServedAtError {
    text: String,
    reason: &'static str,
}

impl FromStr for ServedAt {
    type Err = ServedAtError;

    fn from_str(text: &str) -> Result<Self, ServedAtError> {
        let wrong = |reason| ServedAtError { text: text.to_owned(), reason };
        let mut parts = text.split(',');
        let place = parts.next().unwrap_or_default();
        let (host, port) = place.rsplit_once(':').ok_or_else(|| wrong("it has no port"))?;
        let port = port.parse::<u16>().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| wrong("the port is no number from 1 to 65535"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if bare.contains(':') && bare == host {
            return Err(wrong("an IPv6 address stands in brackets"));
        }
        if ServerName::try_from(bare).is_err() {
            return Err(wrong("the host is neither a name nor an address"));
        }
        let mut at = ServedAt { host: bare.to_owned(), port, starttls: None, sni: None };
        for part in parts {
            match part.split_once('=') {
                Some(("starttls", word)) => {
                    let known = StartTls::WORDS.iter().find(|(known, _)| *known == word);
                    let (_, protocol) = known.ok_or_else(|| wrong("starttls is smtp, imap or pop3"))?;
                    at.starttls = Some(*protocol);
                }
                Some(("sni", name)) if ServerName::try_from(name).is_ok() => at.sni = Some(name.to_owned()),
                Some(("sni", _)) => return Err(wrong("sni is no name")),
                _ => return Err(wrong("only starttls= and sni= can follow the port")),
            }
        }
        Ok(at)
    }
}

impl fmt::Display for ServedAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port)?,
            false => write!(f, "{}:{}", self.host, self.port)?,
        }
        if let Some(protocol) = self.starttls {
            write!(f, ",starttls={}", protocol.word())?;
        }
        self.sni.as_ref().map_or(Ok(()), |name| write!(f, ",sni={name}"))
    }
}

impl ServedAt {
    /// The name that the service is asked for: the one that was given, else the host if the certificate is for it, else the
    /// certificate's first name that is one, else the host.
    pub(super) fn name<'a>(&'a self, names: &'a [String]) -> &'a str {
        if let Some(name) = &self.sni {
            return name;
        }
        let host = self.host.trim_end_matches('.');
        let fits = |name: &String| {
            let wildcard = name.strip_prefix("*.").zip(host.split_once('.'));
            name.eq_ignore_ascii_case(host)
                || wildcard.is_some_and(|(base, (_, rest))| base.eq_ignore_ascii_case(rest))
        };
        if names.iter().any(fits) {
            return host;
        }
        names.iter().find(|name| !name.starts_with("*.")).map_or(host, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_read_back_as_they_were_written() {
        let all = [
            "example.com:443",
            "192.0.2.1:8443",
            "[2001:db8::1]:443",
            "mail.example.com:25,starttls=smtp",
            "mx:143,starttls=imap,sni=mail.example.com",
            "localhost:110,starttls=pop3",
        ];
        for text in all {
            assert_eq!(text.parse::<ServedAt>().unwrap().to_string(), text);
        }
        let wrong =
            ["", "example.com", "example.com:0", "example.com:x", ":443", "a b:443", "2001:db8::1:443"];
        let more = ["a:1,", "a:1,starttls=ftp", "a:1,sni=", "a:1,sni=a b", "a:1,tls=1", "a:65536"];
        for text in wrong.iter().chain(&more) {
            assert!(text.parse::<ServedAt>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_service_is_asked_for_a_name_that_it_should_have() {
        let names = ["*.example.com".to_owned(), "example.com".to_owned()];
        let name = |text: &str| text.parse::<ServedAt>().unwrap().name(&names).to_owned();
        assert_eq!(name("www.example.com:443"), "www.example.com");
        assert_eq!(name("EXAMPLE.com:443"), "EXAMPLE.com");
        assert_eq!(name("a.b.example.com:443"), "example.com");
        assert_eq!(name("127.0.0.1:443"), "example.com");
        assert_eq!(name("127.0.0.1:443,sni=other.example.com"), "other.example.com");
        assert_eq!("127.0.0.1:443".parse::<ServedAt>().unwrap().name(&names[..1]), "127.0.0.1");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "[ -~]{0,40}") {
            if let Ok(at) = text.parse::<ServedAt>() {
                prop_assert_eq!(at.to_string().parse::<ServedAt>().unwrap(), at);
            }
        }
    }
}
