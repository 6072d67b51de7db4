//! `livecert list`.

use std::cell::RefCell;
use std::collections::BTreeSet;

use livecert::certificate::{CertificateError, StatusReport, StatusRequest, TroubleKind, status};
use livecert::store::{CertName, ServersRecord, Store};
use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};

use super::standing;
use super::view::{CertificateView, Damage};
use crate::arguments::Globals;
use crate::context;
use crate::failure::{Failure, describe};
use crate::output::{Output, Status};
use crate::screen::Screen;
use crate::terminal::write_err;

/// So many certificates are in memory at a time with all that `--json` shows of them.
const AT_A_TIME: usize = 256;

pub(super) fn run(globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let store = context::store(globals)?;
    let now = jiff::Timestamp::now();
    let report = status(&store, &StatusRequest::default(), now).map_err(CertificateError::from)?;
    let suspects = suspects(&report);
    // What needs somebody comes first, then what is renewed soonest, and in the end what cannot be read at all.
    let mut names: Vec<&CertName> = report.certificates.iter().map(|one| &one.cert).collect();
    let shown: BTreeSet<&CertName> = names.iter().copied().collect();
    names.extend(suspects.iter().copied().filter(|name| !shown.contains(name)));
    let document = Document {
        store: &store,
        kept: store.servers().unwrap_or_default(),
        names: &names,
        damaged: RefCell::default(),
    };
    output.show(&document, || {
        // The rest of what `--json` shows is not in the table, and need not be read to see whether it can be.
        document
            .each(&suspects.into_iter().collect::<Vec<_>>(), |_| Ok::<(), std::convert::Infallible>(()))
            .ok();
        if names.is_empty() {
            return "There are no certificates yet; `livecert issue` makes one.\n".to_owned();
        }
        standing::table(&report.certificates, now, Screen::of_stdout())
    });
    let damaged = document.damaged.borrow().len();
    Ok(Status::of(names.len() - damaged, damaged))
}

/// The certificates of which not all can be read.
fn suspects(report: &StatusReport) -> BTreeSet<&CertName> {
    let damaged = report.troubles.iter().filter(|trouble| trouble.kind == TroubleKind::Damaged);
    damaged.filter_map(|trouble| trouble.cert.as_ref()).collect()
}

/// What `--json` shows. The certificates are read while it is written.
struct Document<'a> {
    store: &'a Store,
    kept: ServersRecord,
    names: &'a [&'a CertName],
    /// Those that could not be read, so far.
    damaged: RefCell<Vec<Damage>>,
}

impl Document<'_> {
    /// Reads certificates, and does something with each; of one that cannot be read it is told.
    fn each<E>(
        &self,
        names: &[&CertName],
        mut what: impl FnMut(&CertificateView) -> Result<(), E>,
    ) -> Result<(), E> {
        for names in names.chunks(AT_A_TIME) {
            let names: Vec<CertName> = names.iter().map(|&name| name.clone()).collect();
            let (store, kept) = (self.store, &self.kept);
            let views = store.look_at(&names, |_, snapshot| {
                snapshot.and_then(|snapshot| CertificateView::of(store, snapshot, kept))
            });
            for (name, view) in names.iter().zip(views) {
                match view {
                    Ok(view) => what(&view)?,
                    Err(error) => {
                        let error = CertificateError::from(error);
                        write_err(&describe(&error));
                        let damage = Damage { name: name.to_string(), error: error.to_string() };
                        self.damaged.borrow_mut().push(damage);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut document = to.serialize_struct("Document", 3)?;
        document.serialize_field("schema", &1)?;
        document.serialize_field("certificates", &Certificates(self))?;
        document.serialize_field("damaged", &*self.damaged.borrow())?;
        document.end()
    }
}

struct Certificates<'a>(&'a Document<'a>);

impl Serialize for Certificates<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(None)?;
        self.0.each(self.0.names, |view| list.serialize_element(view))?;
        list.end()
    }
}
