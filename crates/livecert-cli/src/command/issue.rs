//! `livecert issue`.

use std::path::{Path, PathBuf};

use clap::Args;
use livecert::certificate::{
    CertificateError, ExternalAccountRequest, IssueRequest, Issued, Outcome, parse_names, window,
};
use livecert::key::KeyType;
use livecert::plugin::Leftover;
use livecert::secret::Source;
use livecert::store::{CertName, RenewalRecord, Store};
use serde_json::json;

use super::declared;
use super::deployment::DeploymentView;
use super::kept::Kept;
use super::rehearse::{self, DryRun};
use super::view::{GenerationView, distance, moment};
use crate::arguments::{ExternalAccount, Globals, account};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

#[derive(Debug, Args)]
pub(crate) struct Issue {
    /// Names for the certificate, such as example.com and '*.example.com'
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// The certificate's name in the store [default: the first name, '*' written as '!']
    #[arg(long, value_name = "CERT")]
    pub(crate) cert_name: Option<String>,
    /// Issue even if the stored certificate is not due
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) dry_run: DryRun,

    /// ACME server: LE_PROD, LE_STAGE, ZEROSSL_PROD, GOOGLE_PROD, GOOGLE_STAGE, SSLCOM_RSA, SSLCOM_ECC, ACTALIS_PROD
    /// or the https URL of a directory, or a name of your own for it; repeat it for servers to fall back to when the first one is down or does not
    /// want to be asked [default: the certificate's, else the
    /// one in use, else LE_PROD]
    #[arg(
        long,
        env = "LIVECERT_SERVER",
        value_name = "CODE|URL",
        value_delimiter = ' ',
        help_heading = "ACME"
    )]
    pub(crate) server: Vec<String>,
    /// Account at the server: your name for it, its id or its URL [default: the certificate's, else the one in use]
    #[arg(long, value_name = "ACCOUNT", allow_hyphen_values = true, value_parser = account, help_heading = "ACME")]
    pub(crate) account: Option<String>,
    /// Accept the server's terms of service (once, when the account is made)
    #[arg(long, help_heading = "ACME")]
    pub(crate) accept_tos: bool,
    /// Mail address for a new account; repeatable
    #[arg(long, value_name = "MAIL", help_heading = "ACME")]
    pub(crate) contact: Vec<String>,
    /// Key type of a new account: ec-256, ec-384, ec-521, rsa-2048 to rsa-4096 [default: ec-256]
    #[arg(long, value_name = "TYPE", help_heading = "ACME")]
    pub(crate) account_key_type: Option<String>,
    #[command(flatten)]
    pub(crate) external: ExternalAccount,
    /// Certificate profile that the server must offer (see `livecert server profiles`); "" for none
    #[arg(long, value_name = "PROFILE", help_heading = "ACME")]
    pub(crate) profile: Option<String>,
    /// Certificate profile that is used where the server offers it
    #[arg(long, value_name = "PROFILE", conflicts_with = "profile", help_heading = "ACME")]
    pub(crate) preferred_profile: Option<String>,
    /// How many days the certificate is asked to live (notBefore and notAfter of the order); 0 for the CA's choice
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(0..=3650), help_heading = "ACME")]
    pub(crate) lifetime_days: Option<u16>,
    /// Key type of the certificate: ec-256, ec-384, ec-521, rsa-2048 to rsa-4096 [default: ec-256]
    #[arg(long, value_name = "TYPE", help_heading = "Key")]
    pub(crate) key_type: Option<String>,
    /// Send this certificate request (PEM or DER); the key stays with its owner, and the names are those in it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key_type", "reuse_key", "must_staple", "subject"], help_heading = "Key")]
    pub(crate) csr: Option<PathBuf>,
    /// Common name in the request, one of the names [default: none]
    #[arg(long, value_name = "CN", help_heading = "Key")]
    pub(crate) subject: Option<String>,
    /// Ask for a certificate that needs a stapled OCSP answer (RFC 7633); most CAs refuse that by now
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Key")]
    pub(crate) must_staple: Option<bool>,

    #[command(flatten)]
    pub(crate) kept: Kept,
}

pub(super) fn run(words: Issue, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    // Everything that can be wrong with the words is known before anything is touched.
    let twin = words.dry_run.twin(globals)?;
    let request = request(words, globals)?;
    if let Some(twin) = twin {
        return rehearse::issue(&request, twin.as_ref(), globals, output);
    }
    let issued = context::block_on(async { Ok(context::service(globals)?.issue(&request).await?) })?;
    let store = context::store(globals)?;
    declared::remind(&store, &issued.cert, "makes it as it is written there", globals, output);
    let window = window(&store, &issued.cert, &issued.generation);
    let mut document = document(&issued, window.as_ref());
    if let Outcome::NotDue(_) = issued.outcome {
        document["settings_changed"] = issued.changed.into();
    }
    add_deployment(&mut document, &store, &issued);
    output.show(&document, || text(&issued));
    Ok(Status::Done)
}

/// The request that the words make.
pub(super) fn request(words: Issue, globals: &Globals) -> Result<IssueRequest, Failure> {
    let key_type = |text: &Option<String>| -> Result<Option<KeyType>, CertificateError> {
        Ok(text.as_deref().map(str::parse).transpose()?)
    };
    let own_request = words.csr.as_ref().map(|path| read(path)).transpose()?;
    let mut names = parse_names(words.names.iter().map(String::as_str)).map_err(CertificateError::from)?;
    if let Some(csr) = &own_request
        && names.is_empty()
    {
        names = livecert::certificate::names_of_request(csr)?;
    }
    let cert_name = words.cert_name.as_deref().map(str::parse::<CertName>).transpose();
    let mut request = IssueRequest {
        names,
        cert_name: cert_name.map_err(CertificateError::from)?,
        servers: context::servers(&words.server, globals)?,
        account: words.account,
        accept_tos: words.accept_tos,
        contact: words.contact,
        account_key_type: key_type(&words.account_key_type)?,
        external_account: external_account(&words.external)?,
        own_request,
        subject: words.subject,
        must_staple: words.must_staple,
        profile: words.profile,
        preferred_profile: words.preferred_profile,
        lifetime_days: words.lifetime_days,
        key_type: key_type(&words.key_type)?,
        force: words.force,
        ..IssueRequest::default()
    };
    words.kept.request(&[], &mut request)?;
    Ok(request)
}

/// The external account binding that the words name.
pub(super) fn external_account(
    words: &ExternalAccount,
) -> Result<Option<ExternalAccountRequest>, CertificateError> {
    let (Some(key_id), Some(source)) = (&words.eab_kid, &words.eab_hmac_key) else { return Ok(None) };
    let what = "the external account binding";
    let hmac_key = source.parse::<Source>().map_err(|source| CertificateError::Secret { what, source })?;
    let algorithm = words.eab_alg.parse().map_err(CertificateError::ExternalAccountKey)?;
    Ok(Some(ExternalAccountRequest { key_id: key_id.clone(), hmac_key, algorithm }))
}

/// A file that the words name.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

/// An outcome, with what the CA said about the renewal.
pub(super) fn document(issued: &Issued, window: Option<&RenewalRecord>) -> serde_json::Value {
    json!({
        "schema": 1,
        "result": match issued.outcome { Outcome::NotDue(_) => "not-due", _ => "new" },
        "name": issued.cert.as_str(),
        "names": issued.generation.info.names,
        "server": issued.generation.info.server,
        "certificate": GenerationView::new(&issued.generation, window),
        "leftovers": leftovers(&issued.leftovers),
    })
}

/// TXT values that could not be removed.
pub(super) fn leftovers(leftovers: &[Leftover]) -> Vec<serde_json::Value> {
    let left = leftovers.iter().map(|left| {
        json!({"fqdn": left.record.fqdn, "value": left.record.value, "reason": left.reason.to_string()})
    });
    left.collect()
}

/// Says in the document how far the deployment is, where there is one.
pub(super) fn add_deployment(document: &mut serde_json::Value, store: &Store, issued: &Issued) {
    let state = store.deployment(&issued.cert).unwrap_or_default();
    if let Some(deployment) = DeploymentView::new(&state, issued.generation.number) {
        document["deployment"] = json!(deployment);
    }
}

fn text(issued: &Issued) -> String {
    let now = jiff::Timestamp::now();
    let generation = &issued.generation;
    let end = generation.info.not_after;
    let head = match issued.outcome {
        Outcome::NotDue(at) => format!(
            "{}: the certificate {} is valid until {}, and due {} ({}).\n\
             Use --force for a new one all the same.\n",
            if issued.changed { "The settings are changed" } else { "Nothing to do" },
            issued.cert,
            moment(end),
            distance(at, now),
            moment(at),
        ),
        _ => format!(
            "Certificate {} for {}, issued by {}, valid until {} ({}).\n",
            issued.cert,
            generation.info.names.join(", "),
            generation.info.issuer,
            moment(end),
            distance(end, now),
        ),
    };
    let files = generation.files().into_iter();
    head + &files.map(|(what, path)| format!("  {what:<13} {}\n", path.display())).collect::<String>()
}
