use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

/// The kinds that the library and the command line give, read from where they are given.
fn given() -> BTreeSet<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = here.join("../livecert/src/certificate");
    let mut kinds = words(&std::fs::read_to_string(library.join("error_kind.rs")).unwrap());
    // Those of single steps are beside their errors.
    let steps = std::fs::read_to_string(library.join("steps/error.rs")).unwrap();
    let of_steps = steps.split("fn kind(").nth(1).unwrap();
    kinds.extend(words(of_steps.split("\n    }\n").next().unwrap()));
    for file in sources(&here.join("src")) {
        let source = std::fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap().to_owned();
        for part in source.split("Failure::Plain {").skip(1) {
            let part = part.split('}').next().unwrap();
            kinds.extend(
                part.split("kind: \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned),
            );
        }
    }
    kinds.insert("config".to_owned());
    kinds
}

/// The words between quotes, outside comments and tests.
fn words(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let deep = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    deep.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}

#[test]
fn every_kind_has_an_entry_and_every_entry_a_kind() {
    let explained: BTreeSet<String> = ENTRIES.iter().map(|entry| entry.kind.to_owned()).collect();
    assert_eq!(explained.len(), ENTRIES.len(), "one is there twice");
    assert!(ENTRIES.is_sorted_by_key(|entry| entry.kind), "they are in the order of their names");
    let given = given();
    assert!(given.contains("refused") && given.contains("timer") && given.contains("usage"), "{given:?}");
    assert_eq!(given, explained);
    assert!(ENTRIES.iter().all(|entry| find(entry.kind).is_some() && entry.text().contains(entry.next)));
}

#[test]
fn the_page_in_the_docs_is_this() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    if std::env::var_os("LIVECERT_WRITE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/errors.md is not what this program knows: LIVECERT_WRITE_DOCS=1 cargo test -p livecert-cli explain"
    );
    assert!(page().lines().all(|line| !line.contains('\t') && !line.ends_with(' ')));
}
