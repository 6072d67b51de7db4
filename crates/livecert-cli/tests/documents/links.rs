//! The pages as a book: all of them are in its contents, and no link is dead.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{page, root};

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn pages_say_what_is_in_their_blocks() {
    let mistakes: Vec<_> = page::all(&root())
        .iter()
        .flat_map(|page| {
            page.mistakes.iter().map(|one| format!("{}:{}: {}", page.path.display(), one.line, one.text))
        })
        .collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn no_link_is_dead() {
    let pages = page::all(&root());
    let anchors: BTreeMap<_, _> = pages.iter().map(|page| (page.path.clone(), &page.anchors)).collect();
    let mut dead = Vec::new();
    for page in &pages {
        for link in page.links.iter().filter(|link| !link.text.contains("://")) {
            let (path, anchor) = link.text.split_once('#').unwrap_or((&link.text, ""));
            let folder = page.path.parent().unwrap_or(Path::new(""));
            let target = if path.is_empty() { page.path.clone() } else { plain(&folder.join(path)) };
            let said = format!("{}:{}: {}", page.path.display(), link.line, link.text);
            // The book is made from docs alone: what is elsewhere would be missing there.
            if page.path.starts_with("docs") && !target.starts_with("docs") {
                dead.push(format!("{said} leads out of the book"));
            } else if !root().join(&target).exists() {
                dead.push(format!("{said} is not there"));
            } else if !anchor.is_empty()
                && !anchors.get(&target).is_some_and(|all| all.iter().any(|known| known == anchor))
            {
                dead.push(format!("{said} has no such heading"));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn the_contents_name_every_page_once() {
    let pages = page::all(&root());
    let summary =
        pages.iter().find(|page| page.path == Path::new("docs/SUMMARY.md")).expect("docs/SUMMARY.md");
    let listed: Vec<_> = summary.links.iter().map(|link| Path::new("docs").join(&link.text)).collect();
    let once: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice");
    let there: BTreeSet<_> = pages
        .iter()
        .map(|page| page.path.clone())
        .filter(|path| path.starts_with("docs") && path != Path::new("docs/SUMMARY.md"))
        .collect();
    assert_eq!(once, there, "listed, and there");
}
