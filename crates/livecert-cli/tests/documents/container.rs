//! The container, by its Dockerfile: no test makes an image.

use std::path::Path;
use std::process::Command;

use super::root;

#[test]
fn the_dockerfile_has_no_fault() {
    // From Python's package index; `cargo xtask setup` puts it there.
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let linter = temporary.parent().unwrap_or(temporary).join("interop-venv/bin/hadolint");
    let output = Command::new(&linter).arg(root().join("Dockerfile")).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{}: {error} (`cargo xtask setup` installs it)", linter.display());
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn it_runs_without_root_and_tells_its_health() {
    let text = std::fs::read_to_string(root().join("Dockerfile")).expect("a Dockerfile");
    let last = text.rsplit("FROM ").next().unwrap_or_default();
    for line in
        ["USER 10001:10001", "VOLUME [\"/var/lib/livecert\"]", "HEALTHCHECK ", "ENTRYPOINT [\"livecert\"]"]
    {
        assert!(last.contains(line), "{line}");
    }
}
