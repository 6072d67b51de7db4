//! `livecert account list|show|new|update|rollover|export|deactivate`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use livecert::certificate::{AccountRequest, CertificateError, KnownAccount};
use livecert::key::KeyType;
use livecert::secret::Prompter;
use livecert_acme::AccountKey;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::issue::{external_account, read};
use super::server::chosen;
use super::view::whole;
use crate::arguments::{ExternalAccount, Globals, OneServer};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};
use crate::terminal::Terminal;

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// The accounts in the store
    List,
    /// The account at a server, as the server sees it
    Show(OneServer),
    /// Make an account
    New {
        #[command(flatten)]
        server: OneServer,
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
    },
    /// Change the contacts, or accept the server's present terms
    Update {
        #[command(flatten)]
        server: OneServer,
        /// Mail address instead of the old ones; repeatable; "" for none
        #[arg(long, value_name = "MAIL")]
        contact: Vec<String>,
        /// Accept the server's present terms of service
        #[arg(long)]
        accept_tos: bool,
    },
    /// Give the account another key
    Rollover {
        #[command(flatten)]
        server: OneServer,
        /// Type of the new key [default: ec-256]
        #[arg(long, value_name = "TYPE", conflicts_with = "key_file")]
        account_key_type: Option<String>,
        /// Use the private key in this file
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Print the account's private key, PEM
    Export {
        #[command(flatten)]
        server: OneServer,
        /// Write it to this file (mode 0600) instead
        #[arg(long, value_name = "FILE")]
        output_file: Option<PathBuf>,
    },
    /// End the account at the server, for good
    Deactivate {
        #[command(flatten)]
        server: OneServer,
        /// Do not ask
        #[arg(long)]
        force: bool,
    },
}

pub(super) fn run(words: Account, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Account::List => {
            let accounts = context::block_on(async { Ok(context::service(globals)?.accounts()?) })?;
            let all: Vec<_> = accounts.iter().map(document).collect();
            output.show(&json!({"schema": 1, "accounts": all}), || list(&accounts));
            Ok(Status::Done)
        }
        Account::Show(server) => {
            let server = chosen(server.server.as_deref(), globals)?;
            let account =
                context::block_on(async { Ok(context::service(globals)?.show_account(&server).await?) })?;
            show(output, "account", &account)
        }
        Account::New { server, accept_tos, contact, account_key_type, key_file, only_existing, external } => {
            let server = chosen(server.server.as_deref(), globals)?;
            let external_account = external_account(&external)?;
            let (key_type, key) = (key_type(account_key_type.as_deref())?, key(key_file.as_deref())?);
            let request = AccountRequest { accept_tos, contact, key_type, key, external_account };
            let account = context::block_on(async {
                let service = context::service(globals)?;
                Ok(match &request.key {
                    Some(key) if only_existing => service.recover_account(&server, key.clone()).await?,
                    _ => service.new_account(&server, &request).await?,
                })
            })?;
            show(output, if only_existing { "found" } else { "made" }, &account)
        }
        Account::Update { server, contact, accept_tos } => {
            if contact.is_empty() && !accept_tos {
                return Err(Failure::wrong("there is nothing to change: give --contact or --accept-tos"));
            }
            let server = chosen(server.server.as_deref(), globals)?;
            let wanted: Vec<String> = contact.iter().filter(|mail| !mail.is_empty()).cloned().collect();
            let wanted = (!contact.is_empty()).then_some(wanted.as_slice());
            let account = context::block_on(async {
                Ok(context::service(globals)?.update_account(&server, wanted, accept_tos).await?)
            })?;
            show(output, "updated", &account)
        }
        Account::Rollover { server, account_key_type, key_file } => {
            let server = chosen(server.server.as_deref(), globals)?;
            let (kind, key) = (key_type(account_key_type.as_deref())?, key(key_file.as_deref())?);
            let account = context::block_on(async {
                Ok(context::service(globals)?.roll_over(&server, kind, key).await?)
            })?;
            show(output, "rolled-over", &account)
        }
        Account::Export { server, output_file } => export(&server, output_file.as_deref(), globals, output),
        Account::Deactivate { server, force } => {
            let server = chosen(server.server.as_deref(), globals)?;
            let question = format!("The account at {server} will be of no use to anybody any more.\n");
            if !force && !Terminal::new(globals).confirm(&question) {
                return Err(Failure::wrong("deactivating an account cannot be undone: give --force"));
            }
            let account = context::block_on(async {
                Ok(context::service(globals)?.deactivate_account(&server).await?)
            })?;
            show(output, "deactivated", &account)
        }
    }
}

fn export(
    server: &OneServer,
    path: Option<&Path>,
    globals: &Globals,
    output: &Output,
) -> Result<Status, Failure> {
    let server = chosen(server.server.as_deref(), globals)?;
    let pem = context::block_on(async { Ok(context::service(globals)?.export_account_key(&server)?) })?;
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

fn document(account: &KnownAccount) -> Value {
    let info = account.info.as_ref();
    json!({
        "server": account.server,
        "url": account.url,
        "status": info.map(|info| info.status.to_string()),
        "contact": contact(account),
        "terms": account.terms,
        "created": account.created,
    })
}

/// Mail addresses, as the server has them where it was asked.
fn contact(account: &KnownAccount) -> Vec<String> {
    let told = account.info.as_ref().map(|info| &info.contact).unwrap_or(&account.contact);
    told.iter().map(|contact| contact.strip_prefix("mailto:").unwrap_or(contact).to_owned()).collect()
}

fn show(output: &Output, result: &str, account: &KnownAccount) -> Result<Status, Failure> {
    let mut document = document(account);
    document["schema"] = 1.into();
    document["result"] = result.into();
    output.show(&document, || {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
        row("server", account.server.clone());
        row("account", account.url.clone().unwrap_or_default());
        if let Some(info) = &account.info {
            row("status", info.status.to_string());
        }
        row("contact", contact(account).join(", "));
        row("terms", account.terms.clone().unwrap_or_default());
        row("made", whole(account.created).to_string());
        let head = if result == "account" {
            String::new()
        } else {
            format!("Account {}.\n", result.replace('-', " "))
        };
        head + &table(&rows)
    });
    Ok(Status::Done)
}

fn list(accounts: &[KnownAccount]) -> String {
    if accounts.is_empty() {
        return "There are no accounts yet; `livecert issue` and `livecert account new` make one.\n"
            .to_owned();
    }
    let mut rows = vec![["SERVER", "ACCOUNT", "CONTACT", "MADE"].map(str::to_owned).to_vec()];
    rows.extend(accounts.iter().map(|account| {
        vec![
            account.server.clone(),
            account.url.clone().unwrap_or_default(),
            account.contact.join(", "),
            whole(account.created).to_string(),
        ]
    }));
    table(&rows)
}
