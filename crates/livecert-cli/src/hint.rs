//! The next step for each error.

mod order;
mod plugin;

use livecert::certificate::{
    BundleError, CertificateError, DeploymentError, NameError, PerNameError, RollbackError, ServerError,
};
use livecert::challenge::ChallengeError;
use livecert::dns::AuthorityError;
use livecert::import::ImportError;
use livecert::key::{KeyError, Pkcs12Error};
use livecert::plugin::{ArgumentError, PluginError};
use livecert::secret::{KeyringError, KeyringItem, SealError, SecretError};
use livecert::store::{AccessError, StoreError};
use livecert_acme::{ErrorClass, Problem, ProblemKind, TransportError};

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
            _ => return None,
        },
        CertificateError::Key(KeyError::Pkcs12(error)) => match error {
            Pkcs12Error::UnknownEncryption(_) => return None,
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
        CertificateError::Held { words, .. } if words.contains("https://") => {
            "do at the CA's URL above what it asks for, then use --force; or wait until then"
        }
        CertificateError::Held { .. } => {
            "wait until then; --server, repeated, names servers to fall back to; --force asks all the same"
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
            "make it with `livecert account new --name NAME`"
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

fn rollback(error: &RollbackError) -> &'static str {
    match error {
        RollbackError::NothingBefore { .. } => {
            "`livecert show CERT` lists the generations; `livecert renew CERT --force` gets a new certificate"
        }
        RollbackError::NoSuchGeneration { .. } => "`livecert show CERT` lists the generations",
        RollbackError::Ended { .. } => {
            "clients do not accept it any more: `livecert renew CERT --force` gets a new one; with --force this one is \
             made current all the same"
        }
        _ => {
            "the current one is still in place: `livecert rollback CERT --to N` takes another generation, and \
             `livecert renew CERT --force` gets a new certificate"
        }
    }
}

fn import(error: &ImportError) -> Option<String> {
    Some(match error {
        ImportError::UnknownClient(_) => {
            format!("the clients are {}", livecert::import::Client::ALL.map(|(name, _)| name).join(", "))
        }
        ImportError::Folder { .. } => {
            "give the client's folder, and run this as its owner or as root".to_owned()
        }
        ImportError::OtherFolder { .. } | ImportError::Nothing { .. } => {
            "give the folder that the client keeps its state in".to_owned()
        }
        _ => return None,
    })
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

fn access(error: &AccessError) -> Option<String> {
    let text = match error {
        AccessError::UnknownUser(_) | AccessError::UnknownGroup(_) => {
            "check the spelling; a number does where it has no name here, as for a container"
        }
        AccessError::KeyForEverybody(_) => {
            "give it to those who need it: --group GROUP lets a group read it, --owner USER one user"
        }
        AccessError::NoMode(_) | AccessError::Mode { .. } => {
            "--key-mode 0640 lets the group read, --cert-mode 0644 everybody"
        }
        AccessError::NotAllowed { .. } => {
            "run livecert as root; without that, --group works for a group that you are a member of"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn name(error: &NameError) -> Option<String> {
    Some(match error {
        NameError::Wildcard(_) => {
            "one wildcard covers one level: '*.example.com' covers a.example.com, and not a.b.example.com"
                .to_owned()
        }
        NameError::Character { character: ':' | '/' | '@', .. } => {
            "give the domain name alone, without scheme, port, path or user".to_owned()
        }
        _ => return None,
    })
}

fn argument(error: &ArgumentError) -> Option<String> {
    Some(match error {
        ArgumentError::UnknownPlugin { similar, .. } => {
            did_you_mean(similar.as_deref(), &format!("the plugins are {}", plugin::names(|_| true)))
        }
        ArgumentError::UnknownParameter { plugin, similar, .. } => {
            let parameters = livecert::plugin::find(plugin)
                .map(|plugin| plugin.parameters.iter().map(|parameter| parameter.name).collect::<Vec<_>>());
            let all = parameters.map(|names| names.join(", ")).unwrap_or_default();
            let all =
                if all.is_empty() { "it has none".to_owned() } else { format!("its parameters are {all}") };
            did_you_mean(similar.as_deref(), &all)
        }
        ArgumentError::WithoutPlugin => "name the plugin too, as in: --plugin gandi".to_owned(),
        ArgumentError::NoEquals => {
            "write it as in: --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat".to_owned()
        }
        ArgumentError::Repeated(_) => "give it once".to_owned(),
        ArgumentError::NoOwnCredential { argument, .. } => format!("give --plugin-arg {argument}"),
        ArgumentError::UnknownLabel { label } => format!(
            "give it what it is for: --plugin-arg {label}:KEY=SOURCE, or name its plugin, as in gandi@{label}"
        ),
        ArgumentError::Whose { name, plugins, .. } => format!(
            "say whose it is: --plugin-arg {}:{name}=…, or another of {}",
            plugins.first().unwrap_or(&"PLUGIN"),
            plugins.join(", ")
        ),
        ArgumentError::Unused { publisher } => match publisher.split_once('@') {
            Some((_, label)) => {
                format!("give it a zone, --zone ZONE={label}, or a name, --plugin PATTERN={publisher}")
            }
            None => format!("give it a name, --plugin PATTERN={publisher}, or leave its arguments out"),
        },
        ArgumentError::LiteralSecret(parameter) => format!(
            "arguments can be read by every user of this machine, so a secret is never one. Give {parameter}=prompt, \
             {parameter}=file:PATH, {parameter}=env:VAR, {parameter}=cmd:COMMAND, {parameter}=systemd-cred:NAME or \
             {parameter}=keyring:SERVICE/USER. \
             If that was a real token, it is in your shell's history now: replace it"
        ),
        ArgumentError::TwoCredentials(first, _) => format!("keep one of them; {first} is the one to prefer"),
        ArgumentError::NoCredential { parameter, variables, .. } => {
            let variables = if variables.is_empty() {
                String::new()
            } else {
                format!(", or set one of {}", variables.join(", "))
            };
            format!("give --plugin-arg {parameter}=file:PATH{variables}; at a terminal it is asked for")
        }
        ArgumentError::Secret { parameter, source } => return secret(parameter, source),
        ArgumentError::Sealed { source, .. } if !matches!(source, SealError::CannotOpen { .. }) => {
            seal(source)
        }
        ArgumentError::Sealed { parameter, .. } => {
            let option = if parameter.starts_with("--") { "" } else { "--plugin-arg " };
            format!("give the secret again: livecert set CERT {option}{parameter}=…")
        }
        ArgumentError::Missing { plugin, parameter, .. } => {
            format!("give --plugin-arg {parameter}=…; `livecert plugin show {plugin}` tells how to set it up")
        }
        ArgumentError::Invalid { parameter: "GandiApiBaseUrl", .. } => {
            "leave out GandiApiBaseUrl: the default is the current host".to_owned()
        }
        ArgumentError::Invalid { .. } => return None,
        ArgumentError::NeedsTerminal { .. } => {
            "run it at a terminal; or give --non-interactive, which prints what is to be done and goes on; or let \
             `livecert order new` print it and end, and `livecert order solve CERT` go on later. A plugin such as gandi does \
             it itself"
                .to_owned()
        }
        _ => return None,
    })
}

fn did_you_mean(similar: Option<&str>, otherwise: &str) -> String {
    similar.map_or_else(|| otherwise.to_owned(), |similar| format!("did you mean {similar}?"))
}

fn secret(parameter: &str, error: &SecretError) -> Option<String> {
    Some(match error {
        SecretError::FileMode { path, .. } => format!("chmod 600 '{}'", path.display()),
        SecretError::File { .. } => {
            format!("check the path; the file holds the secret and nothing else ({parameter}=file:PATH)")
        }
        SecretError::EnvMissing(variable) => {
            format!("set {variable}, and see that the program that starts livecert passes it on")
        }
        SecretError::Empty(_) => "put the secret there, and nothing else".to_owned(),
        SecretError::NotOneLine(_) => "leave the secret there on one line, and nothing else".to_owned(),
        SecretError::Command(_) => {
            "run the command by hand: it has to print the secret, and end with status 0".to_owned()
        }
        SecretError::NoCredentialsDirectory => {
            "this source works in a systemd unit with LoadCredential=; use file: or env: elsewhere".to_owned()
        }
        SecretError::NoTerminal(_) => {
            format!("give {parameter}=file:PATH or {parameter}=env:VAR, which need nobody at a terminal")
        }
        SecretError::NotInKeyring(item) => return Some(store_in_keyring(item)),
        SecretError::Keyring(item, error) => keyring(item, error),
        SecretError::MissingOperand("keyring") => {
            "write it as keyring:SERVICE/USER, such as keyring:livecert/gandi".to_owned()
        }
        SecretError::MissingOperand(_) => {
            "write it as in file:/etc/livecert/gandi.pat or env:GANDI_PAT".to_owned()
        }
        _ => return None,
    })
}

/// How a secret comes into the keyring.
fn store_in_keyring(item: &KeyringItem) -> String {
    let (service, user) = (item.service(), item.user());
    format!("store it there: secret-tool store --label=livecert service '{service}' username '{user}'")
}

fn keyring(item: &KeyringItem, error: &KeyringError) -> String {
    match error {
        KeyringError::NotBuilt => {
            "use file:PATH or systemd-cred:NAME, or build livecert with its feature 'keyring'".to_owned()
        }
        KeyringError::Unavailable(_) => {
            "a keyring belongs to somebody who is logged in at a desktop. On a server, and in a timer, use file:PATH \
             or systemd-cred:NAME"
                .to_owned()
        }
        KeyringError::Locked => {
            "unlock it (log in, or open your password manager) and run it again; for runs with nobody there use \
             file:PATH or systemd-cred:NAME"
                .to_owned()
        }
        KeyringError::Silent(_) => format!(
            "look whether it waits for a person: secret-tool lookup service '{}' username '{}'",
            item.service(),
            item.user()
        ),
        _ => "look at it with your password manager, or use file:PATH or systemd-cred:NAME".to_owned(),
    }
}

fn seal(error: &SealError) -> String {
    match error {
        SealError::NoPlace => {
            "give --sealing-key file:PATH, --sealing-key systemd-cred:NAME or --sealing-key keyring:SERVICE/USER. If that \
             was a real key, it is in your shell's history now: `livecert secret rotate`"
                .to_owned()
        }
        SealError::KeyFileMode { path, .. } => format!("chmod 600 '{}'", path.display()),
        SealError::CannotOpen { .. } => {
            "bring it back from a backup that was made with this key, or give the secret again with `livecert issue`".to_owned()
        }
        SealError::KeyMissing { .. } => {
            "bring the key back from a backup, or say where it is with --sealing-key; all else is there: certificates, \
             their keys and settings, and secrets with a source. If it is gone for good, `livecert secret rotate \
             --key-lost` makes a new one; then give the secrets above again"
                .to_owned()
        }
        SealError::WrongKey { .. } => {
            "bring back the key from the same backup as the rest of the state folder, or name the right place with \
             --sealing-key. If the right one is gone for good, move this one away, and `livecert secret rotate --key-lost` \
             makes a new one"
                .to_owned()
        }
        SealError::NotLost { .. } => {
            "a new key comes by `livecert secret rotate`, without --key-lost, and loses nothing. To give it up even so, \
             move it away"
                .to_owned()
        }
        SealError::KeyDamaged { .. } => {
            "bring it back from a backup. If it is gone for good, move it away, and `livecert secret rotate --key-lost` \
             makes a new one"
                .to_owned()
        }
        SealError::Keyring { source, .. } => match source {
            KeyringError::Locked => "unlock it (log in, or open your password manager), and run it again".to_owned(),
            _ => "run it where that keyring is; `livecert secret rotate --to file:PATH` there keeps the key elsewhere. If it is gone \
                  for good, move sealing.json away, and `livecert secret rotate --key-lost` makes a new key"
                .to_owned(),
        },
        SealError::NoCredential { .. } => {
            "run it in the unit with LoadCredential= or LoadCredentialEncrypted= for it (docs/security.md shows how)".to_owned()
        }
        SealError::NotWritable { .. } => {
            "make it once: head -c 32 /dev/urandom | base64 | systemd-creds encrypt --name=NAME - \
             /etc/credstore.encrypted/NAME"
                .to_owned()
        }
        SealError::Occupied { .. } => {
            "name another place with --to, or take away what is there if nothing needs it any more".to_owned()
        }
        _ => "see that the state folder belongs to you and can be written".to_owned(),
    }
}

fn store(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::HomeMode { path, .. } => {
            format!(
                "hooks in it run with your rights: see that nobody else's files are in it, then `chmod o-w {}`",
                path.display()
            )
        }
        StoreError::Home { .. } => "name a folder that you can write with --home or LIVECERT_HOME".to_owned(),
        StoreError::Write { .. } => {
            "see that the disk has room and the folder belongs to you; what was there before is still whole"
                .to_owned()
        }
        StoreError::NotAsWritten { .. } => {
            "see whether the disk is sound and no other program writes into the state folder; what was there before is still whole"
                .to_owned()
        }
        StoreError::Damaged { path, .. } => match error.backup() {
            Some(copy) => format!(
                "{} is how it was before an update of livecert: look at it, and copy it to {} if nothing was changed since",
                copy.display(),
                path.display()
            ),
            None => format!(
                "bring back {} from a backup, or move it away and issue the certificate again; the others are not affected",
                path.display()
            ),
        },
        StoreError::NewerVersion { path, found, known } => format!(
            "use the newer livecert that wrote it{}",
            (1..=*known)
                .rev()
                .map(|version| format!("{}.v{version}", path.display()))
                .find(|copy| std::path::Path::new(copy).exists())
                .map(|copy| format!("; {copy} is how it was before it wrote version {found}"))
                .unwrap_or_default()
        ),
        StoreError::NoSuchCertificate { similar: Some(similar), .. } => format!("did you mean {similar}?"),
        StoreError::NoSuchCertificate { .. } => "`livecert list` shows what is there".to_owned(),
        StoreError::Locked { .. } if crate::context::is_in_hook() => {
            "a hook cannot work on a certificate of its own run, which holds the lock until the hook has ended; --lock-timeout \
             DURATION waits for another one"
                .to_owned()
        }
        StoreError::Locked { .. } => {
            "wait until it has ended, or end it; --lock-timeout DURATION waits longer".to_owned()
        }
        StoreError::NotLockable { .. } => {
            "put the state folder on a local disk, or on a mount that has locks (docs/store.md tells which)"
                .to_owned()
        }
        _ => return None,
    })
}

fn acme(error: &livecert_acme::Error) -> Option<String> {
    use livecert_acme::Error;
    Some(match error {
        Error::Transport { source: TransportError::Tls(_), .. } => {
            "if this is a server of your own, name its root certificate with --ca-bundle FILE; there is no way to go on without".to_owned()
        }
        Error::Transport { source: TransportError::TooLarge, .. } => NO_ACME.to_owned(),
        Error::Transport { .. } => "check the URL, the network and this machine's DNS, then try again; nothing was changed".to_owned(),
        Error::NotADirectory { .. } => "give the URL of the directory, such as https://acme-v02.api.letsencrypt.org/directory".to_owned(),
        Error::RetryLater { problem, .. } => match problem.as_ref().and_then(|problem| problem.is_paused()) {
            Some(url) => format!("the CA has paused this account for these names: open {url}, then use --force"),
            None => "wait until then; trying sooner makes it later. The next runs wait by themselves".to_owned(),
        },
        Error::Unsettled { .. } => {
            "the CA is slow: run it again. What is proved stays proved; a longer --validation-timeout waits longer for a validation".to_owned()
        }
        Error::NotOffered(_) => "`livecert server show` tells what a server offers".to_owned(),
        Error::Problem(problem) => match problem.kind() {
            ProblemKind::RateLimited => "wait until the moment that the CA names".to_owned(),
            ProblemKind::UserActionRequired => changed_terms(problem),
            ProblemKind::RejectedIdentifier => "this CA does not give certificates for that name".to_owned(),
            ProblemKind::Caa => "a CAA record of the domain does not allow this CA: add it there".to_owned(),
            ProblemKind::InvalidContact | ProblemKind::UnsupportedContact => "give another --contact, or none".to_owned(),
            ProblemKind::ServerInternal => out_of_order(),
            _ if error.class() == ErrorClass::AccountGone => {
                "the CA does not know this account any more: the next `livecert issue` or `livecert renew` makes a new one".to_owned()
            }
            _ if problem.detail.as_deref().is_some_and(|words| words.to_ascii_lowercase().contains("notafter")) => {
                "leave out --lifetime-days; `--lifetime-days 0` removes what is stored".to_owned()
            }
            _ => "the CA's words tell what it does not like; if they are of no help, run the same command again, and ask the CA \
                 with the requests that -vv shows"
                .to_owned(),
        },
        Error::Http { status, .. } if *status >= 500 => out_of_order(),
        _ => NO_ACME.to_owned(),
    })
}

/// What answers is not what an ACME server would say.
const NO_ACME: &str = "this is not how ACME servers answer: check the URL of the directory, and what is in between (a proxy, a \
                       portal of the network); -vv shows every request";

fn changed_terms(problem: &Problem) -> String {
    let urls = [problem.terms_of_service.as_deref(), problem.instance.as_deref()];
    let urls: Vec<&str> = urls.into_iter().flatten().collect();
    let urls = if urls.is_empty() { "them at the CA's site".to_owned() } else { urls.join(" and ") };
    format!(
        "the CA's terms have changed: read {urls}, then run `livecert account update --accept-tos`, or give --accept-tos to \
         `livecert issue`"
    )
}

fn out_of_order() -> String {
    "the CA is out of order: run the same command again later, it goes on where it stopped; --server, repeated, names \
     servers to fall back to"
        .to_owned()
}

fn per_name(error: &PerNameError) -> Option<String> {
    Some(match error {
        PerNameError::Mixed { option } => {
            format!("give all of them as PATTERN=VALUE, with {option} '*=VALUE' for the rest, or none")
        }
        PerNameError::NoEquals { option: "--zone" } => {
            "give ZONE=LABEL, and the label's credential with --plugin-arg LABEL:KEY=SOURCE".to_owned()
        }
        PerNameError::FitsNone { .. } => {
            "check the spelling: NAME is for that name alone, *.NAME for all below it, * for all".to_owned()
        }
        PerNameError::Silent { .. } => {
            "give --plugin '*=PLUGIN' for the names that no pattern fits".to_owned()
        }
        PerNameError::AliasWithoutTxt { name, .. } => {
            format!(
                "say for which names it is: --dns-alias PATTERN=FQDN, with --dns-alias '{name}=' for none"
            )
        }
        _ => return None,
    })
}

fn challenge(error: &ChallengeError) -> Option<String> {
    Some(match error {
        ChallengeError::Resolver(_) => "name a resolver with --resolver ADDR".to_owned(),
        ChallengeError::Authority { source: AuthorityError::NoZone { .. }, .. } => {
            "check the spelling, and that the domain is registered and its name servers are set".to_owned()
        }
        ChallengeError::Authority { source: AuthorityError::Loop { .. }, .. } => "mend the CNAME records".to_owned(),
        ChallengeError::Authority { source, .. } if source.is_silence() => {
            "see that this machine has a network. Where it lets no DNS out, name a resolver that is asked over HTTPS: \
             --resolver https://…"
                .to_owned()
        }
        ChallengeError::Authority { .. } => {
            "look with `dig +trace`; if this machine's resolver is not to be trusted, name another with --resolver ADDR".to_owned()
        }
        ChallengeError::Propagation(_) => {
            "if the DNS service is only slow, give a longer --propagation-timeout; if a server never shows the record, the zone \
             is not delegated to that service, or somebody else removes the value"
                .to_owned()
        }
        ChallengeError::NoWriter { zone, .. } => format!(
            "give what is for it: --plugin-arg LABEL:KEY=SOURCE with --zone {zone}=LABEL; what was given for other zones is not \
             tried there"
        ),
        ChallengeError::TwoWriters { .. } => {
            "give both names the same plugin, or the zone one credential: --zone ZONE=LABEL".to_owned()
        }
        ChallengeError::Alias { name, alias, .. } => format!(
            "make it: {name}. CNAME {alias}. If it is there for the world, and this machine sees another DNS, name a public \
             resolver with --resolver"
        ),
        ChallengeError::Plugin(error) | ChallengeError::Prepare { source: error, .. } => {
            return plugin::hint(error);
        }
        _ => return None,
    })
}
