//! `livecert files CERT`.

use std::collections::BTreeMap;

use livecert::certificate::CertificateError;
use livecert::store::CertName;
use serde_json::json;

use crate::arguments::{Cert, Globals};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

pub(super) fn run(words: &Cert, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let name: CertName = words.cert.parse().map_err(CertificateError::CertName)?;
    let store = context::store(globals)?;
    // The record first: it tells a wrong name from a certificate that is not there yet.
    store.record(&name).map_err(CertificateError::from)?;
    let Some(generation) = store.current(&name).map_err(CertificateError::from)? else {
        return Err(Failure::failed(&format!("the certificate '{name}' has not been issued yet")));
    };
    let files: BTreeMap<_, _> = generation.files().into_iter().collect();
    let mut document = json!(files);
    document["schema"] = 1.into();
    output.show(&document, || {
        let row =
            |(what, path): &(&str, std::path::PathBuf)| vec![(*what).to_owned(), path.display().to_string()];
        table(&generation.files().iter().map(row).collect::<Vec<_>>())
    });
    Ok(Status::Done)
}
