//! What one piece of work on a certificate begins with: what was asked for and is there, and the key.

use super::account::AccountRequest;
use super::settings::Settings;
use super::{CertificateError, DeployRun, IssueRequest, ServerUrl, Service, SubjectName};
use crate::key::{CsrOptions, ForeignRequest, KeyError, PrivateKey, certificate_request};
use crate::store::{CertLock, CertName, Draft, Generation, PendingOrder};

/// One certificate to be made, with all that was asked for and is there.
pub(super) struct Work<'a> {
    pub(super) cert: &'a CertName,
    pub(super) lock: &'a CertLock,
    pub(super) request: &'a IssueRequest,
    pub(super) settings: &'a Settings,
    pub(super) current: Option<&'a Generation>,
    pub(super) run: &'a DeployRun,
}

impl Work<'_> {
    pub(super) fn names(&self) -> Vec<String> {
        self.settings.name_texts()
    }

    /// What the account with this URL is found with, or a new one is made with.
    pub(super) fn account_request(&self, url: Option<&str>) -> AccountRequest {
        AccountRequest { account: url.map(str::to_owned), ..AccountRequest::from(self.request) }
    }
}

/// Whose key the certificate will be for.
pub(super) enum Subject {
    Ours,
    Theirs(Box<ForeignRequest>),
}

/// The key of one try.
pub(super) enum Key {
    Ours(PrivateKey),
    Theirs(Box<ForeignRequest>),
}

impl Key {
    /// The private key, where it is ours.
    pub(super) fn private(&self) -> Option<&PrivateKey> {
        match self {
            Key::Ours(key) => Some(key),
            Key::Theirs(_) => None,
        }
    }

    pub(super) fn public_key_info(&self) -> Vec<u8> {
        match self {
            Key::Ours(key) => key.public_key_info(),
            Key::Theirs(request) => request.public_key_info().to_vec(),
        }
    }

    /// The certificate request, DER.
    pub(super) fn request(&self, settings: &Settings) -> Result<Vec<u8>, CertificateError> {
        let key = match self {
            Key::Ours(key) => key,
            Key::Theirs(request) => return Ok(request.der().to_vec()),
        };
        let (ip, dns): (Vec<_>, Vec<_>) = settings.names.iter().partition(|name| name.address().is_some());
        Ok(certificate_request(
            key,
            &CsrOptions {
                dns: dns.iter().map(|name| name.as_str().to_owned()).collect(),
                ip: ip.iter().filter_map(|name| name.address()).collect(),
                common_name: settings.subject.clone(),
                must_staple: settings.must_staple,
            },
        )?)
    }
}

impl Service {
    /// The key's owner: us, or whoever made the request that we are to send.
    pub(super) fn subject(&self, work: &Work<'_>) -> Result<Subject, CertificateError> {
        if !work.settings.own_request {
            return Ok(Subject::Ours);
        }
        let request = match &work.request.own_request {
            Some(request) => ForeignRequest::read(request)?,
            None => ForeignRequest::read(&self.store.own_request(work.cert)?)?,
        };
        let mut requested: Vec<_> = request.dns_names().to_vec();
        requested.extend(request.ip_addresses().iter().map(ToString::to_string));
        let ours = |name: &String| {
            let parsed = name.parse::<SubjectName>();
            parsed.is_ok_and(|name| work.settings.names.contains(&name))
        };
        if requested.len() != work.settings.names.len() || !requested.iter().all(ours) {
            return Err(CertificateError::OtherNamesRequested { requested });
        }
        Ok(Subject::Theirs(Box::new(request)))
    }

    /// The draft `left` by a dead run with its order and key, if they are for what is wanted now, or a new one, whose order
    /// has no URL yet.
    pub(super) async fn draft(
        &self,
        server: &ServerUrl,
        work: &Work<'_>,
        subject: &Subject,
        left: Option<(Draft, PendingOrder)>,
    ) -> Result<(Draft, Key, PendingOrder), CertificateError> {
        let wanted = |key: &Key| {
            let public_key = key.public_key_info();
            PendingOrder::new(server.as_str(), work.names(), work.settings.wishes(), &public_key)
        };
        if let Some((mut draft, order)) = left {
            let key = match subject {
                Subject::Ours => draft.key().and_then(|pem| PrivateKey::from_pem(&pem).ok()).map(Key::Ours),
                Subject::Theirs(request) => Some(Key::Theirs(request.clone())),
            };
            if let Some(key) = key
                && order.is_for_the_same(&wanted(&key))
            {
                return Ok((draft, key, order));
            }
            draft.keep(false);
        }
        let mut draft = self.store.begin(work.cert, work.lock)?;
        let key = match subject {
            Subject::Theirs(request) => Key::Theirs(request.clone()),
            Subject::Ours => {
                let key = self.key(work.settings, work.current).await?;
                draft.write_key(key.pem())?;
                Key::Ours(key)
            }
        };
        let pending = wanted(&key);
        Ok((draft, key, pending))
    }

    async fn key(
        &self,
        settings: &Settings,
        current: Option<&Generation>,
    ) -> Result<PrivateKey, CertificateError> {
        if let Some(current) = current
            && settings.reuse_key
            && let Some(key) = current.private_key()?
        {
            let key = PrivateKey::from_pem(&key)?;
            if key.key_type() == Some(settings.key_type) {
                return Ok(key);
            }
        }
        let kind = settings.key_type;
        // RSA takes up to seconds; timers and signals go on meanwhile.
        let made = tokio::task::spawn_blocking(move || PrivateKey::generate(kind)).await;
        Ok(made.map_err(|_| KeyError::Generation)??)
    }
}
