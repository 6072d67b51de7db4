//! Accounts, as they are shown.

use livecert::certificate::KnownAccount;
use serde_json::{Value, json};

use crate::command::view::whole;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

pub(super) fn document(account: &KnownAccount) -> Value {
    let info = account.info.as_ref();
    json!({
        "server": account.server,
        "id": account.id,
        "name": account.name,
        "in_use": account.in_use,
        "url": account.url,
        "status": info.map(|info| info.status.to_string()),
        "problem": account.problem,
        "contact": contact(account),
        "key_type": account.key_type.map(|kind| kind.to_string()),
        "terms": account.terms,
        "created": account.created,
        "certificates": account.certificates,
    })
}

/// Mail addresses, as the server has them where it was asked.
fn contact(account: &KnownAccount) -> Vec<String> {
    let told = account.info.as_ref().map(|info| &info.contact).unwrap_or(&account.contact);
    told.iter().map(|contact| contact.strip_prefix("mailto:").unwrap_or(contact).to_owned()).collect()
}

pub(super) fn show(output: &Output, result: &str, account: &KnownAccount) -> Result<Status, Failure> {
    let mut document = document(account);
    document["schema"] = 1.into();
    document["result"] = result.into();
    output.show(&document, || {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |what: &str, value: String| rows.push(vec![what.to_owned(), value]);
        row("server", account.server.clone());
        row("id", account.id.clone());
        row("account", account.url.clone().unwrap_or_default());
        if let Some(info) = &account.info {
            row("status", info.status.to_string());
        }
        row("in use", if account.in_use { "yes" } else { "no" }.to_owned());
        row("contact", contact(account).join(", "));
        row("key", account.key_type.map(|kind| kind.to_string()).unwrap_or_default());
        row("terms", account.terms.clone().unwrap_or_default());
        row("made", whole(account.created).to_string());
        row("certificates", account.certificates.join(", "));
        let head = match result {
            "account" => String::new(),
            "in-use" => format!("The account {} is for new certificates at its server now.\n", account.id),
            _ => format!("Account {}.\n", result.replace('-', " ")),
        };
        head + &table(&rows)
    });
    Ok(Status::Done)
}

pub(super) fn show_list(output: &Output, accounts: &[KnownAccount]) {
    let all: Vec<_> = accounts.iter().map(document).collect();
    output.show(&json!({"schema": 1, "accounts": all}), || text(accounts));
}

fn text(accounts: &[KnownAccount]) -> String {
    if accounts.is_empty() {
        return "There are no such accounts; `livecert issue` and `livecert account new` make one.\n"
            .to_owned();
    }
    let asked = accounts.iter().any(|account| account.info.is_some() || account.problem.is_some());
    let mut head: Vec<&str> = vec!["", "ID", "SERVER", "CONTACT", "KEY", "CERTIFICATES", "MADE"];
    if asked {
        head.push("STATUS");
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(accounts.iter().map(|account| {
        let mut row = vec![
            if account.in_use { "*" } else { "" }.to_owned(),
            account.id.clone(),
            account.server.clone(),
            account.contact.join(", "),
            account.key_type.map(|kind| kind.to_string()).unwrap_or_default(),
            account.certificates.len().to_string(),
            whole(account.created).to_string(),
        ];
        if asked {
            let told = account.info.as_ref().map(|info| info.status.to_string());
            row.push(told.or(account.problem.clone()).unwrap_or_default());
        }
        row
    }));
    table(&rows)
}
