//! A word about certificates that are written down in a file, for the commands that change them by hand.

use livecert::store::{CertName, Store};

use crate::arguments::Globals;
use crate::output::Output;
use crate::terminal::write_err;

/// Says that a certificate is declared in a file, and what the next `apply` does about it.
pub(super) fn remind(store: &Store, cert: &CertName, then: &str, globals: &Globals, output: &Output) {
    let record = store.find_record(cert).ok().flatten();
    let Some(file) = record.and_then(|record| record.declared_in) else { return };
    if !output.is_json() && !globals.quiet {
        write_err(&format!(
            "note: {cert} is declared in {}: the next `livecert apply` {then}\n",
            file.display()
        ));
    }
}
