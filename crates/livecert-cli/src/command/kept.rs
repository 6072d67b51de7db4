//! The options that a certificate keeps, and that need no other certificate: `issue` and `set` have them both.

use std::time::Duration;

use clap::Args;
use livecert::certificate::{
    CertificateError, FormatError, IssueRequest, OutputFormat, OutputRequest, PerName, PublisherRequest,
    dns_alias, publishers_of,
};
use livecert::challenge::ChallengeChoice;
use livecert::key::Pkcs12Encryption;
use livecert::plugin::{self, PublisherName};

use super::deployment::DeploymentWords;
use crate::arguments::{Propagation, duration};

#[derive(Debug, Args)]
pub(crate) struct Kept {
    /// Take the chain with a certificate that this issuer (common name) made; "" for the CA's own choice
    #[arg(long, value_name = "CN", help_heading = "ACME")]
    pub(crate) preferred_chain: Option<String>,
    /// How long the CA may take to validate, such as 90s or 5m [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "ACME")]
    pub(crate) validation_timeout: Option<Duration>,

    /// Make a new key at each renewal (the default)
    #[arg(long, conflicts_with = "reuse_key", help_heading = "Key")]
    pub(crate) always_new_key: bool,
    /// Keep the key at renewals
    #[arg(long, help_heading = "Key")]
    pub(crate) reuse_key: bool,

    /// How the names are proved: dns-01, dns-account-01, dns-persist-01, http-01, tls-alpn-01, or auto for the best that
    /// server, DNS and plugin allow; "" for what the plugin is made for; repeatable, as --plugin is [default: that]
    #[arg(long, value_name = "[PATTERN=]TYPE", help_heading = "Proof")]
    pub(crate) challenge: Vec<String>,
    /// What publishes the proofs (see `livecert plugin list`). Repeat it for names that differ: the n-th is for the n-th name
    /// and the last one for the rest, or PATTERN=PLUGIN with a name, '*.NAME' for all below it, or '*'. PLUGIN@LABEL is one
    /// of several uses of a plugin [default: manual]
    #[arg(long, value_name = "[PATTERN=]PLUGIN", help_heading = "Proof")]
    pub(crate) plugin: Vec<String>,
    /// Parameter of the plugin; repeatable. WHOSE is a plugin, where several have the parameter, or a label
    #[arg(long, value_name = "[WHOSE:]KEY=SOURCE", help_heading = "Proof")]
    pub(crate) plugin_arg: Vec<String>,
    /// What is written in this zone is written with the parameters under LABEL; '*.NAME' for all zones below; repeatable
    #[arg(long, value_name = "ZONE=LABEL", help_heading = "Proof")]
    pub(crate) zone: Vec<String>,
    /// Write the TXT values at this name, which _acme-challenge.NAME is a CNAME for; "" for none; repeatable, as --plugin is
    #[arg(long, value_name = "[PATTERN=]FQDN", help_heading = "Proof")]
    pub(crate) dns_alias: Vec<String>,
    /// Prove one name after another, so that no two proofs are shown at a time: for a DNS service that holds one value at a
    /// name. It takes as many waits as there are names
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Proof")]
    pub(crate) serial: Option<bool>,
    #[command(flatten)]
    pub(crate) propagation: Propagation,
    #[command(flatten)]
    pub(crate) deployment: DeploymentWords,
    #[command(flatten)]
    pub(crate) files: Files,
    /// How many generations stay on disk, the current one among them; older ones are removed [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Files")]
    pub(crate) keep_generations: Option<u16>,
}

/// Which files are written beside the PEM files, and for whom.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// Write the certificate in this form too: bundle (bundle.pem: key, certificate and chain, for HAProxy) or der
    /// (cert.der, privkey.der); repeatable; pem for the four PEM files alone
    #[arg(long, value_name = "FORM", value_delimiter = ',', help_heading = "Files")]
    pub(crate) format: Vec<String>,
    /// Write cert.pfx and fullchain.pfx (PKCS#12) under this password, which is read from prompt, env:VAR, file:PATH,
    /// cmd:COMMAND, systemd-cred:NAME or keyring:SERVICE/USER; "" for none any more
    #[arg(long, value_name = "SOURCE", help_heading = "Files")]
    pub(crate) pfx_password: Option<String>,
    /// How PFX files are encrypted: modern (AES-256), or legacy (3DES) for Windows Server 2016 and old Java
    /// [default: modern]
    #[arg(long, value_name = "KIND", help_heading = "Files")]
    pub(crate) pfx_encryption: Option<String>,
    /// Give the files to this user (a name or a number); "" for whoever runs livecert
    #[arg(long, value_name = "USER", help_heading = "Files")]
    pub(crate) owner: Option<String>,
    /// Let this group (a name or a number) read the files, also those with the key; "" for no group
    #[arg(long, value_name = "GROUP", help_heading = "Files")]
    pub(crate) group: Option<String>,
    /// Mode of files with the private key, in octal [default: 0600, with --group 0640]
    #[arg(long, value_name = "MODE", help_heading = "Files")]
    pub(crate) key_mode: Option<String>,
    /// Mode of files without it, in octal; given as 0644 it lets everybody come to them [default: 0644]
    #[arg(long, value_name = "MODE", help_heading = "Files")]
    pub(crate) cert_mode: Option<String>,
}

impl Kept {
    /// Puts what the words say into `request`; `known` are the publishers that the certificate has already.
    pub(super) fn request(
        self,
        known: &[PublisherName],
        request: &mut IssueRequest,
    ) -> Result<(), CertificateError> {
        request.plugin = PerName::parse("--plugin", &self.plugin, |word| match word {
            // For a pattern alone: its rule is taken away.
            "" if self.plugin.iter().all(|word| word.contains('=')) => Ok(None),
            word => Ok::<_, CertificateError>(Some(word.parse()?)),
        })?;
        let plugins = publishers_of(&request.plugin);
        request.publishers = PublisherRequest::parse(&plugins, known, &self.plugin_arg, &self.zone)?;
        request.reuse_key = match (self.reuse_key, self.always_new_key) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        request.preferred_chain = self.preferred_chain;
        request.challenge = PerName::parse("--challenge", &self.challenge, |word| match word {
            "" => Ok(ChallengeChoice::default()),
            word => Ok::<_, CertificateError>(word.parse()?),
        })?;
        request.dns_alias = PerName::parse("--dns-alias", &self.dns_alias, dns_alias)?;
        request.propagation = self.propagation.request();
        request.validation_timeout = self.validation_timeout;
        request.serial = self.serial;
        request.keep_generations = self.keep_generations;
        request.deployment = self.deployment.request()?;
        request.output = self.files.request()?;
        Ok(())
    }
}

impl Files {
    fn request(self) -> Result<OutputRequest, CertificateError> {
        let forms = self.format.iter().filter(|word| !matches!(word.as_str(), "" | "pem"));
        let forms = forms.map(|word| word.parse()).collect::<Result<Vec<OutputFormat>, FormatError>>()?;
        let source = |text: String| match text.as_str() {
            "" => Ok(None),
            _ => plugin::secret_source("--pfx-password", &text).map(Some),
        };
        let encryption = self.pfx_encryption.as_deref().map(|word| match word {
            "" => Ok(Pkcs12Encryption::default()),
            word => word.parse().map_err(livecert::key::KeyError::from),
        });
        Ok(OutputRequest {
            formats: (!self.format.is_empty()).then_some(forms),
            pfx_password: self.pfx_password.map(source).transpose()?,
            pfx_encryption: encryption.transpose()?,
            owner: self.owner,
            group: self.group,
            key_mode: self.key_mode,
            cert_mode: self.cert_mode,
        })
    }
}
