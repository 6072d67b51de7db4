//! What has to be there after the storm, and what must not.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use livecert::certificate::{SubjectName, check_bundle};
use livecert::key::PrivateKey;
use livecert::store::{CertName, Store};
use testbed::ca::Status;

use super::clock::now;
use super::limits::names;
use super::neighbours::Neighbours;
use super::plan::{self, Planned};
use super::world::World;
use crate::Failure;

/// Everything that is not as it has to be; `fresh` are the certificates that came in the storm.
pub(super) fn findings(
    world: &World,
    neighbours: &Neighbours,
    fresh: &[Planned],
) -> Result<Vec<String>, Failure> {
    let mut findings = neighbours.complaints(false);
    findings.extend(zones(world, neighbours));
    for one in world.certificates.iter().chain(fresh) {
        if let Err(error) = certificate(world, one) {
            findings.push(format!("{}: {error}", one.cert));
        }
    }
    findings.extend(accounts(world)?);
    let home = world.home();
    let journals = Store::read_only(&home).journals()?;
    if !journals.is_empty() {
        findings.push(format!("journals are left: {journals:?}"));
    }
    for path in files(&home)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let left = name.starts_with(".livecert-")
            || path.iter().any(|part| {
                let part = part.to_string_lossy();
                part.ends_with(".partial") || part.ends_with(".old")
            });
        let place = path.strip_prefix(&home).unwrap_or(&path).display().to_string();
        if left {
            findings.push(format!("{place} is left"));
        }
        if name.ends_with(".lock") && matches!(File::open(&path)?.try_lock(), Err(TryLockError::WouldBlock)) {
            findings.push(format!("{place} is held"));
        }
        if name == "failures.json" {
            findings.push(format!("{place}: {}", std::fs::read_to_string(&path)?));
        }
    }
    Ok(findings)
}

/// Only what others put there is there, as they put it.
fn zones(world: &World, neighbours: &Neighbours) -> Vec<String> {
    let mut findings = Vec::new();
    let standing = world.standing();
    for zone in plan::zones() {
        let all = world.testbed.gandi().zone(&zone);
        for (key, rrset) in &all {
            let (name, kind) = key.rsplit_once('/').unwrap_or((key, ""));
            let is_known = standing.iter().any(|one| (&*one.0, &*one.1, &*one.2) == (&*zone, name, kind));
            let is_theirs = kind == "TXT" && neighbours.are_at(&zone, name);
            if !is_known && !is_theirs {
                findings.push(format!("{key} is left in {zone}: {:?}", rrset.values));
            }
        }
        for (_, name, kind, rrset) in standing.iter().filter(|one| one.0 == zone) {
            if all.get(&format!("{name}/{kind}")) != Some(rrset) {
                findings.push(format!("{name}/{kind} in {zone} is not what it was"));
            }
        }
    }
    findings
}

/// The certificate is whole, and for its names and key.
fn certificate(world: &World, one: &Planned) -> Result<(), Failure> {
    let store = Store::read_only(&world.home());
    let cert: CertName = one.cert.parse()?;
    let current = store.current(&cert)?.ok_or("there is no certificate")?;
    let key = current.private_key()?.ok_or("there is no key")?;
    let key = PrivateKey::from_pem(&key)?;
    let wanted = one.names.iter().map(|name| name.parse()).collect::<Result<Vec<SubjectName>, _>>()?;
    let chain = current.fullchain()?;
    let server = world.ca(one.home).directory();
    let checked = check_bundle(&[&chain], None, &key.public_key_info(), &wanted, &server, now())?;
    if checked.info.serial != current.info.serial || current.info.server != server {
        return Err("its record is of another certificate".into());
    }
    let given = world.ca(one.home).control().certificates();
    let mut sorted = one.names.clone();
    sorted.sort();
    let id = current.info.certificate_id.as_deref();
    let is_given = given
        .iter()
        .any(|given| names(&given.identifiers) == sorted && Some(given.renewal_id.as_str()) == id);
    if is_given { Ok(()) } else { Err("the CA did not give it".into()) }
}

/// The accounts are those of the beginning.
fn accounts(world: &World) -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    let stored = Store::read_only(&world.home()).account_records()?;
    for (ca, count) in [(&world.kind, 2), (&world.strict, 1)] {
        let there = ca.control().accounts();
        let valid = there.iter().filter(|account| account.status == Status::Valid).count();
        let known = there.iter().filter(|account| stored.iter().any(|one| one.has_url(&account.url))).count();
        if (there.len(), valid, known) != (count, count, count) {
            findings.push(format!("{} accounts, {valid} valid, {known} known here, of {count}", there.len()));
        }
    }
    if stored.len() != 3 {
        findings.push(format!("{} accounts are stored, of 3", stored.len()));
    }
    Ok(findings)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            all.extend(files(&path)?);
        }
        all.push(path);
    }
    Ok(all)
}
