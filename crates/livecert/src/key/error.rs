//! What can be wrong with keys.

/// Why a key cannot be made, read or used. No variant carries key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No type of key that is known.
    #[error(
        "'{0}' is no type of key that livecert makes: ec-256, ec-384, ec-521, and rsa-2048 to rsa-4096 in steps of 128 are"
    )]
    UnknownType(String),
    /// The key could not be generated.
    #[error("the key could not be generated")]
    Generation,
    /// No form of private key that is known.
    #[error("the private key cannot be read (is it damaged?)")]
    Unreadable,
    /// It is something else.
    #[error("this is {0}, not a private key")]
    NotAPrivateKey(&'static str),
    /// More than one key, and no way to tell which is meant.
    #[error("there is more than one private key in it")]
    Several,
    /// Larger than any key.
    #[error("this is too large for a private key (the limit is 64 KiB)")]
    TooLarge,
    /// Protected with a passphrase.
    #[error("the private key is encrypted: decrypt it first (openssl pkey -in KEY -out NEWKEY)")]
    Encrypted,
    /// A curve or an algorithm that certificates of public CAs do not have.
    #[error("keys of this kind cannot be used: only P-256, P-384, P-521 and RSA can")]
    UnsupportedKind,
    /// An RSA key that is too short or too long.
    #[error("RSA keys need 2048 to 4096 bits")]
    RsaSize,
    /// An elliptic key without its public point, or with a compressed one.
    #[error(
        "the private key lacks its public half in full (openssl ec -in KEY -conv_form uncompressed -out NEWKEY adds it)"
    )]
    NoPublicHalf,
    /// Public and private half do not match, or numbers are out of range.
    #[error("the parts of the private key do not belong together (is it damaged?)")]
    Inconsistent,
    /// A name that cannot stand in a request.
    #[error("'{0}' cannot stand in a certificate request")]
    Name(String),
    /// A PKCS#12 file.
    #[error(transparent)]
    Pkcs12(#[from] super::Pkcs12Error),
    /// The request could not be signed.
    #[error("the certificate request could not be signed")]
    Signing,
}
