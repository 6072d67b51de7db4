use std::process::Command;

use testbed::{MailProtocol, MailServer, Nginx};

use super::a_deployment_is_never_forgotten::{let_time_pass, orders, pending};
use super::{Bench, document, expect, read, says};

/// A bench with a certificate in place, and an nginx that serves it.
fn served(more: &str) -> (Bench, Nginx) {
    let bench = Bench::counting();
    expect(&bench.issue(&["www.example.com"], &[]), 0);
    let current = bench.cert("www.example.com").join("current");
    let nginx = Nginx::start(&bench.testbed.folder().join("nginx"), &[&current], more).unwrap();
    (bench, nginx)
}

fn current(bench: &Bench) -> String {
    let link = std::fs::read_link(bench.cert("www.example.com").join("current")).unwrap();
    link.to_string_lossy().into_owned()
}

#[test]
fn a_real_web_server_is_reloaded_and_looked_at() {
    for versions in ["ssl_protocols TLSv1.3;", "ssl_protocols TLSv1.2;"] {
        let (bench, nginx) = served(versions);
        let (at, reload) = (nginx.address().to_string(), nginx.reload());
        let words = ["--force", "--deploy-hook", &reload, "--verify-served", &at, "--json"];
        let issued = bench.issue(&["www.example.com"], &words);
        expect(&issued, 0);
        assert_eq!(document(&issued)["deployment"]["state"], "served", "{}", issued.stdout);

        // Another kind of key in its place.
        let rsa = bench.issue(&["www.example.com"], &["--key-type", "rsa-2048"]);
        expect(&rsa, 0);
        says(&rsa, &["deployed, and served"]);
        says(&bench.run(&["show", "www.example.com"]), &["generation 3 served at"]);
        expect(&bench.issue(&["www.example.com"], &["--key-type", "ec-521"]), 0);
    }
}

#[test]
fn a_server_that_keeps_the_old_one_is_found_out() {
    let (bench, nginx) = served("");
    let at = nginx.address().to_string();
    let words = ["--force", "--deploy-hook", "true", "--verify-served", &at, "--verify-timeout", "1s"];
    let stale = bench.issue(&["www.example.com"], &words);
    expect(&stale, 1);
    says(
        &stale,
        &["issued (generation 2), and not served", &at, "still the certificate of generation 1", "next:"],
    );
    assert_eq!(current(&bench), "generations/2");
    says(&bench.run(&["list"]), &["not served"]);

    // The hook is mended, and nothing is ordered.
    expect(&bench.issue(&["www.example.com"], &["--deploy-hook", &nginx.reload()]), 0);
    assert_eq!((current(&bench), orders(&bench)), ("generations/2".to_owned(), 2));
}

#[test]
fn it_goes_back_and_forth_again_without_an_order() {
    let (bench, nginx) = served("");
    let (at, notes) = (nginx.address().to_string(), bench.testbed.folder().join("notes"));
    let note = |hook: &str| {
        format!("echo \"{hook} $LIVECERT_GENERATION $LIVECERT_ROLLBACK\" >> '{}'", notes.display())
    };
    let (deploy, post) = (note("deploy"), note("post"));
    let words = [
        "--force",
        "--deploy-hook",
        &deploy,
        "--post-hook",
        &post,
        "--verify-served",
        &at,
        "--verify-timeout",
        "1s",
        "--rollback-on-failure",
        "--keep-generations",
        "1",
    ];
    let back = bench.issue(&["www.example.com"], &words);
    expect(&back, 1);
    says(&back, &["not served; generation 1 is in place again", "generation 1 is made current again"]);
    assert_eq!(current(&bench), "generations/1");
    assert_eq!(read(&notes), "deploy 2 \npost  \ndeploy 1 1\npost  1\n");

    // It waits for its time, and nothing is ordered meanwhile, not even at a time when the old one is due.
    expect(&bench.run(&["renew"]), 1);
    assert_eq!((current(&bench), orders(&bench)), ("generations/1".to_owned(), 2));
    let_time_pass(&bench, "www.example.com");
    expect(&bench.run(&["renew"]), 1);
    assert_eq!(pending(&bench, "www.example.com")["attempts"], 2);
    assert_eq!(current(&bench), "generations/1");

    let mended = bench.issue(&["www.example.com"], &["--deploy-hook", &nginx.reload()]);
    expect(&mended, 0);
    assert_eq!((current(&bench), orders(&bench)), ("generations/2".to_owned(), 2));

    // Whoever goes back by hand stays there.
    expect(&bench.issue(&["www.example.com"], &["--force", "--keep-generations", "5"]), 0);
    let by_hand = bench.run(&["rollback", "www.example.com"]);
    expect(&by_hand, 0);
    says(&by_hand, &["deployed, and served"]);
    expect(&bench.run(&["renew", "www.example.com"]), 0);
    assert_eq!(current(&bench), "generations/2");
}

#[test]
fn certificates_of_two_kinds_side_by_side_are_told_apart() {
    let bench = Bench::new();
    for (name, key) in [("ecdsa", "ec-256"), ("rsa", "rsa-2048")] {
        let words = ["--cert-name", name, "--key-type", key];
        expect(&bench.issue(&["www.example.com"], &words), 0);
    }
    let (ecdsa, rsa) = (bench.cert("ecdsa").join("current"), bench.cert("rsa").join("current"));
    let nginx = Nginx::start(&bench.testbed.folder().join("nginx"), &[&ecdsa, &rsa], "").unwrap();
    for name in ["ecdsa", "rsa"] {
        let at = nginx.address().to_string();
        let words =
            ["--cert-name", name, "--force", "--deploy-hook", &nginx.reload(), "--verify-served", &at];
        expect(&bench.issue(&["www.example.com"], &words), 0);
    }
}

#[test]
fn mail_servers_are_asked_in_their_own_words() {
    let bench = Bench::new();
    expect(&bench.issue(&["mail.example.com"], &[]), 0);
    let current = bench.cert("mail.example.com").join("current");
    let mut words = vec!["--force".to_owned()];
    for protocol in [MailProtocol::Smtp, MailProtocol::Imap, MailProtocol::Pop3] {
        let server = MailServer::start(protocol, &current).unwrap();
        let (word, at) = (protocol.word(), server.address().to_string());
        // That the servers are right is said by somebody else.
        let mut openssl = Command::new("openssl");
        openssl
            .args(["s_client", "-connect", &at, "-starttls", word, "-brief"])
            .stdin(std::process::Stdio::null());
        let said = openssl.output().unwrap();
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("CONNECTION ESTABLISHED"), "{word}: {said}");
        words.extend(["--verify-served".to_owned(), format!("{at},starttls={word}")]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let issued = bench.issue(&["mail.example.com"], &words);
    expect(&issued, 0);
    says(&issued, &["deployed, and served"]);

    // Another protocol is spoken there.
    let wrong = words.last().unwrap().replace("pop3", "smtp");
    let wrong =
        bench.issue(&["mail.example.com"], &["--force", "--verify-served", &wrong, "--verify-timeout", "1s"]);
    expect(&wrong, 1);
    says(&wrong, &["TLS was not begun: it said '+OK POP3 ready'"]);
    let nobody = bench.issue(&["mail.example.com"], &["--verify-served", "127.0.0.1:1"]);
    expect(&nobody, 1);
    says(&nobody, &["no connection could be made"]);
    let slip = bench.issue(&["mail.example.com"], &["--verify-served", "127.0.0.1:25,starttls=ftp"]);
    expect(&slip, 2);
    says(&slip, &["starttls is smtp, imap or pop3"]);
    // And nothing has to be seen any more.
    expect(&bench.issue(&["mail.example.com"], &["--verify-served", ""]), 0);
}
