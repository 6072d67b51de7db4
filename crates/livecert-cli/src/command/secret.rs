//! `livecert secret rotate`.

use clap::{Args, Subcommand};
use livecert::certificate::Rotated;
use serde_json::json;

use crate::arguments::Globals;
use crate::context::{self, key_place};
use crate::failure::Failure;
use crate::output::{Output, Status};
use crate::terminal::write_err;

#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Make a new sealing key, and seal everything anew with it
    Rotate(Rotate),
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// Where the new key goes: file:PATH, systemd-cred:NAME or keyring:SERVICE/USER [default: where the old one is]
    #[arg(long, value_name = "SOURCE")]
    to: Option<String>,
    /// The old key is gone: give up what it has sealed, which is told
    #[arg(long)]
    key_lost: bool,
}

pub(super) fn run(words: &Secret, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let Secret::Rotate(words) = words;
    let to = words.to.as_deref().map(key_place).transpose()?;
    let waiting = |holder: &str| {
        if !globals.quiet {
            write_err(&format!("waiting: {holder} is at work in the state folder\n"));
        }
    };
    let rotated = context::block_on(async {
        let service = context::service(globals)?;
        Ok(service.rotate_sealing_key(to.as_ref(), words.key_lost, waiting).await?)
    })?;
    let document = json!({
        "schema": 1,
        "rotated": rotated.waiting.is_none(),
        "sealing_key": rotated.place,
        "key_id": rotated.key,
        "sealed": rotated.sealed,
        "unreadable": rotated.unreadable,
        "old_key": rotated.old,
        "waiting": rotated.waiting.as_ref().map(|waiting| json!({"to": waiting.to, "file": waiting.file})),
    });
    output.show(&document, || text(&rotated));
    Ok(Status::Done)
}

fn text(rotated: &Rotated) -> String {
    if let Some(waiting) = &rotated.waiting {
        let name = waiting.to.trim_start_matches("systemd-cred:");
        return format!(
            "A new sealing key is in {file}, and not in force yet: livecert cannot write {to}.\n  \
             Bring it there:  systemd-creds encrypt --name={name} '{file}' /etc/credstore.encrypted/{name}\n  \
             As soon as the unit is started with it, the next livecert in that unit seals everything anew and removes the file.\n  \
             Until then the key in {place} stays in force.\n",
            file = waiting.file.display(),
            to = waiting.to,
            place = rotated.place,
        );
    }
    let mut text = format!(
        "The new sealing key is in {} (id {}). Values sealed anew with it: {}.\n",
        rotated.place, rotated.key, rotated.sealed
    );
    for lost in &rotated.unreadable {
        text.push_str(&format!("  LOST: {lost}: no key opens it; give it again with `livecert issue`\n"));
    }
    if let Some(old) = &rotated.old {
        text.push_str(&format!(
            "  The old key is still in {old}: backups of the state folder need it. Remove it when you keep none.\n"
        ));
    }
    text
}
