//! What is wrong with the place of a secret.

use livecert::secret::{KeyringError, KeyringItem, SecretError};

pub(super) fn secret(parameter: &str, error: &SecretError) -> Option<String> {
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
