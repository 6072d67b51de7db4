use super::*;

/// Has certbot get a certificate for `example.com` and `*.example.com`.
fn certbot(there: &Move) {
    let bench = &there.bench;
    let add = "#!/bin/sh\nexec livecert dns add \"_acme-challenge.$CERTBOT_DOMAIN\" \"$CERTBOT_VALIDATION\" WORDS\n";
    let auth = script(bench, "auth", add);
    let cleanup = script(bench, "cleanup", &add.replace("dns add", "dns remove"));
    let mut certbot = client(bench, "certbot");
    certbot.env("LIVECERT_HOME", bench.testbed.folder().join("hook"));
    certbot.args(["certonly", "--non-interactive", "--agree-tos", "-m", "you@example.com", "--manual"]);
    certbot.args(["--preferred-challenges", "dns", "-d", "example.com", "-d", "*.example.com"]);
    certbot.args(["--server", &there.server.directory(), "--config-dir"]).arg(&there.folder);
    certbot.arg("--manual-auth-hook").arg(auth).arg("--manual-cleanup-hook").arg(cleanup);
    for folder in ["work", "logs"] {
        certbot.arg(format!("--{folder}-dir")).arg(bench.testbed.folder().join(folder));
    }
    succeeds(&mut certbot);
}

/// Puts the settings of certbot's plugin for Gandi in the place of the hooks.
fn with_gandi(there: &Move, credentials: &str) {
    let file = there.bench.testbed.folder().join("gandi.ini");
    std::fs::write(&file, credentials).unwrap();
    let conf = there.folder.join("renewal/example.com.conf");
    let text = read(&conf);
    let kept = text.lines().filter(|line| !line.starts_with("manual_")).map(|line| match line {
        "authenticator = manual" => {
            format!("authenticator = dns-gandi\ndns_gandi_credentials = {}", file.display())
        }
        line => line.to_owned(),
    });
    std::fs::write(&conf, kept.collect::<Vec<_>>().join("\n")).unwrap();
}

#[test]
fn certbot_goes_on() {
    let there = Move::new();
    certbot(&there);
    with_gandi(&there, &format!("# from Gandi\ndns_gandi_token = {PAT}\n"));
    let imported = there.goes_on("certbot", "example.com", &[]);
    let one = &imported["certificates"][0];
    let source = format!("import:{} (sealed)", there.bench.testbed.folder().join("gandi.ini").display());
    assert_eq!(one["plugin_args"]["GandiPAT"], source.as_str());
    assert_eq!(one["names"], serde_json::json!(["example.com", "*.example.com"]));
}

#[test]
fn a_copy_without_links_an_old_key_and_hooks_are_enough() {
    let there = Move::new();
    certbot(&there);
    with_gandi(&there, "dns_gandi_api_key=abcdefghijklmnopqrstuvwx\ndns_gandi_sharing_id=some-id\n");
    std::fs::remove_dir_all(there.folder.join("live")).unwrap();
    let conf = there.folder.join("renewal/example.com.conf");
    let more = "renew_hook = systemctl reload nginx\nreuse_key = True\npreferred_chain = \"Some Root\"\n";
    std::fs::write(&conf, read(&conf) + "\n" + more).unwrap();
    // Of these, certbot runs the first alone.
    for (name, mode) in [("mail", 0o755), ("mail~", 0o755), ("README", 0o644)] {
        let path = there.folder.join("renewal-hooks/post").join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    std::fs::create_dir(there.folder.join("renewal-hooks/post/off")).unwrap();
    // A settings file that leads nowhere, and one that leads out.
    std::fs::write(there.folder.join("renewal/lost.example.conf"), "[renewalparams]\n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", there.folder.join("renewal/passwd.conf")).unwrap();

    let import = there.import("certbot", &[]);
    expect(&import, 3);
    let imported = document(&import);
    let one = &imported["certificates"][0];
    assert!(one["plugin_args"]["GandiToken"].as_str().unwrap().starts_with("import:"), "{one}");
    assert_eq!(one["plugin_args"]["GandiSharingId"], "some-id");
    assert_eq!(
        one["hooks"][0],
        serde_json::json!({"moment": "deploy", "command": "systemctl reload nginx", "taken_over": false})
    );
    assert_eq!(one["hooks"].as_array().unwrap().len(), 2, "{one}");
    assert_eq!(one["hooks"][1]["moment"], "post");
    assert!(one["hooks"][1]["command"].as_str().unwrap().ends_with("/mail'"), "{one}");
    let lost = imported["not_taken_over"].as_array().unwrap();
    let why = |what: &str| lost.iter().find(|lost| lost["what"] == what).unwrap()["reason"].as_str().unwrap();
    assert!(why("lost.example").contains("neither in 'live' nor in 'archive'"), "{imported}");
    assert!(why("passwd").contains("leads out of the folder"), "{imported}");
    let record: Value =
        serde_json::from_str(&read(&there.bench.cert("example.com").join("certificate.json"))).unwrap();
    assert_eq!((&record["reuse_key"], &record["preferred_chain"]), (&true.into(), &"Some Root".into()));

    // The rest is not asked for.
    expect(&there.import("certbot", &["--cert", "example.com"]), 0);
    expect(&there.import("certbot", &["--cert", "elsewhere.example"]), 2);
}
