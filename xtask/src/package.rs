//! `cargo xtask package` and `cargo xtask deb`: what a package of livecert holds beside the program, made by the program.

use std::path::Path;
use std::process::Command;

use crate::setup::{self, root};
use crate::{Failure, say};

/// Where packages have the program.
const PROGRAM: &str = "/usr/bin/livecert";
/// The state folder of the whole machine.
const HOME: &str = "/var/lib/livecert";
/// Shells, and the names that their completions have.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "livecert"), ("zsh", "_livecert"), ("fish", "livecert.fish")];

/// Makes the files for packages with a release build.
pub(crate) fn run() -> Result<(), Failure> {
    let program = setup::build(&["--release", "--package", "livecert-cli"])?.join("livecert");
    let folder = root().join("crates/livecert-cli/debian/made");
    furnish(&program, &folder)?;
    say(&format!("Manual pages, completions and units are in {}.", folder.display()));
    Ok(())
}

/// Makes the Debian package; cargo-deb has to be there.
pub(crate) fn deb() -> Result<(), Failure> {
    run()?;
    if !setup::found("cargo-deb") {
        return Err("missing: cargo-deb (`cargo install --locked cargo-deb`)".into());
    }
    setup::cargo(&["deb", "--package", "livecert-cli", "--no-build"])
}

/// Makes them with this program, in an empty folder.
fn furnish(program: &Path, folder: &Path) -> Result<(), Failure> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let units = folder.join("systemd");
    let shells = folder.join("completions");
    std::fs::create_dir_all(&units)?;
    std::fs::create_dir_all(&shells)?;
    // The store is looked through for what units need; the one of whoever builds is none of the package's business.
    let livecert = |words: &[&str]| said(Command::new(program).args(words).env_clear());
    livecert(&["man", "--dir", &folder.join("man").to_string_lossy()])?;
    for (shell, name) in COMPLETIONS {
        std::fs::write(shells.join(name), livecert(&["completions", shell])?)?;
    }
    let place = units.to_string_lossy();
    livecert(&[
        "timer",
        "install",
        "--no-enable",
        "--home",
        HOME,
        "--program",
        PROGRAM,
        "--unit-dir",
        &place,
    ])?;
    Ok(())
}

fn said(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    /// What the metadata name, as cargo reads them: sources, and where they go.
    fn assets() -> Vec<(String, String)> {
        let words = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
        let output = said(setup::cargo_command().args(words).current_dir(root())).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let packages = document["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["name"] == "livecert-cli").unwrap();
        let assets = package["metadata"]["deb"]["assets"].as_array().unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        assets.iter().map(|asset| (text(&asset[0]), text(&asset[1]))).collect()
    }

    fn files(folder: &Path) -> BTreeSet<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { [path].into() }).collect()
    }

    #[test]
    fn the_debian_package_is_complete() {
        // `cargo test` of the workspace has built it beside the tests.
        let beside = std::env::current_exe().unwrap().parent().unwrap().with_file_name("livecert");
        let program = if beside.exists() {
            beside
        } else {
            setup::build(&["--package", "livecert-cli"]).unwrap().join("livecert")
        };
        let folder = tempfile::tempdir().unwrap();
        let furnished = folder.path().join("package");
        furnish(&program, &furnished).unwrap();
        let made = files(&furnished);
        let mut packed = BTreeSet::new();
        for (source, target) in assets() {
            if source.starts_with("target/release/") {
                assert_eq!((source.as_str(), target.as_str()), ("target/release/livecert", "usr/bin/"));
                continue;
            }
            let Some(below) = source.strip_prefix("debian/made/") else {
                let path = root().join("crates/livecert-cli").join(&source);
                assert!(path.is_file(), "{source} is not there");
                continue;
            };
            let (begin, end) = below.split_once('*').unwrap_or((below, ""));
            let begin = furnished.join(begin).to_string_lossy().into_owned()
                + if begin.ends_with('/') { "/" } else { "" };
            let fits = |path: &&PathBuf| {
                let path = path.to_string_lossy();
                path.starts_with(begin.trim_end_matches('/')) && path.ends_with(end)
            };
            let found: Vec<_> = made.iter().filter(fits).cloned().collect();
            assert!(!found.is_empty(), "nothing is {source}");
            packed.extend(found);
        }
        assert_eq!(made, packed, "made, and in the package");
        let service = std::fs::read_to_string(furnished.join("systemd/livecert.service")).unwrap();
        assert!(service.contains(PROGRAM) && service.contains(HOME), "{service}");
        assert!(made.iter().any(|path| path.ends_with("man/livecert-issue.1")), "{made:?}");
    }
}
