use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn wrapped(text: &str) -> String {
    format!("__ACME_BASE64__START_{}__ACME_BASE64__END_", STANDARD.encode(text))
}

/// The folder as acme.sh writes it, with one certificate in `folder`.
pub(super) fn acme_sh(there: &Move, made: &Made, folder: &str) {
    let (directory, root) = (there.server.directory(), &there.folder);
    // Its folders have lost the port.
    let path = directory.splitn(4, '/').nth(3).unwrap();
    let ca = format!("ca/localhost/{path}");
    write(root, &format!("{ca}/account.key"), &made.old_account_key());
    write(root, &format!("{ca}/account.json"), r#"{"status":"valid","contact":["mailto:you@example.com"]}"#);
    write(root, &format!("{ca}/ca.conf"), &format!("CA_KEY_HASH='x'\nACCOUNT_URL='{}'\n", made.account));
    let token = wrapped(PAT);
    write(root, "account.conf", &format!("UPGRADE_HASH='x'\nSAVED_GANDI_LIVEDNS_TOKEN='{token}'\n"));
    let conf = format!(
        "Le_Domain='example.com'\nLe_Alt='*.example.com'\nLe_Webroot='dns_gandi_livedns'\nLe_PreHook=''\n\
         Le_API='{directory}'\nLe_Keylength='ec-256'\nLe_ReloadCmd='{}'\n\
         Le_RealKeyPath='/etc/nginx/key.pem'\nLe_ChallengeAlias='alias.example,'\n",
        wrapped(&format!("touch '{}'", there.bench.testbed.folder().join("reloaded").display()))
    );
    write(root, &format!("{folder}/example.com.conf"), &conf);
    write(root, &format!("{folder}/example.com.key"), &made.key);
    write(root, &format!("{folder}/example.com.cer"), &made.leaf);
    write(root, &format!("{folder}/ca.cer"), &made.chain);
    write(root, &format!("{folder}/fullchain.cer"), &format!("{}{}", made.leaf, made.chain));
}

#[test]
fn acme_sh_goes_on() {
    let there = Move::new();
    let made = Made::new(&there);
    acme_sh(&there, &made, "example.com_ecc");
    let imported = there.goes_on("acme.sh", "example.com", &["--hooks"]);
    assert_eq!(imported["accounts"][0]["contact"], serde_json::json!(["you@example.com"]));
    let one = &imported["certificates"][0];
    assert_eq!(
        (&one["hooks"][0]["moment"], &one["hooks"][0]["taken_over"]),
        (&"deploy".into(), &true.into())
    );
    assert!(there.bench.testbed.folder().join("reloaded").exists(), "the hook was not run: {one}");
    let notes = one["notes"].to_string();
    assert!(notes.contains("/etc/nginx/key.pem") && notes.contains("alias.example"), "{notes}");
    // It keeps its keys, and so does livecert.
    let key = |generation: &str| {
        read(&there.bench.cert("example.com").join("generations").join(generation).join("privkey.pem"))
    };
    assert_eq!(key("1"), key("2"));
}

#[test]
fn what_is_in_the_store_stays_and_twins_have_names_of_their_own() {
    let there = Move::new();
    let made = Made::new(&there);
    acme_sh(&there, &made, "example.com");
    acme_sh(&there, &made, "example.com_ecc");
    let ours = there.bench.issue_at(&there.server, &["www.example.com"], &["--cert-name", "example.com"]);
    expect(&ours, 0);
    let certs = || {
        let mut files = state(&there.bench);
        files.retain(|(path, _)| path.starts_with(there.bench.testbed.home().join("certs")));
        files
    };
    let before = certs();
    let import = there.import("acme.sh", &["--cert", "example.com"]);
    expect(&import, 3);
    let imported = document(&import);
    // It is one more at the server; the one that was there is still the one in use.
    assert_eq!(imported["accounts"][0]["result"], "imported", "{imported}");
    let accounts = document(&there.bench.run(&["account", "list", "--json"]));
    let in_use = |at: usize| accounts["accounts"][at]["in_use"].as_bool().unwrap();
    assert!(in_use(0) && !in_use(1), "{accounts}");
    assert_eq!(imported["certificates"][0]["result"], "kept", "{imported}");
    let reason = imported["certificates"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("www.example.com"), "{imported}");
    assert!(before == certs(), "what was in the store has changed");

    let import = there.import("acme.sh", &[]);
    expect(&import, 3);
    assert_eq!(document(&import)["certificates"][1]["name"], "example.com-ecc");
    assert_eq!(document(&import)["certificates"][1]["result"], "imported");

    // What was never issued has settings that stay, unless they are those of an import that was killed.
    for cert in ["example.com", "example.com-ecc"] {
        std::fs::remove_file(there.bench.cert(cert).join("current")).unwrap();
        std::fs::remove_dir_all(there.bench.cert(cert).join("generations")).unwrap();
    }
    let record = there.bench.cert("example.com").join("certificate.json");
    let settings = read(&record);
    let import = there.import("acme.sh", &[]);
    expect(&import, 3);
    let imported = document(&import);
    assert_eq!(imported["certificates"][0]["result"], "kept", "{imported}");
    assert!(imported["certificates"][0]["reason"].to_string().contains("never issued"), "{imported}");
    assert_eq!(imported["certificates"][1]["result"], "imported", "{imported}");
    assert_eq!(read(&record), settings);
    // What is damaged fails alone, in the plan too.
    std::fs::write(&record, "{").unwrap();
    for more in [&["--plan"][..], &[]] {
        let import = there.import("acme.sh", more);
        expect(&import, 3);
        let imported = document(&import);
        assert_eq!(imported["certificates"][0]["result"], "failed", "{imported}");
        assert_eq!(imported["certificates"][1]["result"], "already-there", "{imported}");
    }
    std::fs::write(&record, settings).unwrap();

    // Its account is not the one in use, and renews it all the same: the CA is told what is replaced.
    let words = there.bench.testbed.dns_words();
    let token = format!("GandiPAT=file:{}", there.bench.token.display());
    let words: Vec<&str> =
        words.iter().map(String::as_str).chain(["--plugin-arg", &token, "--force"]).collect();
    let names = ["issue", "example.com", "*.example.com", "--cert-name", "example.com-ecc"];
    expect(&there.bench.run(&[&names, words.as_slice()].concat()), 0);
    let requests = there.control().requests();
    let order = requests.iter().rev().find(|one| one.path.ends_with("/order")).unwrap();
    assert!(
        order.payload["replaces"].is_string() && order.kid.as_deref() == Some(made.account.as_str()),
        "{order:?}"
    );
}
