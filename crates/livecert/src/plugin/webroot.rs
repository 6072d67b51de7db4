//! The plugin `webroot`: files in the folder of a web server that runs already.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::web::is_token;
use super::{
    ArgumentError, Arguments, Connected, Need, Parameter, ParameterKind, Pending, PluginError, PluginInfo,
    ProofKind, Surroundings, WebError, WebLeftover, WebPlugin, WebProof, WebProofKind,
};

const PATH: &str = "WRPath";
const EXACT_PATH: &str = "WRExactPath";
/// Where the file is looked for (RFC 8555 §8.3).
const CHALLENGES: [&str; 2] = [".well-known", "acme-challenge"];
/// The longest body; a key authorization takes less than 300 octets.
const LONGEST_BODY: u64 = 16 * 1024;

const GUIDE: &str = "\
The web server has to answer at port 80 for every name, and to serve its folder there. livecert
writes .well-known/acme-challenge/TOKEN below it, readable for everybody, and removes it afterwards.

    livecert issue www.example.com --plugin webroot --plugin-arg WRPath=/var/www/html --accept-tos

Where one folder is served at /.well-known/acme-challenge/ for all names:

    --plugin-arg WRPath=/var/lib/acme-challenge --plugin-arg WRExactPath=true
";

pub(super) static INFO: PluginInfo = PluginInfo {
    name: "webroot",
    summary: "writes the files of http-01 into the folder of a web server",
    proofs: &[ProofKind::HttpFile],
    guide: GUIDE,
    parameters: &[
        Parameter::new(
            PATH,
            ParameterKind::Plain,
            "root folder of the web server; several as in PATH (':' between them, ';' on Windows)",
        )
        .needed(Need::Required),
        Parameter::new(
            EXACT_PATH,
            ParameterKind::Flag,
            "WRPath is the folder of the challenge files itself [default: false]",
        ),
    ],
    environment: &[],
    sweeps: true,
    alone: false,
    shared: false,
    connect,
};

/// Makes the plugin ready.
///
/// # Errors
/// No folder, or one that is not absolute.
fn connect(arguments: &Arguments, _: &Surroundings) -> Result<Connected, ArgumentError> {
    Ok(Connected::Web(Arc::new(Webroot::new(arguments.plain(PATH), arguments.flag(EXACT_PATH))?)))
}

#[derive(Debug)]
struct Webroot {
    roots: Vec<PathBuf>,
    exact: bool,
    /// Folders that were made here. The lock is held for the whole of a change: a withdrawal waits for the end of a
    /// publication that nobody waits for any more.
    made: Arc<Mutex<Vec<PathBuf>>>,
}

impl Webroot {
    fn new(path: Option<&str>, exact: bool) -> Result<Self, ArgumentError> {
        let invalid = |parameter, reason: String| ArgumentError::Invalid { parameter, reason };
        let roots: Vec<_> = std::env::split_paths(path.unwrap_or_default())
            .filter(|root| !root.as_os_str().is_empty())
            .collect();
        if roots.is_empty() {
            return Err(invalid(PATH, "the folder of the web server is needed".to_owned()));
        }
        if let Some(relative) = roots.iter().find(|root| !root.is_absolute()) {
            let reason = format!("'{}' is not an absolute path, which renewals need", relative.display());
            return Err(invalid(PATH, reason));
        }
        Ok(Webroot { roots, exact, made: Arc::default() })
    }

    /// Works on the files, on a thread of its own: the folder may be on another machine.
    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&[PathBuf], bool, &mut Vec<PathBuf>) -> T + Send + 'static,
    ) -> Result<T, PluginError> {
        let (roots, exact, made) = (self.roots.clone(), self.exact, self.made.clone());
        let work = move || work(&roots, exact, &mut made.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(work).await.map_err(|_| WebError::GivenUp.into())
    }
}

impl WebPlugin for Webroot {
    fn offers(&self) -> &'static [WebProofKind] {
        &[WebProofKind::HttpFile]
    }

    fn prepare<'a>(&'a self, kinds: &'a [WebProofKind]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            if let Some(other) = kinds.iter().find(|kind| !self.offers().contains(kind)) {
                return Err(WebError::NotOffered(*other).into());
            }
            let try_all = |roots: &[PathBuf], exact: bool, made: &mut Vec<PathBuf>| {
                let result = roots.iter().try_for_each(|root| {
                    let folder = folder(root, exact, made)?;
                    temporary(&folder, b"")
                        .map(drop)
                        .map_err(|source| WebError::Write { path: folder, source })
                });
                remove_made(made);
                result
            };
            Ok(self.work(try_all).await??)
        })
    }

    fn publish<'a>(&'a self, proofs: &'a [WebProof]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let proofs = proofs.to_vec();
            let write_all = move |roots: &[PathBuf], exact: bool, made: &mut Vec<PathBuf>| {
                proofs.iter().try_for_each(|proof| {
                    let (token, body) = file(proof)?;
                    roots.iter().try_for_each(|root| write(&folder(root, exact, made)?.join(token), body))
                })
            };
            Ok(self.work(write_all).await??)
        })
    }

    fn withdraw<'a>(&'a self, proofs: &'a [WebProof]) -> Pending<'a, Vec<WebLeftover>> {
        Box::pin(async move {
            let ours = proofs.to_vec();
            let remove_all = move |roots: &[PathBuf], exact: bool, made: &mut Vec<PathBuf>| {
                let mut failed = Vec::new();
                for proof in ours {
                    // What could not be published is not there.
                    let Ok((token, body)) = file(&proof) else { continue };
                    let paths = roots.iter().map(|root| challenges(root, exact).join(token));
                    // Each one is tried, whatever became of the others.
                    let errors: Vec<_> = paths.filter_map(|path| remove(&path, body).err()).collect();
                    if let Some(error) = errors.into_iter().next() {
                        failed.push((proof, error));
                    }
                }
                remove_made(made);
                failed
            };
            match self.work(remove_all).await {
                Ok(failed) => {
                    let left = |(proof, error): (WebProof, WebError)| WebLeftover {
                        proof,
                        reason: Arc::new(error.into()),
                    };
                    failed.into_iter().map(left).collect()
                }
                Err(error) => {
                    let reason = Arc::new(error);
                    let left =
                        |proof: &WebProof| WebLeftover { proof: proof.clone(), reason: reason.clone() };
                    proofs.iter().map(left).collect()
                }
            }
        })
    }
}

/// The file's name and content.
fn file(proof: &WebProof) -> Result<(&str, &[u8]), WebError> {
    match proof {
        WebProof::HttpFile { token, body, .. } if is_token(token) => Ok((token, body.as_bytes())),
        WebProof::HttpFile { .. } => Err(WebError::Token),
        other => Err(WebError::NotOffered(other.kind())),
    }
}

fn challenges(root: &Path, exact: bool) -> PathBuf {
    if exact { root.to_owned() } else { root.join(CHALLENGES[0]).join(CHALLENGES[1]) }
}

/// The folder for the files in `root`, made if need be. A folder that is a link is followed, as web servers do.
fn folder(root: &Path, exact: bool, made: &mut Vec<PathBuf>) -> Result<PathBuf, WebError> {
    if !root.is_dir() {
        return Err(WebError::NoFolder { path: root.to_owned() });
    }
    let mut path = root.to_owned();
    for name in CHALLENGES.iter().take(if exact { 0 } else { CHALLENGES.len() }) {
        path.push(name);
        match fs::create_dir(&path) {
            Ok(()) => {
                made.push(path.clone());
                readable(&path, 0o755).map_err(|source| WebError::Write { path: path.clone(), source })?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(source) => return Err(WebError::Write { path, source }),
        }
    }
    Ok(path)
}

/// Writes a file that is whole from its first moment, and never in the place of another one.
fn write(path: &Path, body: &[u8]) -> Result<(), WebError> {
    let failed = |source| WebError::Write { path: path.to_owned(), source };
    let parent = path.parent().unwrap_or(Path::new("."));
    let written = temporary(parent, body).map_err(failed)?;
    match written.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
            if is_ours(path, body) {
                Ok(())
            } else {
                Err(WebError::Occupied { path: path.to_owned() })
            }
        }
        Err(error) => Err(failed(error.error)),
    }
}

fn temporary(folder: &Path, body: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".livecert-").tempfile_in(folder)?;
    file.write_all(body)?;
    readable(file.path(), 0o644)?;
    Ok(file)
}

/// Lets the web server read it, whoever that is and whatever the umask says: there is nothing secret in it.
fn readable(path: &Path, mode: u32) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

/// Whether it is a file, not a link to one, with exactly this content.
fn is_ours(path: &Path, body: &[u8]) -> bool {
    let plain = fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() <= LONGEST_BODY);
    plain && fs::read(path).is_ok_and(|content| content == body)
}

fn remove(path: &Path, body: &[u8]) -> Result<(), WebError> {
    let failed = |source| WebError::Remove { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(failed(error)),
        // Somebody else's.
        Ok(_) if !is_ours(path, body) => Ok(()),
        Ok(_) => match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(failed),
        },
    }
}

/// Removes the folders that were made here, the innermost first; one that is in use stays for the next time.
fn remove_made(made: &mut Vec<PathBuf>) {
    made.sort_by(|a, b| b.cmp(a));
    made.retain(|path| match fs::remove_dir(path) {
        Ok(()) => false,
        Err(error) => error.kind() != ErrorKind::NotFound,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn proof(token: &str) -> WebProof {
        WebProof::HttpFile { host: "a.example".into(), token: token.into(), body: format!("{token}.thumb") }
    }

    fn webroot(roots: &[&Path]) -> Webroot {
        let joined = std::env::join_paths(roots).unwrap();
        Webroot::new(joined.to_str(), false).unwrap()
    }

    /// Everything below `root`.
    fn tree(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(root).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                found.extend(tree(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}")));
            }
            found.push(name);
        }
        found.sort();
        found
    }

    #[tokio::test]
    async fn files_come_and_go_and_leave_nothing() {
        let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let plugin = webroot(&[one.path(), two.path()]);
        let proofs = [proof("tok-en_1"), proof("tok-en_2")];
        plugin.prepare(&[WebProofKind::HttpFile]).await.unwrap();
        assert!(tree(one.path()).is_empty());
        for _ in 0..2 {
            plugin.publish(&proofs).await.unwrap();
        }
        for root in [&one, &two] {
            let folder = root.path().join(".well-known/acme-challenge");
            assert_eq!(fs::read_to_string(folder.join("tok-en_1")).unwrap(), "tok-en_1.thumb");
            assert_eq!(tree(&folder), ["tok-en_1", "tok-en_2"]);
            #[cfg(unix)]
            for (path, mode) in [(folder.join("tok-en_1"), 0o644), (folder, 0o755)] {
                use std::os::unix::fs::PermissionsExt;
                assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
            }
        }
        for _ in 0..2 {
            assert!(plugin.withdraw(&proofs).await.is_empty());
        }
        assert!(tree(one.path()).is_empty() && tree(two.path()).is_empty());
    }

    #[tokio::test]
    async fn another_run_removes_what_a_dead_one_left() {
        let root = TempDir::new().unwrap();
        webroot(&[root.path()]).publish(&[proof("token")]).await.unwrap();
        assert!(webroot(&[root.path()]).withdraw(&[proof("token")]).await.is_empty());
        assert_eq!(tree(root.path()), [".well-known", ".well-known/acme-challenge"]);
    }

    #[tokio::test]
    async fn what_others_have_there_stays() {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join(".well-known")).unwrap();
        fs::write(root.path().join(".well-known/security.txt"), "theirs").unwrap();
        let plugin = webroot(&[root.path()]);
        plugin.publish(&[proof("token")]).await.unwrap();
        let folder = root.path().join(".well-known/acme-challenge");
        fs::write(folder.join("other"), "theirs").unwrap();
        let refused = plugin.publish(&[proof("other")]).await;
        assert!(matches!(refused, Err(PluginError::Web(WebError::Occupied { .. }))));
        assert!(plugin.withdraw(&[proof("token"), proof("other")]).await.is_empty());
        assert_eq!(fs::read_to_string(folder.join("other")).unwrap(), "theirs");
        assert_eq!(tree(&folder), ["other"]);
        assert!(root.path().join(".well-known/security.txt").exists());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_linked_folder_is_followed_and_a_linked_file_is_not() {
        use std::os::unix::fs::symlink;
        let (root, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        fs::create_dir(root.path().join(".well-known")).unwrap();
        symlink(elsewhere.path(), root.path().join(".well-known/acme-challenge")).unwrap();
        let plugin = webroot(&[root.path()]);
        plugin.publish(&[proof("token")]).await.unwrap();
        assert_eq!(tree(elsewhere.path()), ["token"]);
        assert!(plugin.withdraw(&[proof("token")]).await.is_empty());
        assert!(tree(elsewhere.path()).is_empty());
        assert!(root.path().join(".well-known/acme-challenge").is_symlink());

        // The same content, so that nothing but the link can be the reason.
        let target = root.path().join("precious");
        fs::write(&target, "trap.thumb").unwrap();
        symlink(&target, elsewhere.path().join("trap")).unwrap();
        let refused = plugin.publish(&[proof("trap")]).await;
        assert!(matches!(refused, Err(PluginError::Web(WebError::Occupied { .. }))));
        assert!(plugin.withdraw(&[proof("trap")]).await.is_empty());
        assert!(elsewhere.path().join("trap").is_symlink() && target.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_named_before_there_is_an_order() {
        let root = TempDir::new().unwrap();
        // Root may write anywhere, but not below a file.
        fs::write(root.path().join(".well-known"), "a file").unwrap();
        let plugin = webroot(&[root.path()]);
        let error = plugin.prepare(&[WebProofKind::HttpFile]).await.unwrap_err();
        assert!(
            matches!(&error, PluginError::Web(WebError::Write { path, .. }) if path.ends_with(".well-known"))
        );
        assert!(plugin.publish(&[proof("token")]).await.is_err());
        assert!(plugin.withdraw(&[proof("token")]).await.is_empty());
        let missing = webroot(&[&root.path().join("missing")]);
        let error = missing.prepare(&[WebProofKind::HttpFile]).await.unwrap_err();
        assert!(matches!(error, PluginError::Web(WebError::NoFolder { .. })));
        for token in ["", "..", "a/b", "../escape", "a.b", &"a".repeat(201)] {
            let refused = webroot(&[root.path()]).publish(&[proof(token)]).await;
            assert!(matches!(refused, Err(PluginError::Web(WebError::Token))), "{token}");
        }
        let other = WebProof::AlpnCertificate { host: "a.example".into(), digest: [0; 32] };
        assert!(plugin.publish(&[other]).await.is_err());
    }

    #[tokio::test]
    async fn the_exact_folder_stays() {
        let root = TempDir::new().unwrap();
        let plugin = Webroot::new(root.path().to_str(), true).unwrap();
        plugin.publish(&[proof("token")]).await.unwrap();
        assert_eq!(tree(root.path()), ["token"]);
        assert!(plugin.withdraw(&[proof("token")]).await.is_empty());
        assert!(root.path().is_dir() && tree(root.path()).is_empty());
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for path in [None, Some(""), Some("www")] {
            assert!(matches!(Webroot::new(path, false), Err(ArgumentError::Invalid { .. })), "{path:?}");
        }
    }
}
