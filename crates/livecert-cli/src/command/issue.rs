//! `livecert issue`.

use std::path::Path;

use livecert::certificate::{
    CertificateError, ExternalAccountRequest, IssueRequest, Issued, Outcome, ServerUrl, parse_names, window,
};
use livecert::challenge::ChallengeChoice;
use livecert::key::KeyType;
use livecert::plugin::{self, ArgumentError};
use livecert::secret::Source;
use livecert::store::{CertName, RenewalRecord};
use serde_json::json;

use super::view::{GenerationView, distance, moment};
use crate::arguments::{ExternalAccount, Globals, Issue};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

pub(super) fn run(words: Issue, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    // Everything that can be wrong with the words is known before anything is touched.
    let request = request(words)?;
    let issued = context::block_on(async { Ok(context::service(globals)?.issue(&request).await?) })?;
    let window = window(&context::store(globals)?, &issued.cert, &issued.generation);
    output.show(&document(&issued, window.as_ref()), || text(&issued));
    Ok(Status::Done)
}

/// The request that the words make.
pub(super) fn request(words: Issue) -> Result<IssueRequest, CertificateError> {
    let key_type = |text: &Option<String>| -> Result<Option<KeyType>, CertificateError> {
        Ok(text.as_deref().map(str::parse).transpose()?)
    };
    let plugin = words.plugin.as_deref().map(plugin::find).transpose()?;
    let arguments = match plugin {
        Some(plugin) => plugin::parse_arguments(plugin, &words.plugin_arg)?,
        None if words.plugin_arg.is_empty() => plugin::ArgumentSources::new(),
        None => return Err(ArgumentError::WithoutPlugin.into()),
    };
    let reuse_key = match (words.reuse_key, words.always_new_key) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let own_request = words.csr.as_ref().map(|path| read(path)).transpose()?;
    let mut names = parse_names(words.names.iter().map(String::as_str))?;
    if let Some(csr) = &own_request
        && names.is_empty()
    {
        names = livecert::certificate::names_of_request(csr)?;
    }
    Ok(IssueRequest {
        names,
        cert_name: words.cert_name.as_deref().map(str::parse::<CertName>).transpose()?,
        servers: words.server.iter().map(|server| server.parse()).collect::<Result<Vec<ServerUrl>, _>>()?,
        accept_tos: words.accept_tos,
        contact: words.contact,
        account_key_type: key_type(&words.account_key_type)?,
        external_account: external_account(&words.external)?,
        own_request,
        subject: words.subject,
        must_staple: words.must_staple,
        profile: words.profile,
        preferred_profile: words.preferred_profile,
        preferred_chain: words.preferred_chain,
        lifetime_days: words.lifetime_days,
        challenge: words.challenge.as_deref().map(str::parse::<ChallengeChoice>).transpose()?,
        key_type: key_type(&words.key_type)?,
        reuse_key,
        plugin,
        arguments,
        propagation: words.propagation.request(),
        validation_timeout: words.validation_timeout,
        force: words.force,
    })
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
    let leftovers = issued.leftovers.iter().map(|left| {
        json!({"fqdn": left.record.fqdn, "value": left.record.value, "reason": left.reason.to_string()})
    });
    json!({
        "schema": 1,
        "result": match issued.outcome { Outcome::NotDue(_) => "not-due", _ => "new" },
        "name": issued.cert.as_str(),
        "names": issued.generation.info.names,
        "server": issued.generation.info.server,
        "certificate": GenerationView::new(&issued.generation, window),
        "leftovers": leftovers.collect::<Vec<_>>(),
    })
}

fn text(issued: &Issued) -> String {
    let now = jiff::Timestamp::now();
    let generation = &issued.generation;
    let end = generation.info.not_after;
    let head = match issued.outcome {
        Outcome::NotDue(at) => format!(
            "Nothing to do: the certificate {} is valid until {}, and due {} ({}).\n\
             Use --force for a new one all the same.\n",
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
    head + &files.map(|(what, path)| format!("  {what:<10} {}\n", path.display())).collect::<String>()
}
