//! `livecert challenge key-auth|respond|publish|unpublish|account-label|listen`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use livecert::certificate::{
    Answered, CertificateError, ListenEnd, Listening, ProofRequest, ShownProof, SubjectName,
};
use livecert::challenge::ChallengeMismatch;
use livecert::plugin;
use livecert::store::CertName;
use livecert_acme::{ChallengeType, Token};
use serde_json::json;

use super::server::chosen;
use crate::arguments::{Globals, OneAccount, OneServer, Propagation, duration};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};
use crate::terminal::write_err;

#[derive(Debug, Subcommand)]
pub(crate) enum Challenge {
    /// The key authorization for a token
    KeyAuth {
        /// The challenge's token
        #[arg(value_name = "TOKEN")]
        token: String,
        /// As the value of a TXT record
        #[arg(long)]
        dns: bool,
        #[command(flatten)]
        at: OneAccount,
    },
    /// Tell the CA that challenges can be looked at: those with these URLs, or all of a certificate's open order
    Respond {
        /// A certificate with an open order, or URLs of challenges
        #[arg(value_name = "CERT", required = true)]
        which: Vec<String>,
        #[command(flatten)]
        server: OneServer,
    },
    /// Show the proof for a token by a plugin; it stays until `unpublish`, or until a sweep finds it forgotten
    #[command(after_help = "\
Example, which tries a plugin out with a token that is made up:
  livecert challenge publish www.example.com made-up-token --plugin gandi --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat")]
    Publish {
        #[command(flatten)]
        proof: Proof,
        /// Do not wait until the name servers show the value
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        propagation: Box<Propagation>,
    },
    /// Take the proof for a token away, and nothing else
    Unpublish {
        #[command(flatten)]
        proof: Proof,
        #[command(flatten)]
        propagation: Box<Propagation>,
    },
    /// The label of an account in the names of dns-account-01
    AccountLabel {
        /// The account's URL [default: that of the account in use at the server]
        #[arg(value_name = "URL")]
        account: Option<String>,
        #[command(flatten)]
        server: OneServer,
    },
    /// Answer http-01 until nothing waits for it any more, or until Ctrl-C
    #[command(after_help = "\
Examples:
  livecert challenge listen www.example.com           the challenges of its open order, at port 80
  livecert challenge listen --listen 127.0.0.1:8080   every token, for the account at LE_PROD; a web server leads to it")]
    Listen {
        /// A certificate with an open order; without one, every token is answered for the account at the server
        #[arg(value_name = "CERT")]
        cert: Option<String>,
        /// Where to listen; repeatable [default: port 80 of all addresses, or a socket that systemd passes in]
        #[arg(long, value_name = "ADDR:PORT")]
        listen: Vec<SocketAddr>,
        /// Stop after this time, such as 10m [default: never]
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        timeout: Option<Duration>,
        #[command(flatten)]
        server: OneServer,
    },
}

/// The proof of one challenge, and what shows it.
#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// The name that is proved
    #[arg(value_name = "NAME")]
    name: String,
    /// The challenge's token
    #[arg(value_name = "TOKEN", allow_hyphen_values = true)]
    token: String,
    /// dns-01, dns-account-01 or http-01 [default: what the plugin is made for]
    #[arg(long, value_name = "TYPE")]
    challenge: Option<String>,
    /// Name of the TXT record, where the one that the CA looks at leads there by a CNAME
    #[arg(long, value_name = "FQDN", help_heading = "DNS")]
    dns_alias: Option<String>,
    /// What shows it
    #[arg(long, value_name = "NAME", default_value = "gandi", help_heading = "DNS")]
    plugin: String,
    /// Parameter of the plugin; repeatable
    #[arg(long, value_name = "KEY=SOURCE", help_heading = "DNS")]
    plugin_arg: Vec<String>,
    #[command(flatten)]
    server: OneServer,
}

pub(super) fn run(words: Challenge, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Challenge::KeyAuth { token, dns, at } => {
            let token = parsed_token(&token)?;
            let (server, account) = at.find(globals)?;
            let authorization = context::block_on(async {
                Ok(context::service(globals)?.key_authorization(&server, account.as_deref(), &token)?)
            })?;
            let shown = if dns { authorization.dns_value() } else { authorization.as_str().to_owned() };
            let document = json!({
                "schema": 1,
                "key_authorization": authorization.as_str(),
                "dns_value": authorization.dns_value(),
            });
            output.show(&document, || format!("{shown}\n"));
        }
        Challenge::Respond { which, server } => return respond(&which, &server, globals, output),
        Challenge::Publish { proof, no_wait, propagation } => {
            let mut request = request(proof, globals)?;
            request.wait = !no_wait;
            request.propagation = propagation.request();
            let shown =
                context::block_on(async { Ok(context::service(globals)?.publish_proof(&request).await?) })?;
            tell("published", &request, &shown, output);
        }
        Challenge::Unpublish { proof, propagation } => {
            let mut request = request(proof, globals)?;
            request.propagation = propagation.request();
            let shown =
                context::block_on(async { Ok(context::service(globals)?.unpublish_proof(&request).await?) })?;
            tell("unpublished", &request, &shown, output);
        }
        Challenge::AccountLabel { account, server } => {
            let account = match account {
                Some(account) => account,
                None => {
                    let server = chosen(server.server.as_deref(), globals)?;
                    context::block_on(async { Ok(context::service(globals)?.account_url(&server, None)?) })?
                }
            };
            let label = livecert_acme::dns_account_label(&account);
            let prefix = format!("{label}._acme-challenge");
            output.show(&json!({"schema": 1, "account": account, "label": label, "prefix": prefix}), || {
                format!("{prefix}\n")
            });
        }
        Challenge::Listen { cert, listen, timeout, server } => {
            let what = match cert {
                Some(cert) => Listening::Order(cert.parse().map_err(CertificateError::CertName)?),
                None => Listening::Account(chosen(server.server.as_deref(), globals)?),
            };
            return self::listen(&what, &listen, timeout, globals, output);
        }
    }
    Ok(Status::Done)
}

fn parsed_token(token: &str) -> Result<Token, Failure> {
    Token::new(token).map_err(|_| Failure::wrong("a token has letters, digits, '-' and '_' only"))
}

fn respond(
    which: &[String],
    server: &OneServer,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let urls = which.iter().map(|word| word.parse::<url::Url>()).collect::<Result<Vec<_>, _>>();
    let answered = match (urls, which) {
        (Ok(urls), _) => {
            let server = chosen(server.server.as_deref(), globals)?;
            context::block_on(async { Ok(context::service(globals)?.respond(&server, &urls).await?) })?
        }
        (Err(_), [cert]) => {
            let cert: CertName = cert.parse().map_err(CertificateError::CertName)?;
            context::block_on(async { Ok(context::service(globals)?.respond_to_order(&cert).await?) })?
        }
        (Err(_), _) => return Err(Failure::wrong("give URLs of challenges, or one certificate")),
    };
    let document = |one: &Answered| {
        json!({
            "name": one.name,
            "url": one.url,
            "challenge": one.challenge,
            "status": one.status,
            "problem": one.problem,
        })
    };
    let all: Vec<_> = answered.iter().map(document).collect();
    output.show(&json!({"schema": 1, "challenges": all}), || {
        let mut rows = vec![["NAME", "CHALLENGE", "STATUS", "URL"].map(str::to_owned).to_vec()];
        rows.extend(answered.iter().map(|one| {
            let name = one.name.clone().unwrap_or_default();
            vec![name, one.challenge.clone(), one.status.clone(), one.url.clone()]
        }));
        table(&rows)
    });
    Ok(Status::Done)
}

fn request(proof: Proof, globals: &Globals) -> Result<ProofRequest, Failure> {
    let wrong = CertificateError::from;
    let plugin = plugin::find(&proof.plugin).map_err(wrong)?;
    if plugin.name == "selfhost" {
        return Err(Failure::wrong(
            "selfhost shows its files only for as long as it runs: `livecert challenge listen` does that",
        ));
    }
    let usual = livecert::challenge::ChallengeChoice::ByPlugin.candidates(plugin.name, plugin.proofs);
    let usual = usual.map_err(CertificateError::from)?.into_iter().next();
    let challenge = proof.challenge.as_deref().map(ChallengeType::from).or(usual);
    let challenge = challenge.unwrap_or(ChallengeType::Dns01);
    let known = [ChallengeType::Dns01, ChallengeType::DnsAccount01, ChallengeType::Http01];
    if !known.contains(&challenge) {
        return Err(CertificateError::from(ChallengeMismatch { plugin: plugin.name, challenge }).into());
    }
    Ok(ProofRequest {
        name: proof.name.parse::<SubjectName>().map_err(CertificateError::from)?,
        token: parsed_token(&proof.token)?,
        server: chosen(proof.server.server.as_deref(), globals)?,
        challenge,
        alias: proof.dns_alias,
        plugin,
        arguments: plugin::parse_arguments(plugin, &proof.plugin_arg).map_err(wrong)?,
        propagation: livecert::certificate::PropagationRequest::default(),
        wait: false,
    })
}

fn tell(result: &str, request: &ProofRequest, shown: &ShownProof, output: &Output) {
    let document = json!({
        "schema": 1,
        "result": result,
        "challenge": request.challenge.to_string(),
        "at": shown.at,
        "value": shown.value,
        "visible_after_ms": shown.visible_after.map(|took| took.as_millis()),
    });
    output.show(&document, || {
        let done = if result == "published" { "Published" } else { "Taken away" };
        let visible = shown
            .visible_after
            .map(|took| format!(", visible at every name server after {:.2} s", took.as_secs_f64()));
        match request.challenge {
            ChallengeType::Http01 => format!("{done}: {}\n    {}\n", shown.at, shown.value),
            _ => format!("{done}: {}. TXT \"{}\"{}\n", shown.at, shown.value, visible.unwrap_or_default()),
        }
    });
}

fn listen(
    what: &Listening,
    addresses: &[SocketAddr],
    limit: Option<Duration>,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let end = context::block_on(async {
        let ready = |addresses: &[SocketAddr]| {
            if !globals.quiet {
                let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                write_err(&format!("listening on {}\n", all.join(", ")));
            }
        };
        Ok(context::service(globals)?.listen(what, addresses, limit, ready).await?)
    })?;
    let (result, text, status) = match (end, what) {
        (ListenEnd::Stopped, _) => ("stopped", "Stopped.\n".to_owned(), Status::Done),
        (ListenEnd::TimeOver, Listening::Order(cert)) => {
            let text = format!("The time is over, and names of {cert} still wait for their proof.\n");
            ("time-over", text, Status::Failed)
        }
        (ListenEnd::TimeOver, _) => ("time-over", "The time is over.\n".to_owned(), Status::Done),
        (_, Listening::Order(cert)) => {
            let text = format!(
                "No name of {cert} waits for a proof any more.\n  next: livecert order show {cert}\n"
            );
            ("decided", text, Status::Done)
        }
        _ => ("decided", String::new(), Status::Done),
    };
    output.show(&json!({"schema": 1, "result": result}), || text);
    Ok(status)
}
