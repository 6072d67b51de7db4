//! `livecert challenge key-auth|account-label`.

use clap::Subcommand;
use livecert_acme::Token;
use serde_json::json;

use super::server::chosen;
use crate::arguments::{Globals, OneServer};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

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
        server: OneServer,
    },
    /// The label of an account in the names of dns-account-01
    AccountLabel {
        /// The account's URL [default: the account at the server]
        #[arg(value_name = "URL")]
        account: Option<String>,
        #[command(flatten)]
        server: OneServer,
    },
}

pub(super) fn run(words: &Challenge, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Challenge::KeyAuth { token, dns, server } => {
            let token = Token::new(token)
                .map_err(|_| Failure::wrong("a token has letters, digits, '-' and '_' only"))?;
            let server = chosen(server.server.as_deref(), globals)?;
            let authorization = context::block_on(async {
                Ok(context::service(globals)?.key_authorization(&server, &token)?)
            })?;
            let shown = if *dns { authorization.dns_value() } else { authorization.as_str().to_owned() };
            let document = json!({
                "schema": 1,
                "key_authorization": authorization.as_str(),
                "dns_value": authorization.dns_value(),
            });
            output.show(&document, || format!("{shown}\n"));
        }
        Challenge::AccountLabel { account, server } => {
            let account = match account {
                Some(account) => account.clone(),
                None => {
                    let server = chosen(server.server.as_deref(), globals)?;
                    context::block_on(async { Ok(context::service(globals)?.account_url(&server)?) })?
                }
            };
            let label = livecert_acme::dns_account_label(&account);
            let prefix = format!("{label}._acme-challenge");
            output.show(&json!({"schema": 1, "account": account, "label": label, "prefix": prefix}), || {
                format!("{prefix}\n")
            });
        }
    }
    Ok(Status::Done)
}
