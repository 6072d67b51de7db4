//! `livecert list`.

use livecert::certificate::CertificateError;
use serde_json::json;

use super::view::{CertificateView, Damage, distance, moment};
use crate::arguments::Globals;
use crate::context;
use crate::failure::{Failure, describe};
use crate::output::{Output, Status, table};
use crate::terminal::write_err;

pub(super) fn run(globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let store = context::store(globals)?;
    let (mut certificates, mut damaged) = (Vec::new(), Vec::new());
    for name in store.cert_names().map_err(CertificateError::from)? {
        match CertificateView::read(&store, &name) {
            Ok(certificate) => certificates.push(certificate),
            Err(error) => {
                let error = CertificateError::from(error);
                write_err(&describe(&error));
                damaged.push(Damage { name: name.to_string(), error: error.to_string() });
            }
        }
    }
    // What ends first comes first; what has nothing yet comes before all.
    certificates.sort_by_key(|certificate| certificate.current.as_ref().map(|current| current.not_after));
    output.show(&json!({"schema": 1, "certificates": certificates, "damaged": damaged}), || {
        text(&certificates)
    });
    Ok(Status::of(certificates.len(), damaged.len()))
}

fn text(certificates: &[CertificateView]) -> String {
    if certificates.is_empty() {
        return "There are no certificates yet; `livecert issue` makes one.\n".to_owned();
    }
    let now = jiff::Timestamp::now();
    let mut rows = vec![["NAME", "STATE", "ENDS", "RENEWAL", "NAMES"].map(str::to_owned).to_vec()];
    for certificate in certificates {
        let (state, ends, renewal) = match &certificate.current {
            Some(current) => {
                let renewal =
                    if now >= current.renew_at { "now".into() } else { distance(current.renew_at, now) };
                let ends = format!("{} ({})", moment(current.not_after), distance(current.not_after, now));
                (current.state(now), ends, renewal)
            }
            None => ("missing", String::new(), "now".to_owned()),
        };
        let mut state = state.to_owned();
        if let Some(open) = certificate.deployment.as_ref().filter(|deployment| deployment.is_open()) {
            state = format!("{state}, {}", open.word());
        }
        if certificate.failures.is_some_and(|failures| failures > 0) {
            state.push_str(", failing");
        }
        rows.push(vec![certificate.name.clone(), state, ends, renewal, shortened(&certificate.names)]);
    }
    table(&rows)
}

/// A certificate may have a hundred names; a table has room for some.
fn shortened(names: &[String]) -> String {
    match names {
        [first, second, third, _, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", names.len() - 3)
        }
        names => names.join(", "),
    }
}
