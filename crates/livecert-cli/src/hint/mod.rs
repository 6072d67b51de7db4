//! The next step for each error, by topics.

mod acme;
mod order;
mod plugin;
mod proof;
mod sealing;
mod secret;
mod state;
mod words;

use livecert::certificate::{BundleError, CertificateError, DeploymentError, ServerError};
use livecert::key::{KeyError, Pkcs12Error};
use livecert::plugin::PluginError;
use livecert_acme::ProblemKind;

use acme::acme;
use proof::challenge;
use sealing::seal;
use secret::secret;
use state::{access, import, rollback, store};
use words::{argument, name, per_name};

pub(crate) use words::did_you_mean_one_of;

/// The key types that there are.
pub(crate) const KEY_TYPES: [&str; 6] = ["ec-256", "ec-384", "ec-521", "rsa-2048", "rsa-3072", "rsa-4096"];
/// The challenges that can be asked for.
pub(crate) const CHALLENGES: [&str; 6] =
    ["auto", "dns-01", "dns-account-01", "dns-persist-01", "http-01", "tls-alpn-01"];

/// What to do next, where there is something to do.
pub(crate) fn hint(error: &CertificateError) -> Option<String> {
    let text = match error {
        CertificateError::NoNames => {
            "name at least one domain, as in: livecert issue example.com '*.example.com'"
        }
        CertificateError::Name(error) => return name(error),
        CertificateError::ValidationNameTooLong { .. } => {
            "use a shorter name, or a wildcard of a name above it"
        }
        CertificateError::PerName(error) => return per_name(error),
        CertificateError::CertName(_) => {
            "give another name with --cert-name; `livecert list` shows those in use"
        }
        CertificateError::Server(ServerError::UnknownCode { similar: Some(code), .. }) => {
            return Some(format!("did you mean {code}?"));
        }
        CertificateError::Server(ServerError::Name(_) | ServerError::NameTaken { .. }) => {
            "give it another name; `livecert server list` shows those in use"
        }
        CertificateError::Server(ServerError::NotKnown(_)) => {
            "`livecert server list` shows those that are known"
        }
        CertificateError::ServerInUse { certificates, .. } if certificates.is_empty() => {
            "--deactivate-accounts ends its accounts first; --force drops their keys and leaves them as they are there"
        }
        CertificateError::ServerInUse { .. } => {
            "give those certificates another home first (`livecert issue` with another --server); --force removes it all the \
             same, and their next renewal needs a new account"
        }
        CertificateError::Server(_) => {
            "give a code such as LE_PROD or LE_STAGE, or the https URL of a directory"
        }
        CertificateError::NoTwin { .. } | CertificateError::NotATwin { .. } => {
            "name its staging server: --dry-run=LE_STAGE, or --dry-run=https://… with the URL of a directory"
        }
        CertificateError::NotDeclared { similar: Some(name), .. } => {
            return Some(format!("did you mean {name}?"));
        }
        CertificateError::NotDeclared { .. } => {
            "write it down in that file, or name one that is there; `livecert renew` and `livecert issue` are for all others"
        }
        CertificateError::Argument(error) => return argument(error),
        CertificateError::Store(error) => return store(error),
        CertificateError::Seal(error) => return Some(seal(error)),
        CertificateError::Network(_) => {
            "install the package ca-certificates, or name a PEM file with certificates with --ca-bundle"
        }
        CertificateError::AccountKey { .. } => {
            "bring back the sealing key and accounts/ from one backup, or remove that account's folder for a new account"
        }
        CertificateError::TermsNotAccepted { .. } => {
            "read the terms, then give --accept-tos to `livecert issue`, or to `livecert account new --server URL`"
        }
        CertificateError::ExternalAccountRequired { .. } => {
            "give --eab-kid ID and --eab-hmac-key SOURCE, which the CA shows in your account there; they are needed once"
        }
        CertificateError::ExternalAccountKey(_) => {
            "give the HMAC key as the CA shows it: base64url, and nothing else"
        }
        CertificateError::AddressInDns { .. } => {
            "prove it at the host: --plugin selfhost or --plugin webroot; Let's Encrypt also wants --profile shortlived"
        }
        CertificateError::WildcardAtHost { .. } => {
            "wildcards are proved in DNS: --plugin gandi, or a standing record (--challenge dns-persist-01)"
        }
        CertificateError::FixedByRequest { .. } => {
            "make another request with what you want in it; --key-type lets livecert have the key itself again"
        }
        CertificateError::NeedsAnother { .. } => {
            "`livecert issue` with the names and --cert-name gets one in its place"
        }
        CertificateError::NoKeyFor { .. } => {
            "make it beside your key, with `openssl pkcs12 -export`; --format pem and --pfx-password \"\" remove what is stored"
        }
        CertificateError::Format(format) => match format.0.as_str() {
            "pfx" | "p12" | "pkcs12" => "PFX files need a password: --pfx-password SOURCE",
            "jks" => "Java reads PFX files: --pfx-password SOURCE, and fullchain.pfx as the keystore",
            word => return did_you_mean_one_of(word, ["pem", "bundle", "der"]),
        },
        CertificateError::Key(KeyError::UnknownType(word)) => return did_you_mean_one_of(word, KEY_TYPES),
        CertificateError::ChallengeChoice(error) => return did_you_mean_one_of(&error.0, CHALLENGES),
        CertificateError::Key(KeyError::Pkcs12(error)) => match error {
            Pkcs12Error::UnknownEncryption(word) => return did_you_mean_one_of(word, ["modern", "legacy"]),
            _ => "use letters, digits and signs of ASCII for it, and as many of them as you like",
        },
        CertificateError::Access(error) => return access(error),
        CertificateError::ChallengeMismatch(mismatch) => {
            let shows = livecert::challenge::proof_kind(&mismatch.challenge);
            let able = plugin::names(|plugin| shows.is_some_and(|shows| plugin.proofs.contains(&shows)));
            return Some(format!("give another --plugin: {} can be proved with {able}", mismatch.challenge));
        }
        CertificateError::UnknownProfile { server, .. } => {
            return Some(format!("`livecert server profiles --server {server}` tells what each is for"));
        }
        CertificateError::LimitReached { server, .. } => {
            return Some(format!(
                "wait until then, or name servers to fall back to (--server, repeated); `livecert limits` shows what is used, and \
                 if that is wrong, `livecert server update {server} --limits none` leaves it to the CA"
            ));
        }
        CertificateError::Held { words, .. } if words.contains("https://") => {
            "do at the CA's URL above what it asks for, then use --force; or wait until then"
        }
        CertificateError::Held { .. } => {
            "wait until then; --server, repeated, names servers to fall back to; --force asks all the same"
        }
        CertificateError::Outage { .. } => {
            "run the same command again when it answers; --server, repeated, names servers to fall back to"
        }
        CertificateError::Waiting { cert, costly, .. } => {
            return Some(format!(
                "mend what the last error says; then `livecert renew {cert}{}` tries at once",
                if *costly { " --force" } else { "" }
            ));
        }
        CertificateError::NoStandingRecord { at, wanted, .. } => {
            return Some(format!(
                "write it once, on a host that has a token: `livecert persist publish`, or by hand: {at}. TXT \"{wanted}\""
            ));
        }
        CertificateError::NoIssuerName { .. } => "give it with --issuer; the CA's documents name it",
        CertificateError::OtherNamesRequested { .. } => {
            "leave the names out: they are taken from the request"
        }
        CertificateError::NothingToRevoke { .. } => {
            "give the name of a certificate in the store, or --cert-file FILE"
        }
        CertificateError::Secret { what, source } => return secret(what, source),
        CertificateError::NoAccount { .. } => {
            "make one with `livecert account new`, or issue a certificate there"
        }
        CertificateError::NoSuchAccount { known, .. } if known.is_empty() => {
            "`livecert account list` shows those at all servers; `livecert account new --name NAME` makes it"
        }
        CertificateError::NoSuchAccount { known, .. } => {
            return Some(format!("the accounts there are called {}", known.join(", ")));
        }
        CertificateError::AccountName(_) => {
            "give it another name; `livecert account list` shows those in use"
        }
        CertificateError::AccountInUse { .. } => {
            "give those certificates another account first (`livecert set CERT --account ACCOUNT`); --force removes it all \
             the same, and they are renewed with the account in use then"
        }
        CertificateError::SeveralAccounts { .. } => "name one with --account, or the names one by one",
        CertificateError::AccountExists { .. } => {
            "`livecert account show` tells about it; `livecert account new --name NAME` makes another one"
        }
        CertificateError::Acme { step: "making the account", source, .. }
            if source.problem().is_some_and(|problem| problem.kind() == ProblemKind::Unauthorized) =>
        {
            "see that --eab-kid and --eab-hmac-key are what the CA shows in your account there, and that --eab-alg is what it \
             wants; some CAs let such a pair be used only once"
        }
        CertificateError::Acme { source, .. } => return acme(source),
        CertificateError::NoServer { source, .. } => return hint(source),
        CertificateError::NoChallenge { .. } => {
            "use another --challenge or plugin that goes with what it offers, or another server"
        }
        CertificateError::Challenge(error) => return challenge(error),
        CertificateError::Refused { .. } => {
            "read the CA's words above; when it names CAA, DNSSEC or another server's answer, that has to be mended in \
             DNS first. Try with --server LE_STAGE until it works: failures at LE_PROD count against its limits"
        }
        CertificateError::Bundle(BundleError::Ended(_) | BundleError::NotYet(_)) => {
            "set this machine's clock"
        }
        CertificateError::Bundle(_) => {
            "try again; if it comes back, tell the CA: what it sent is not what was ordered"
        }
        CertificateError::RecordName { .. } => "give the full name, such as _acme-challenge.example.com",
        CertificateError::Caa { identity, refusals } => {
            let domain = refusals.first().map_or("the domain", |refusal| refusal.set.domain.as_str());
            return Some(format!(
                "add `{domain}. CAA 0 issue \"{identity}\"`, or use a CA that is allowed there"
            ));
        }
        CertificateError::Credential(PluginError::NotRenewable) => {
            "make a personal access token at account.gandi.net (docs/gandi.md shows how)"
        }
        CertificateError::Credential(_) => {
            "Gandi is said to renew a token only when fewer than 30 days are left; a new one can be made at account.gandi.net at any time"
        }
        CertificateError::NewCredential { .. } => {
            "try it with `livecert token check --plugin-arg GandiPAT=file:THAT_FILE`, then put it in the place of the old one"
        }
        CertificateError::LeftBehind { .. } => "run `livecert dns sweep` when the API works again",
        CertificateError::FileLeftBehind { .. } => "run `livecert dns sweep` when the file can be removed",
        CertificateError::Order(error) => return Some(order::hint(error)),
        CertificateError::Rollback(error) => rollback(error),
        CertificateError::Import(error) => return import(error),
        CertificateError::HookProgram { .. } => {
            "put the program there and make it executable (chmod +x), or name another one; nothing was rehearsed yet"
        }
        CertificateError::PreHook(_) => {
            "see what the hook says; --pre-hook replaces it, and --pre-hook \"\" does without"
        }
        CertificateError::PostHook(_) => {
            "look whether the service runs, and mend what the hook needs; `livecert renew` runs it again"
        }
        CertificateError::Deployment(error) => return Some(deployment(error)),
        CertificateError::Interrupted => "run the same command again",
        _ => return None,
    };
    Some(text.to_owned())
}

fn deployment(error: &DeploymentError) -> String {
    let again = match error.next_attempt {
        Some(next) => {
            format!("`livecert renew` tries again after {next:.0}, and `livecert renew CERT` at once")
        }
        None => "`livecert renew` tries again".to_owned(),
    };
    let what = match error.failure.is_not_served() {
        true => "see that the hook makes the service load the files in `livecert files CERT`",
        false => "mend what the hook needs",
    };
    format!("{what}; {again}. No other certificate is ordered for that")
}
