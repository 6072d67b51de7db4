//! `livecert list`.

use livecert::certificate::{CertificateError, StatusRequest, status};
use serde_json::json;

use super::standing;
use super::view::{CertificateView, Damage};
use crate::arguments::Globals;
use crate::context;
use crate::failure::{Failure, describe};
use crate::output::{Output, Status};
use crate::screen::Screen;
use crate::terminal::write_err;

pub(super) fn run(globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let store = context::store(globals)?;
    let now = jiff::Timestamp::now();
    let report = status(&store, &StatusRequest::default(), now).map_err(CertificateError::from)?;
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
    // What needs somebody comes first, then what is renewed soonest.
    let place = |name: &str| report.certificates.iter().position(|standing| standing.cert.as_str() == name);
    certificates.sort_by_cached_key(|certificate| place(&certificate.name));
    output.show(&json!({"schema": 1, "certificates": certificates, "damaged": damaged}), || {
        if certificates.is_empty() {
            return "There are no certificates yet; `livecert issue` makes one.\n".to_owned();
        }
        standing::table(&report.certificates, now, Screen::of_stdout())
    });
    Ok(Status::of(certificates.len(), damaged.len()))
}
