//! Many certificates in a state folder, without an order for each.

use std::path::Path;

use crate::{Error, io};

/// A name in one of 1,000 zones, of which ten follow one another in each: `host3.zone0042.example` is the 424th one.
#[must_use]
pub fn name_in_a_thousand_zones(number: usize) -> String {
    format!("host{}.zone{:04}.example", number % 10, number / 10 % 1000)
}

/// Copies the certificate `cert` of the state folder `home`, once for each of `names`: all that livecert has written for it,
/// with the name in the place of its own. What is copied has that one name. The keys and certificates are still those of
/// `cert`, which nothing reads before a renewal.
///
/// # Errors
/// A file cannot be read or written.
pub fn multiply(home: &Path, cert: &str, names: impl IntoIterator<Item = String>) -> Result<(), Error> {
    let certs = home.join("certs");
    let mut files = Vec::new();
    read(&certs.join(cert), Path::new(""), &mut files)?;
    for name in names {
        for file in &files {
            file.write(&certs.join(&name), cert, &name)?;
        }
    }
    Ok(())
}

/// What lies in a certificate's folder.
struct File {
    /// Where, below the folder.
    path: std::path::PathBuf,
    mode: u32,
    what: What,
}

enum What {
    Folder,
    Link(std::path::PathBuf),
    Text(String),
}

/// Adds what is in `folder` below `at`, each folder before what is in it.
fn read(folder: &Path, at: &Path, files: &mut Vec<File>) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let failed = || format!("reading {}", folder.display());
    let mode = std::fs::metadata(folder).map_err(io(failed()))?.permissions().mode();
    files.push(File { path: at.to_owned(), mode, what: What::Folder });
    for entry in std::fs::read_dir(folder).map_err(io(failed()))? {
        let entry = entry.map_err(io(failed()))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(io(failed()))?);
        let below = at.join(entry.file_name());
        if kind.is_dir() {
            read(&path, &below, files)?;
            continue;
        }
        let what = if kind.is_symlink() {
            What::Link(std::fs::read_link(&path).map_err(io(failed()))?)
        } else {
            What::Text(std::fs::read_to_string(&path).map_err(io(failed()))?)
        };
        let mode = std::fs::symlink_metadata(&path).map_err(io(failed()))?.permissions().mode();
        files.push(File { path: below, mode, what });
    }
    Ok(())
}

impl File {
    fn write(&self, folder: &Path, from: &str, to: &str) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(&self.path);
        let failed = io(format!("writing {}", path.display()));
        let write = || {
            match &self.what {
                What::Folder => std::fs::create_dir(&path)?,
                What::Link(target) => return std::os::unix::fs::symlink(target, &path),
                What::Text(text) => std::fs::write(&path, text.replace(from, to))?,
            }
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(self.mode))
        };
        write().map_err(failed)
    }
}
