use serde_json::json;

use super::*;

/// Has lego get a certificate for `example.com` and `*.example.com`.
fn lego(there: &Move) {
    let bench = &there.bench;
    let text = "#!/bin/sh\ncase $1 in\n  present) exec livecert dns add \"$2\" \"$3\" WORDS ;;\n  \
                cleanup) exec livecert dns remove \"$2\" \"$3\" WORDS ;;\nesac\n";
    let hook = script(bench, "hook", text);
    let dns = bench.testbed.simulator().dns_addrs()[0].to_string();
    let mut lego = client(bench, "lego");
    lego.env("LIVECERT_HOME", bench.testbed.folder().join("hook-home"));
    lego.env("EXEC_PATH", hook).env("EXEC_SEQUENCE_INTERVAL", "1");
    lego.args(["--accept-tos", "--email", "you@example.com", "--dns", "exec", "--dns.disable-cp"]);
    lego.args(["--dns.resolvers", &dns, "--server", &there.server.directory(), "--path"]).arg(&there.folder);
    lego.args(["--domains", "example.com", "--domains", "*.example.com", "run"]);
    succeeds(&mut lego);
}

#[test]
fn lego_4_goes_on() {
    let there = Move::new();
    lego(&there);
    // Its folder tells the host alone.
    let import = there.import("lego", &["--plan"]);
    expect(&import, 1);
    assert!(import.stdout.contains("--server URL"), "{}", import.stdout);
    let (directory, token) =
        (there.server.directory(), format!("GandiPAT=file:{}", there.bench.token.display()));
    let plan = document(&there.import("lego", &["--plan", "--server", &directory]));
    assert_eq!(plan["certificates"][0]["plugin"], "manual", "{plan}");
    let imported = there.goes_on("lego", "example.com", &["--server", &directory, "--plugin-arg", &token]);
    assert_eq!(imported["accounts"][0]["contact"], json!(["you@example.com"]));
}

/// The folder as lego 5 writes it.
fn lego_5(there: &Move, made: &Made, settings: &str) {
    let (root, directory) = (&there.folder, there.server.directory());
    write(root, ".lego.yml", settings);
    let host = directory.split('/').nth(2).unwrap().replace(':', "_");
    let at = format!(".lego/accounts/{host}/me");
    let account = json!({
        "id": "me", "email": "you@example.com", "keyType": "EC256", "server": directory,
        "registration": {"status": "valid", "location": made.account},
    });
    write(root, &format!("{at}/account.json"), &account.to_string());
    write(root, &format!("{at}/me.key"), &made.account_key);
    let resource = json!({"id": "home", "domains": ["example.com", "*.example.com"], "certUrl": "https://localhost/x", "keyType": "EC256"});
    write(root, ".lego/certificates/home.json", &resource.to_string());
    write(root, ".lego/certificates/home.key", &made.key);
    write(root, ".lego/certificates/home.crt", &format!("{}{}", made.leaf, made.chain));
    write(root, ".lego/certificates/home.issuer.crt", &made.chain);
}

#[test]
fn lego_5_goes_on() {
    let there = Move::new();
    let made = Made::new(&there);
    let settings = format!(
        "accounts:\n  me:\n    server: {}\nchallenges:\n  gandi: &gandi\n    dns:\n      provider: gandiv5\n      \
         envFile: secrets/.env\n      propagation:\n        wait: 5s\ncertificates:\n  home:\n    domains: [example.com, \
         '*.example.com']\n    renew:\n      reuseKey: true\nhooks:\n  deploy:\n    command: ./deploy.sh\n",
        there.server.directory()
    );
    lego_5(&there, &made, &settings);
    let environment =
        format!("# from Gandi\nGANDIV5_PERSONAL_ACCESS_TOKEN_FILE=\"{}\"\n", there.bench.token.display());
    write(&there.folder, "secrets/.env", &environment);
    let imported = there.goes_on("lego", "home", &[]);
    let one = &imported["certificates"][0];
    // A file that holds nothing else stays where it is.
    assert_eq!(one["plugin_args"]["GandiPAT"], format!("file:{}", there.bench.token.display()));
    assert_eq!(one["hooks"], json!([{"moment": "deploy", "command": "./deploy.sh", "taken_over": false}]));

    // Settings that are damaged, or made to take all memory, are told, and the rest is there.
    let bomb =
        (0..30).map(|n| format!("a{}: &a{} [*a{n}, *a{n}, *a{n}]\n", n + 1, n + 1)).collect::<String>();
    for settings in ["certificates: [", &format!("a0: &a0 x\n{bomb}")] {
        write(&there.folder, ".lego.yml", settings);
        let plan = there.import("lego", &["--plan"]);
        expect(&plan, 3);
        assert!(document(&plan)["not_taken_over"].to_string().contains("YAML"), "{}", plan.stdout);
        assert_eq!(document(&plan)["certificates"][0]["result"], "already-there");
    }
}
