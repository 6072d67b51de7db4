use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use serde_json::json;

use super::{Bench, expect, read};

/// What a server could say that wants to be more than words.
const HOSTILE: &str = "</td><script src='http://evil.example/a.js'></script><img src=\"http://evil.example/b.png\"> & <style>body{display:none}";

/// A proxy that answers nothing, and tells what it was asked for.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (heard, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut text = [0; 2048];
            let read = stream.and_then(|mut stream| stream.read(&mut text)).unwrap_or(0);
            let line = String::from_utf8_lossy(&text[..read]).lines().next().unwrap_or_default().to_owned();
            if heard.send(line).is_err() {
                break;
            }
        }
    });
    (address, asked)
}

/// What Chromium makes of a page, and what of other hosts it asked for meanwhile.
fn look(page: &Path) -> (String, Vec<String>) {
    let (address, asked) = proxy();
    let profile = tempfile::tempdir().unwrap();
    let mut chromium = Command::new("chromium");
    chromium.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]);
    chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    chromium.arg(format!("--proxy-server=http://{address}")).arg("--dump-dom");
    let shown = chromium.arg(format!("file://{}", page.display())).output();
    let shown = shown.unwrap_or_else(|error| panic!("chromium: {error}; `cargo xtask setup` installs it"));
    let dom = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    (dom, asked.try_iter().filter(|line| line.contains("evil.example")).collect())
}

#[test]
fn in_a_browser_that_asks_nobody() {
    let bench = Bench::new();
    expect(&bench.issue(&["good.example.com"], &[]), 0);
    expect(&bench.issue(&["xn--bcher-kva.example.com", "*.failing.example.com"], &[]), 0);
    bench.age("good.example.com", 90, 80);
    bench.age("xn--bcher-kva.example.com", 90, 3);
    expect(&bench.run(&["renew", "good.example.com"]), 0);
    let failures = json!({
        "version": 1, "count": 4, "first": "2026-01-01T00:00:00Z", "last": "2026-01-02T00:00:00Z",
        "kind": "refused", "error": HOSTILE, "next_try": "2026-01-03T00:00:00Z",
    });
    std::fs::write(bench.cert("xn--bcher-kva.example.com").join("failures.json"), failures.to_string())
        .unwrap();

    let page = bench.testbed.folder().join("status.html");
    expect(&bench.run(&["status", "--html", page.to_str().unwrap()]), 4);
    let (dom, asked) = look(&page);
    assert_eq!(asked, [""; 0]);
    // The words are there as words, and nothing of them is an element.
    assert!(dom.contains("&lt;script src="), "{dom}");
    for element in ["<script", "<img", "body{display:none}</style>"] {
        assert!(!dom.contains(element), "{element} is in {dom}");
    }
    for part in [
        "<h1>Certificates: 1 thing to look at</h1>",
        "<svg role=\"img\"",
        "id=\"certificates\"",
        "bücher.example.com",
        "*.failing.example.com",
        "<strong>failing</strong>",
        "next: `livecert renew xn--bcher-kva.example.com`",
        "personal access token",
        "No run over all certificates has ended yet.",
        "not-due",
    ] {
        assert!(dom.contains(part), "{part} is not in {dom}");
    }
    // The most urgent one is the first in the table.
    let table = dom.split("id=\"certificates\"").nth(1).unwrap();
    assert!(table.find("bücher").unwrap() < table.find("good.example.com").unwrap());
    let drawn = dom.split("<svg").nth(1).unwrap().split("</svg>").next().unwrap();
    assert_eq!((drawn.matches("class=\"life\"").count(), drawn.matches("class=\"due\"").count()), (2, 2));

    // A page that does ask is noticed.
    let loud = bench.testbed.folder().join("loud.html");
    std::fs::write(&loud, format!("<!doctype html><p>{HOSTILE}")).unwrap();
    let (_, asked) = look(&loud);
    assert!(asked.iter().any(|line| line.contains("evil.example/b.png")), "{asked:?}");
    // And so is one in which the words were not escaped: the page itself forbids what they want.
    let broken =
        read(&page).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    std::fs::write(&loud, broken).unwrap();
    let (dom, asked) = look(&loud);
    assert!(dom.contains("<img src=") && asked.is_empty(), "{asked:?}");
}

#[test]
fn and_a_page_that_cannot_be_written_leaves_the_old_one() {
    let bench = Bench::new();
    expect(&bench.issue(&["example.com"], &[]), 0);
    bench.age("example.com", 90, 80);
    let folder = bench.testbed.folder().join("pages");
    std::fs::create_dir(&folder).unwrap();
    let page = folder.join("status.html");
    for _ in 0..2 {
        expect(&bench.run(&["status", "--html", page.to_str().unwrap()]), 0);
        assert!(read(&page).ends_with("</html>\n"));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }
    let nowhere = bench.run(&["status", "--html", folder.join("no/status.html").to_str().unwrap()]);
    expect(&nowhere, 1);
    super::says(&nowhere, &["All is well", "no/status.html cannot be written"]);
}
