//! What the client shows to Gandi to be let in.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// A secret that LiveDNS accepts. The scheme is chosen by the caller, never guessed from the secret's shape.
#[derive(Clone)]
pub enum Credential {
    /// A personal access token, sent as `Authorization: Bearer`.
    PersonalAccessToken(SecretString),
    /// A deprecated API key, sent as `Authorization: Apikey`. It has all rights of its user and no expiry.
    ApiKey(SecretString),
}

/// Which of the two kinds of credential is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// See [`Credential::PersonalAccessToken`].
    PersonalAccessToken,
    /// See [`Credential::ApiKey`].
    ApiKey,
}

/// What a secret looks like. Gandi documents no shape, so this is fit for a hint and for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialShape {
    /// 24 or fewer characters of `[a-z0-9]`.
    LooksLikeApiKey,
    /// 40 hexadecimal digits.
    LooksLikePersonalAccessToken,
    /// Neither.
    Unknown,
}

/// What may be told about a credential and its use without telling the secret: the facts that an advice for a
/// refused request is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialFacts {
    /// The kind that the caller declared.
    pub kind: CredentialKind,
    /// What the secret looks like.
    pub shape: CredentialShape,
    /// Whether a sharing id goes with every request; a superfluous one is said to cause 403.
    pub sharing_id_set: bool,
    /// Whether another base URL than the default is asked; a host that does not serve LiveDNS refuses in many ways.
    pub base_url_set: bool,
}

/// Why a secret cannot be sent at all. The secret is not part of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Nothing but whitespace.
    #[error("the credential is empty")]
    Empty,
    /// Whitespace or a newline between other characters, for instance two lines of a file.
    #[error("the credential contains whitespace or a line break")]
    Whitespace,
    /// A control character or something outside ASCII.
    #[error("the credential contains a character that is not printable ASCII")]
    NotPrintable,
}

impl Credential {
    /// A personal access token; surrounding whitespace is trimmed.
    ///
    /// # Errors
    /// When the rest is not printable ASCII without whitespace.
    pub fn new_personal_access_token(secret: &SecretString) -> Result<Self, CredentialError> {
        check(secret).map(Self::PersonalAccessToken)
    }

    /// An API key; surrounding whitespace is trimmed.
    ///
    /// # Errors
    /// As for [`Credential::new_personal_access_token`].
    pub fn new_api_key(secret: &SecretString) -> Result<Self, CredentialError> {
        check(secret).map(Self::ApiKey)
    }

    /// The kind, as declared.
    #[must_use]
    pub fn kind(&self) -> CredentialKind {
        match self {
            Self::PersonalAccessToken(_) => CredentialKind::PersonalAccessToken,
            Self::ApiKey(_) => CredentialKind::ApiKey,
        }
    }

    /// What the secret looks like, for hints.
    #[must_use]
    pub fn shape(&self) -> CredentialShape {
        let secret = self.secret().expose_secret();
        if secret.len() == 40 && secret.bytes().all(|b| b.is_ascii_hexdigit()) {
            CredentialShape::LooksLikePersonalAccessToken
        } else if secret.len() <= 24 && secret.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            CredentialShape::LooksLikeApiKey
        } else {
            CredentialShape::Unknown
        }
    }

    pub(crate) fn secret(&self) -> &SecretString {
        match self {
            Self::PersonalAccessToken(secret) | Self::ApiKey(secret) => secret,
        }
    }

    /// The value of the `Authorization` header, marked sensitive. Validates again, because the variants are
    /// public.
    pub(crate) fn authorization(&self) -> Result<HeaderValue, CredentialError> {
        let secret = check(self.secret())?;
        let scheme = match self {
            Self::PersonalAccessToken(_) => "Bearer",
            Self::ApiKey(_) => "Apikey",
        };
        let text = zeroizing_header_text(scheme, &secret);
        let mut value =
            HeaderValue::from_str(text.expose_secret()).map_err(|_| CredentialError::NotPrintable)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn zeroizing_header_text(scheme: &str, secret: &SecretString) -> SecretString {
    SecretString::from(format!("{scheme} {}", secret.expose_secret()))
}

fn check(secret: &SecretString) -> Result<SecretString, CredentialError> {
    let trimmed = secret.expose_secret().trim();
    if trimmed.is_empty() {
        return Err(CredentialError::Empty);
    }
    if trimmed.chars().any(char::is_whitespace) {
        return Err(CredentialError::Whitespace);
    }
    if !trimmed.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(CredentialError::NotPrintable);
    }
    Ok(SecretString::from(trimmed))
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}([redacted])", self.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pat(text: &str) -> Result<Credential, CredentialError> {
        Credential::new_personal_access_token(&SecretString::from(text))
    }

    #[test]
    fn surrounding_whitespace_is_trimmed_and_inner_whitespace_refused() {
        assert_eq!(pat(" abc\r\n").unwrap().secret().expose_secret(), "abc");
        assert_eq!(pat(" \n").unwrap_err(), CredentialError::Empty);
        assert_eq!(pat("abc\ndef").unwrap_err(), CredentialError::Whitespace);
        assert_eq!(pat("abc def").unwrap_err(), CredentialError::Whitespace);
        assert_eq!(pat("ab\u{7}c").unwrap_err(), CredentialError::NotPrintable);
        assert_eq!(pat("pässword").unwrap_err(), CredentialError::NotPrintable);
    }

    #[test]
    fn a_variant_made_by_hand_is_checked_before_it_is_sent() {
        let credential = Credential::ApiKey(SecretString::from("a\r\nX-Evil: 1"));
        assert_eq!(credential.authorization().unwrap_err(), CredentialError::Whitespace);
    }

    #[test]
    fn the_scheme_follows_the_kind_and_the_header_is_sensitive() {
        let bearer = pat("t0ken").unwrap().authorization().unwrap();
        assert_eq!(bearer.as_bytes(), b"Bearer t0ken");
        assert!(bearer.is_sensitive());
        let key = Credential::new_api_key(&SecretString::from("k3y")).unwrap().authorization().unwrap();
        assert_eq!(key.as_bytes(), b"Apikey k3y");
    }

    #[test]
    fn shapes_are_told_apart() {
        assert_eq!(pat(&"0a".repeat(20)).unwrap().shape(), CredentialShape::LooksLikePersonalAccessToken);
        assert_eq!(pat("abcdefghijklmnopqrstuvwx").unwrap().shape(), CredentialShape::LooksLikeApiKey);
        assert_eq!(pat("Abc").unwrap().shape(), CredentialShape::Unknown);
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", pat("t0ken").unwrap()), "PersonalAccessToken([redacted])");
    }
}
