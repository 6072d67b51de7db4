//! ACME servers by short code, as in Posh-ACME, or by the URL of their directory.

use std::fmt;
use std::str::FromStr;

/// The servers that have a short code.
pub static SERVERS: [(&str, &str); 8] = [
    ("LE_PROD", "https://acme-v02.api.letsencrypt.org/directory"),
    ("LE_STAGE", "https://acme-staging-v02.api.letsencrypt.org/directory"),
    ("ZEROSSL_PROD", "https://acme.zerossl.com/v2/DV90"),
    ("GOOGLE_PROD", "https://dv.acme-v02.api.pki.goog/directory"),
    ("GOOGLE_STAGE", "https://dv.acme-v02.test-api.pki.goog/directory"),
    ("SSLCOM_RSA", "https://acme.ssl.com/sslcom-dv-rsa"),
    ("SSLCOM_ECC", "https://acme.ssl.com/sslcom-dv-ecc"),
    ("ACTALIS_PROD", "https://acme-api.actalis.com/acme/directory"),
];

/// The staging servers of servers that have one: the same software and rules, and certificates that nobody trusts.
static TWINS: [(&str, &str); 2] = [("LE_PROD", "LE_STAGE"), ("GOOGLE_PROD", "GOOGLE_STAGE")];

/// The URL of an ACME directory: https, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

/// Why a text names no ACME server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No such short code.
    #[error(
        "'{given}' is neither the short code of an ACME server, nor a name of your own for one, nor an https URL"
    )]
    UnknownCode {
        /// What was given.
        given: String,
        /// A code that is much alike.
        similar: Option<String>,
    },
    /// A text that cannot name a server.
    #[error(
        "'{0}' cannot name a server: letters, digits, '-', '_' and '.' can, up to 64 of them, a letter or digit in front"
    )]
    Name(String),
    /// A name that another server has.
    #[error("'{name}' is the name of {url} already")]
    NameTaken {
        /// The name.
        name: String,
        /// The server that has it.
        url: String,
    },
    /// A server that nothing is known about.
    #[error("nothing is known about {0}")]
    NotKnown(String),
    /// A URL without TLS.
    #[error("'{0}' is not an https URL, and ACME is spoken over TLS only (RFC 8555 §6.1)")]
    NotHttps(String),
    /// Not a URL.
    #[error("'{given}' is not a URL: {reason}")]
    NotAUrl {
        /// What was given.
        given: String,
        /// Why.
        reason: String,
    },
}

impl ServerUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the server drops contacts, or refuses them: Let's Encrypt keeps no mail addresses since 2025.
    pub(super) fn ignores_contacts(&self) -> bool {
        self.host().is_some_and(|host| host == "letsencrypt.org" || host.ends_with(".letsencrypt.org"))
    }

    /// The short code of this URL, if it has one.
    pub fn code(&self) -> Option<&'static str> {
        SERVERS.iter().find(|(_, url)| *url == self.0).map(|(code, _)| *code)
    }

    /// The staging server that behaves like this one, if one is known. A staging server is its own.
    pub fn twin(&self) -> Option<ServerUrl> {
        let code = self.code()?;
        let (_, twin) = TWINS.iter().find(|(server, twin)| *server == code || *twin == code)?;
        SERVERS.iter().find(|(code, _)| code == twin).map(|(_, url)| ServerUrl((*url).to_owned()))
    }

    /// Whether it is known to give certificates that are trusted, so that whatever is done there counts. The host name
    /// decides: another spelling of the rest of the URL may lead to the same server.
    pub(super) fn is_production(&self) -> bool {
        let host = self.host();
        let known = SERVERS.iter().map(|(_, url)| ServerUrl((*url).to_owned()));
        host.is_some() && known.filter(|known| !known.is_staging()).any(|known| known.host() == host)
    }

    /// Whether it is known to be a staging server.
    pub(super) fn is_staging(&self) -> bool {
        self.twin().as_ref() == Some(self)
    }

    /// Whether the directory is the same one, whatever stands behind it in the URL.
    pub(super) fn is_same_directory(&self, other: &ServerUrl) -> bool {
        let place = |server: &ServerUrl| {
            let url = url::Url::parse(&server.0).ok()?;
            Some((server.host()?, url.port_or_known_default(), url.path().trim_end_matches('/').to_owned()))
        };
        self == other || place(self).is_some_and(|this| Some(this) == place(other))
    }

    /// The host name, without the dot that may stand at its end.
    fn host(&self) -> Option<String> {
        let url = url::Url::parse(&self.0).ok()?;
        url.host_str().map(|host| host.trim_end_matches('.').to_owned())
    }
}

impl Default for ServerUrl {
    /// Let's Encrypt.
    fn default() -> Self {
        ServerUrl(SERVERS[0].1.to_owned())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code().unwrap_or(&self.0))
    }
}

impl FromStr for ServerUrl {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        if let Some((_, url)) = SERVERS.iter().find(|(code, _)| code.eq_ignore_ascii_case(text)) {
            return Ok(ServerUrl((*url).to_owned()));
        }
        if !text.contains("://") {
            let upper = text.to_ascii_uppercase();
            let alike = |(code, _): &(&'static str, &str)| (strsim::jaro_winkler(&upper, code), *code);
            let best = SERVERS.iter().map(alike).max_by(|a, b| a.0.total_cmp(&b.0));
            let similar = best.filter(|(score, _)| *score > 0.75).map(|(_, code)| code.to_owned());
            return Err(ServerError::UnknownCode { given: text.to_owned(), similar });
        }
        let url = url::Url::parse(text)
            .map_err(|error| ServerError::NotAUrl { given: text.to_owned(), reason: error.to_string() })?;
        if url.scheme() != "https" {
            return Err(ServerError::NotHttps(text.to_owned()));
        }
        Ok(ServerUrl(url.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_urls_name_servers() {
        let stage: ServerUrl = "le_stage".parse().unwrap();
        assert_eq!((stage.code(), stage.to_string().as_str()), (Some("LE_STAGE"), "LE_STAGE"));
        let own: ServerUrl = "https://localhost:14000/dir".parse().unwrap();
        assert_eq!((own.code(), own.as_str()), (None, "https://localhost:14000/dir"));
        assert_eq!(ServerUrl::default().code(), Some("LE_PROD"));
    }

    #[test]
    fn twins_are_known_where_there_are_any() {
        let twin = |code: &str| code.parse::<ServerUrl>().unwrap().twin().and_then(|twin| twin.code());
        assert_eq!((twin("LE_PROD"), twin("LE_STAGE")), (Some("LE_STAGE"), Some("LE_STAGE")));
        assert_eq!(twin("GOOGLE_PROD"), Some("GOOGLE_STAGE"));
        assert_eq!((twin("ZEROSSL_PROD"), twin("https://ca.example/")), (None, None));
        let productive = |code: &str| code.parse::<ServerUrl>().unwrap().is_production();
        assert!(productive("LE_PROD") && productive("ACTALIS_PROD"));
        assert!(!productive("LE_STAGE") && !productive("https://ca.example/"));
        for spelling in ["https://acme-v02.api.letsencrypt.org/directory?x", "https://ACME.zerossl.com.:443/"]
        {
            assert!(productive(spelling), "{spelling}");
        }
    }

    #[test]
    fn slips_are_explained() {
        assert_eq!(
            "LE_PRD".parse::<ServerUrl>(),
            Err(ServerError::UnknownCode { given: "LE_PRD".into(), similar: Some("LE_PROD".into()) })
        );
        assert!(matches!("xyz".parse::<ServerUrl>(), Err(ServerError::UnknownCode { similar: None, .. })));
        assert!(matches!("http://ca.example/".parse::<ServerUrl>(), Err(ServerError::NotHttps(_))));
        assert!(matches!("https://".parse::<ServerUrl>(), Err(ServerError::NotAUrl { .. })));
    }
}
