//! `livecert account list|new|show|use|update|rollover|export|deactivate|remove`.

mod view;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use livecert::certificate::{AccountRequest, CertificateError, KnownAccount};
use livecert::key::KeyType;
use livecert_acme::AccountKey;
use secrecy::ExposeSecret;
use serde_json::json;

use self::view::{show, show_list};
use super::issue::{external_account, read};
use super::server::chosen;
use crate::arguments::{self, ExternalAccount, Globals, OneAccount, OneServer};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};
use crate::terminal::Terminal;

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// The accounts in the store
    List(List),
    /// An account, as its server sees it
    Show(OneAccount),
    /// Make an account; the first at its server is in use there
    New(Box<New>),
    /// Let an account be the one in use at its server: for new certificates, and where `--account` names no other
    Use {
        /// Your name for it, its id or its URL
        #[arg(value_name = "ACCOUNT", allow_hyphen_values = true, value_parser = arguments::account)]
        account: String,
        /// ACME server [default: the one that has such an account]
        #[arg(long, env = "LIVECERT_SERVER", value_name = "CODE|URL")]
        server: Option<String>,
    },
    /// Change the name, the contacts, or accept the server's present terms
    Update {
        #[command(flatten)]
        at: OneAccount,
        /// Your name for it, instead of the id that its URL ends in; "" for none
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Mail address instead of the old ones; repeatable; "" for none
        #[arg(long, value_name = "MAIL")]
        contact: Vec<String>,
        /// Accept the server's present terms of service
        #[arg(long)]
        accept_tos: bool,
    },
    /// Give an account another key
    Rollover {
        #[command(flatten)]
        at: OneAccount,
        /// Type of the new key [default: ec-256]
        #[arg(long, value_name = "TYPE", conflicts_with = "key_file")]
        account_key_type: Option<String>,
        /// Use the private key in this file
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Print an account's private key, PEM
    Export {
        #[command(flatten)]
        at: OneAccount,
        /// Write it to this file (mode 0600) instead
        #[arg(long, value_name = "FILE")]
        output_file: Option<PathBuf>,
    },
    /// End an account at its server, for good
    Deactivate {
        #[command(flatten)]
        at: OneAccount,
        /// Do not ask
        #[arg(long)]
        force: bool,
    },
    /// Forget an account, with its key; certificates stay
    Remove {
        /// Your name for it, its id or its URL
        #[arg(value_name = "ACCOUNT", allow_hyphen_values = true, value_parser = arguments::account)]
        account: String,
        /// ACME server [default: the one that has such an account]
        #[arg(long, env = "LIVECERT_SERVER", value_name = "CODE|URL")]
        server: Option<String>,
        /// End it at the server first, for good
        #[arg(long)]
        deactivate: bool,
        /// Also if certificates are renewed with it, and without asking
        #[arg(long)]
        force: bool,
    },
}

/// Which accounts are listed.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Those at this server only
    #[arg(long, value_name = "CODE|URL")]
    server: Option<String>,
    /// Those that the server says stand like this; it is asked
    #[arg(long, value_name = "STATUS", value_parser = ["valid", "deactivated", "revoked"])]
    status: Option<String>,
    /// Those with this mail address; repeatable: with all of them
    #[arg(long, value_name = "MAIL")]
    contact: Vec<String>,
    /// Those with a key of this type; repeatable: of one of them
    #[arg(long, value_name = "TYPE")]
    key_type: Vec<String>,
    /// Ask the servers how they stand
    #[arg(long)]
    refresh: bool,
}

/// What an account is made with.
#[derive(Debug, Args)]
pub(crate) struct New {
    #[command(flatten)]
    server: OneServer,
    /// Your name for it, instead of the id that its URL ends in; makes another one where there is one
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Make another one although there is one, also without a name
    #[arg(long)]
    force: bool,
    /// Let it be the one in use
    #[arg(long = "use")]
    in_use: bool,
    /// Accept the server's terms of service
    #[arg(long)]
    accept_tos: bool,
    /// Mail address; repeatable
    #[arg(long, value_name = "MAIL")]
    contact: Vec<String>,
    /// Key type: ec-256, ec-384, ec-521, rsa-2048 to rsa-4096 [default: ec-256]
    #[arg(long, value_name = "TYPE", conflicts_with = "key_file")]
    account_key_type: Option<String>,
    /// Use the private key in this file: PEM (PKCS#8, SEC1, PKCS#1) or JWK
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Only find the account that the key has already
    #[arg(long, requires = "key_file")]
    only_existing: bool,
    #[command(flatten)]
    external: ExternalAccount,
}

pub(super) fn run(words: Account, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Account::List(words) => list(&words, globals, output),
        Account::Show(at) => {
            let (server, called) = at.find(globals)?;
            let account = context::block_on(async {
                Ok(context::service(globals)?.show_account(&server, called.as_deref()).await?)
            })?;
            show(output, "account", &account)
        }
        Account::New(words) => new(*words, globals, output),
        Account::Use { account, server } => {
            let (server, _) = context::account(Some(&account), server.as_deref(), globals)?;
            let account = context::block_on(async {
                Ok(context::service(globals)?.use_account(&server, &account).await?)
            })?;
            show(output, "in-use", &account)
        }
        Account::Update { at, name, contact, accept_tos } => {
            update(&at, name.as_deref(), &contact, accept_tos, globals, output)
        }
        Account::Rollover { at, account_key_type, key_file } => {
            let (server, called) = at.find(globals)?;
            let (kind, key) = (key_type(account_key_type.as_deref())?, key(key_file.as_deref())?);
            let account = context::block_on(async {
                Ok(context::service(globals)?.roll_over(&server, called.as_deref(), kind, key).await?)
            })?;
            show(output, "rolled-over", &account)
        }
        Account::Export { at, output_file } => export(&at, output_file.as_deref(), globals, output),
        Account::Deactivate { at, force } => {
            let (server, called) = at.find(globals)?;
            let which = called.as_deref().unwrap_or("in use");
            let question =
                format!("The account {which} at {server} will be of no use to anybody any more.\nEnd it?");
            agreed(force, &question, globals)?;
            let account = context::block_on(async {
                Ok(context::service(globals)?.deactivate_account(&server, called.as_deref()).await?)
            })?;
            show(output, "deactivated", &account)
        }
        Account::Remove { account, server, deactivate, force } => {
            let (server, _) = context::account(Some(&account), server.as_deref(), globals)?;
            let account = context::block_on(async {
                let service = context::service(globals)?;
                if !force {
                    let unused = service.unused_account(&server, &account)?;
                    agreed(
                        false,
                        &format!(
                            "Nobody can use the account {} any more without its key (`livecert account export` saves that).\n\
                         Remove it?",
                            unused.id
                        ),
                        globals,
                    )?;
                }
                Ok(service.remove_account(&server, &account, force, deactivate).await?)
            })?;
            show(output, "removed", &account)
        }
    }
}

/// Asks whether something that cannot be undone is to be done.
fn agreed(force: bool, question: &str, globals: &Globals) -> Result<(), Failure> {
    if force {
        return Ok(());
    }
    match Terminal::new(globals).agrees(question) {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::wrong("nothing was done")),
        None => Err(Failure::wrong("that cannot be undone, and nobody is there to be asked: give --force")),
    }
}

fn list(words: &List, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let server = words.server.as_deref().map(|server| chosen(Some(server), globals)).transpose()?;
    let types = words.key_type.iter().map(|text| text.parse::<KeyType>()).collect::<Result<Vec<_>, _>>();
    let types = types.map_err(CertificateError::from)?;
    let fits = |account: &KnownAccount| {
        let at_server = server.as_ref().is_none_or(|server| account.server == server.as_str());
        let has_contacts = words.contact.iter().all(|mail| account.contact.contains(mail));
        let of_type = |kind: KeyType| types.is_empty() || types.contains(&kind);
        at_server && has_contacts && account.key_type.map_or(types.is_empty(), of_type)
    };
    let mut accounts = context::block_on(async {
        let service = context::service(globals)?;
        let mut accounts = service.accounts()?;
        accounts.retain(fits);
        Ok(match words.refresh || words.status.is_some() {
            true => service.as_told(accounts).await?,
            false => accounts,
        })
    })?;
    if let Some(status) = &words.status {
        accounts
            .retain(|account| account.info.as_ref().is_some_and(|info| info.status.to_string() == *status));
    }
    show_list(output, &accounts);
    Ok(Status::Done)
}

fn new(words: New, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let server = chosen(words.server.server.as_deref(), globals)?;
    let request = AccountRequest {
        account: None,
        another: words.force || words.name.is_some(),
        name: words.name,
        accept_tos: words.accept_tos,
        contact: words.contact,
        key_type: key_type(words.account_key_type.as_deref())?,
        key: key(words.key_file.as_deref())?,
        external_account: external_account(&words.external)?,
    };
    let account = context::block_on(async {
        let service = context::service(globals)?;
        let account = match &request.key {
            Some(key) if words.only_existing => {
                service.recover_account(&server, key.clone(), request.name.as_deref()).await?
            }
            _ => service.new_account(&server, &request).await?,
        };
        match account.url.as_deref().filter(|_| words.in_use) {
            Some(url) => Ok(service.use_account(&server, url).await?),
            None => Ok(account),
        }
    })?;
    show(output, if words.only_existing { "found" } else { "made" }, &account)
}

fn update(
    at: &OneAccount,
    name: Option<&str>,
    contact: &[String],
    accept_tos: bool,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let told = !contact.is_empty() || accept_tos;
    if !told && name.is_none() {
        return Err(Failure::wrong("there is nothing to change: give --name, --contact or --accept-tos"));
    }
    let (server, called) = at.find(globals)?;
    let wanted: Vec<String> = contact.iter().filter(|mail| !mail.is_empty()).cloned().collect();
    let wanted = (!contact.is_empty()).then_some(wanted.as_slice());
    let account = context::block_on(async {
        let service = context::service(globals)?;
        let renamed = match name {
            Some(name) => Some(service.rename_account(&server, called.as_deref(), name).await?),
            None => None,
        };
        match (renamed, told) {
            (Some(renamed), false) => Ok(renamed),
            (renamed, _) => {
                // What it is called has changed a moment ago.
                let called = renamed.map(|renamed| renamed.id).or(called);
                Ok(service.update_account(&server, called.as_deref(), wanted, accept_tos).await?)
            }
        }
    })?;
    show(output, "updated", &account)
}

fn export(
    at: &OneAccount,
    path: Option<&Path>,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let (server, called) = at.find(globals)?;
    let pem = context::block_on(async {
        Ok(context::service(globals)?.export_account_key(&server, called.as_deref())?)
    })?;
    match path {
        Some(path) => {
            livecert::store::write_secret(path, pem.expose_secret().as_bytes())
                .map_err(CertificateError::from)?;
            output.show(&json!({"schema": 1, "result": "exported", "file": path}), || {
                format!("The account key is in {} (mode 0600).\n", path.display())
            });
        }
        None => output.show(&json!({"schema": 1, "result": "exported", "key": pem.expose_secret()}), || {
            pem.expose_secret().to_owned()
        }),
    }
    Ok(Status::Done)
}

fn key_type(text: Option<&str>) -> Result<Option<KeyType>, CertificateError> {
    Ok(text.map(str::parse).transpose()?)
}

/// The private key in a file: PEM or JWK.
fn key(path: Option<&Path>) -> Result<Option<AccountKey>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let key = if text.trim_start().starts_with('{') {
        AccountKey::from_jwk(&text)
    } else {
        AccountKey::from_pem(&text)
    };
    key.map(Some).map_err(|error| Failure::wrong(&format!("{}: {error}", path.display())))
}
