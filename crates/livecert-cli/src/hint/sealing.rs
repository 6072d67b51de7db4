//! What is wrong with the sealing key.

use livecert::secret::{KeyringError, SealError};

pub(super) fn seal(error: &SealError) -> String {
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
