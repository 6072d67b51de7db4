use super::*;

fn checked(text: &str) -> Config {
    use clap::Parser;
    let words = ["livecert", "--home", "/nowhere/livecert", "list"];
    let globals = crate::arguments::Arguments::try_parse_from(words).unwrap().globals;
    check(PathBuf::from("/etc/livecert/livecert.toml"), text.to_owned(), &globals)
}

/// Each mistake as `line:column message [hint]`.
fn mistakes(text: &str) -> Vec<String> {
    let all = checked(text).report.documents();
    let one = |mistake: &serde_json::Value| {
        let text = |key: &str| mistake[key].as_str().unwrap_or_default().to_owned();
        let hint = if mistake["hint"].is_null() { String::new() } else { format!(" [{}]", text("hint")) };
        let level = if text("level") == "warning" { "warning: " } else { "" };
        format!("{}:{} {level}{}{hint}", mistake["line"], mistake["column"], text("message"))
    };
    all.iter().map(one).collect()
}

/// There is this mistake, and no other.
#[track_caller]
fn only(text: &str, beginning: &str) {
    let found = mistakes(text);
    assert!(found.len() == 1 && found[0].starts_with(beginning), "{beginning}\nis not\n{found:#?}");
}

fn request(text: &str) -> livecert::certificate::IssueRequest {
    let config = checked(text);
    assert_eq!(config.report.documents(), Vec::<serde_json::Value>::new(), "{text}");
    config.certificates.into_iter().next().unwrap().request.unwrap()
}

const CERTIFICATE: &str = "[[certificate]]\nnames = [\"example.com\"]\n";

#[test]
fn no_table_is_called_like_a_command() {
    let vocabulary = Vocabulary::new();
    for table in ["defaults", "credential", "certificate"] {
        assert!(vocabulary.root().find_subcommand(table).is_none(), "{table}");
    }
}

#[test]
fn a_file_is_the_same_from_every_folder() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(real.join("a/b")).unwrap();
    let file = real.join("a/livecert.toml");
    for way in ["a/b/../livecert.toml", "a/./livecert.toml", "a/b/../../a/livecert.toml"] {
        assert_eq!(whole(&real.join(way)).unwrap(), file, "{way}");
    }
    std::os::unix::fs::symlink(&file, real.join("link.toml")).unwrap();
    assert_eq!(whole(&real.join("a/../link.toml")).unwrap(), real.join("link.toml"));
    assert_eq!(whole(Path::new("x.toml")).unwrap(), std::env::current_dir().unwrap().join("x.toml"));
}

#[test]
fn few_lines_suffice_and_defaults_are_for_all() {
    let asked = request(
        "[defaults]\nserver = \"LE_STAGE\"\naccept-tos = true\ncontact = [\"a@example.com\"]\nkey-type = \"ec-384\"\n\
         [[certificate]]\nnames = [\"example.com\", \"*.example.com\"]\nplugin = \"gandi\"\n",
    );
    assert_eq!(asked.names.len(), 2);
    assert!(asked.accept_tos && asked.servers[0].as_str().contains("staging"));
    assert_eq!(
        (asked.contact.as_slice(), asked.key_type),
        (&["a@example.com".to_owned()][..], "ec-384".parse().ok())
    );
    assert_eq!(asked.declared_in.as_deref(), Some(Path::new("/etc/livecert/livecert.toml")));
    // What a certificate says itself counts, and takes away what contradicts it.
    let asked = request(
        "[defaults]\nprofile = \"classic\"\nreuse-key = true\n[[certificate]]\nnames = [\"example.com\"]\n\
         preferred-profile = \"shortlived\"\nalways-new-key = true\n",
    );
    assert_eq!((asked.profile, asked.preferred_profile.as_deref()), (None, Some("shortlived")));
    assert_eq!(asked.reuse_key, Some(false));
}

#[test]
fn a_credential_is_written_once() {
    let file = "[credential.shop]\nplugin = \"gandi\"\nGandiPAT = \"env:PAT\"\nGandiTTL = 600\n\
                [defaults]\ncredential = \"shop\"\n[[certificate]]\nnames = [\"example.com\"]\n";
    let asked = request(file);
    let keys = |asked: &livecert::certificate::IssueRequest| format!("{:?}", asked.publishers);
    assert!(keys(&asked).contains("GandiPAT") && keys(&asked).contains("600"), "{}", keys(&asked));
    // One parameter of its own beside it.
    let own = request(&format!("{file}plugin-arg = {{ GandiTTL = 300 }}\n"));
    assert!(keys(&own).contains("GandiPAT") && keys(&own).contains("300"), "{}", keys(&own));
    // Another plugin has nothing of it.
    let other = request(&format!("{file}plugin = \"webroot\"\nplugin-arg = [\"WRPath=/var/www\"]\n"));
    assert!(!keys(&other).contains("GandiPAT"), "{}", keys(&other));
    only(
        &format!("{file}[[certificate]]\nnames = [\"a.example\"]\ncredential = \"shp\"\n"),
        "11:14 there is no credential 'shp' [did you mean \"shop\"?]",
    );
}

#[test]
fn several_credentials_are_told_by_their_zones() {
    let file = "[credential.shop]\nplugin = \"gandi\"\nGandiPAT = \"env:SHOP\"\nzones = [\"shop.example\"]\n\
                [credential.club]\nplugin = \"gandi\"\nGandiPAT = \"env:CLUB\"\n\
                [credential.own]\nplugin = \"webroot\"\nWRPath = \"/var/www\"\n";
    let both = format!("{file}[[certificate]]\nnames = [\"shop.example\", \"club.example\"]\n");
    let asked = request(&format!("{both}credential = [\"shop\", \"club\"]\n"));
    let of = |name: &str| asked.publishers.arguments.keys().any(|one| one.to_string() == name);
    assert!(of("gandi@shop") && of("gandi") && asked.publishers.zones.len() == 1, "{:?}", asked.publishers);
    let mixed = format!("{both}credential = [\"club\", \"own\"]\n");
    only(
        &mixed,
        "13:15 these credentials are of gandi and webroot, and each name has one plugin [say which proves what",
    );
    let asked = request(&format!("{mixed}plugin = [\"shop.example=webroot\", \"*=gandi\"]\n"));
    assert_eq!(asked.publishers.arguments.len(), 2, "{:?}", asked.publishers);
    let asked = request(&format!(
        "{both}credential = [\"shop\", \"club\"]\nplugin = [\"shop.example=gandi@shop\", \"*=gandi@club\"]\n"
    ));
    let names: Vec<_> = asked.publishers.arguments.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["gandi@club", "gandi@shop"]);
    only("[credential.x]\nplugin = \"gandi\"\nzones = [\"a b\"]\n", "3:10 'a b' is no name");
}

#[test]
fn each_mistake_has_its_place_and_what_was_meant() {
    for (text, beginning) in [
        ("[defalts]\n", "1:2 there is no table 'defalts' [did you mean 'defaults'?]"),
        (
            "[defaults]\nkey_type = \"ec-256\"\n",
            "2:1 there is no option 'key_type' [as on the command line: 'key-type'",
        ),
        ("[defaults]\nkey-typ = \"ec-256\"\n", "2:1 there is no option 'key-typ' [did you mean 'key-type'?]"),
        ("[defaults]\nkey-type = \"ec-255\"\n", "2:12 "),
        ("[defaults]\nserver = \"LE_STAG\"\n", "2:10 'LE_STAG' is neither"),
        ("[defaults]\nserver = [\"LE_PROD\", \"LE_STAG\"]\n", "2:22 'LE_STAG' is neither"),
        (
            "[defaults]\naccept-tos = \"true\"\n",
            "2:14 'accept-tos' is true or false, and not a text [without quotes: true]",
        ),
        ("[defaults]\nlock-timeout = \"5 moons\"\n", "2:16 '5 moons' is not a duration"),
        ("[defaults]\nlog-format = \"jsn\"\n", "2:14 'jsn' is none of json, text [did you mean \"json\"?]"),
        (
            "[defaults]\nkeep-generations = \"5\"\n",
            "2:20 'keep-generations' is a whole number, and not a text [without quotes: 5]",
        ),
        ("[defaults]\nkeep-generations = 0\n", "2:20 "),
        (
            "[defaults]\nkey-mode = 640\n",
            "2:12 'key-mode' is a text, and not a number [put it into quotes: \"640\"]",
        ),
        (
            "[defaults]\nkey-mode = 0640\n",
            "2:12 'key-mode' is a text, and not a number [put it into quotes: \"0640\"]",
        ),
        ("[defaults]\nkey-type = [\"ec-256\"]\n", "2:12 'key-type' is one text, and not a list"),
        ("[defaults]\nforce = true\n", "2:1 there is no option 'force'"),
        ("[defaults]\nca-bundle = \"roots.pem\"\n", "2:13 the path 'roots.pem' depends on the folder"),
        ("[renew]\nparallel = \"many\"\n", "2:12 'parallel' is a whole number"),
        ("[renew]\nparalel = 3\n", "2:1 there is no option 'paralel' [did you mean 'parallel'?]"),
        ("[account]\nshow = 1\n", "2:1 'show' is a table, and not a number"),
        ("[account.sow]\n", "1:10 there is no command 'sow'"),
        ("renew = 1\n", "1:1 'renew' is a table, and not a number"),
        (
            "server = \"LE_STAGE\"\n",
            "1:1 'server' is an option, and stands in no table [write [defaults] above it",
        ),
        (
            "accept-tos = true\n",
            "1:1 'accept-tos' is an option, and stands in no table [write [defaults] above it",
        ),
        ("[certificate]\nnames = []\n", "1:2 certificates are a list of tables"),
        ("[[certificate]]\n", "1:1 the certificate has no names [add names"),
        (
            "[[certificate]]\nnames = \"example.com\"\n",
            "2:9 'names' is a list, and not a text [write [\"example.com\"]]",
        ),
        ("[[certificate]]\nnames = [\"example.com\", \"exa mple.com\"]\n", "2:25 "),
        ("[[certificate]]\nnames = []\n", "2:9 there is no name in it"),
        (
            "[[certificate]]\nname = \"a/b\"\nnames = [\"example.com\"]\n",
            "2:8 'a/b' cannot name a certificate",
        ),
        (
            "[[certificate]]\nnames = [\"example.com\"]\nlock-timeout = \"5m\"\n",
            "3:1 'lock-timeout' is the same for all certificates",
        ),
        ("[credential.x]\nGandiPAT = \"env:A\"\n", "1:13 the credential 'x' does not say its plugin"),
        ("[credential.x]\nplugin = \"gandy\"\n", "2:10 there is no plugin 'gandy' [did you mean \"gandi\"?]"),
        (
            "[credential.x]\nplugin = \"gandi\"\nGandiPTA = \"env:A\"\n",
            "3:1 the plugin 'gandi' has no parameter 'GandiPTA' [did you mean 'GandiPAT'?]",
        ),
        ("[credential.x]\nplugin = \"gandi\"\nGandiTTL = \"soon\"\n", "3:12 GandiTTL is wrong"),
        (
            "[credential.x]\nplugin = \"gandi\"\nGandiPAT = \"env:A\"\nGandiToken = \"env:B\"\n",
            "1:13 GandiPAT and GandiToken are both given",
        ),
        (
            "[credential.x]\nplugin = \"gandi\"\nGandiPAT = \"env:A\"\nGandiTTL = [3]\n",
            "4:12 a parameter is a text",
        ),
    ] {
        only(text, beginning);
    }
}

#[test]
fn what_is_wrong_only_together_is_told_too() {
    for (more, beginning) in [
        (
            "profile = \"a\"\npreferred-profile = \"b\"\n",
            "4:1 'profile' and 'preferred-profile' contradict each other",
        ),
        ("eab-kid = \"kid\"\n", "2:1 'eab-hmac-key' is needed too"),
        ("plugin-arg = { GandiTTL = 3 }\n", "3:1 parameters are given, and no plugin"),
        ("plugin = \"webroot\"\n", "2:1 the plugin 'webroot' needs WRPath"),
        ("plugin = \"gandi\"\nchallenge = \"http-01\"\n", "2:1 "),
        (
            "[[certificate]]\nnames = [\"example.com\"]\n",
            "4:1 there is a certificate 'example.com' in line 2 already",
        ),
    ] {
        only(&format!("{CERTIFICATE}{more}"), beginning);
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "[defaults]\nkey-typ = 1\n[renew]\nparallel = true\n[[certificate]]\nnames = [\"a b\"]\nplugin = \"gandy\"\n";
    assert_eq!(mistakes(text).len(), 4, "{:#?}", mistakes(text));
    let broken = mistakes("[defaults]\nserver = \nkey-type = \"ec-256\n[renew]\nparallel = \"x\"\n");
    assert!(broken.len() >= 3, "{broken:#?}");
}

#[test]
fn files_that_are_not_there_are_a_warning() {
    let text = "[defaults]\nca-bundle = \"/nowhere/roots.pem\"\n[credential.x]\nplugin = \"gandi\"\nGandiPAT = \"file:/nowhere/pat\"\n\
                [[certificate]]\ncsr = \"/nowhere/request.csr\"\nname = \"x\"\n";
    let config = checked(text);
    assert_eq!((config.report.errors(), config.report.warnings()), (0, 3), "{:#?}", mistakes(text));
    assert!(config.certificates[0].request.is_err());
}

#[test]
fn a_secret_that_stands_in_the_file_is_not_repeated() {
    let token = "0123456789abcdef0123456789abcdef01234567";
    for secret in [token, "short-Secret1", "a \\\" b"] {
        for text in [
            format!("[credential.x]\nplugin = \"gandi\"\nGandiPAT = \"{secret}\"\n"),
            format!("[credential.x]\nplugin = \"gandi\"\nGandiPTA = \"{secret}\"\n"),
            format!("[credential.x]\nplugin = \"gandi\"\nGandiTokenInsecure = \"{secret}\"\n"),
            format!("[credential.x]\nplugin = \"gandy\"\nGandiPAT = \"{secret}\"\n"),
            format!("[credential.x]\nGandiPAT = \"{secret}\"\n"),
            format!(
                "{CERTIFICATE}plugin = \"gandi\"\nplugin-arg = {{ GandiTTL = \"x\", GandiPAT = \"{secret}\" }}\n"
            ),
            format!("{CERTIFICATE}plugin-arg = {{ GandiTTL = \"x\", GandiPAT = \"{secret}\" }}\n"),
            format!("{CERTIFICATE}plugin = \"gandi\"\nplugin-arg = [\"GandiPAT={secret}\", \"x\"]\n"),
            format!("{CERTIFICATE}plugin = \"gandi\"\nplugin-arg = [\"{secret}\"]\n"),
            format!("{CERTIFICATE}pfx-password = \"{secret}\"\n"),
            format!("{CERTIFICATE}pfx-pasword = \"{secret}\"\n"),
            format!("[defaults]\nsealing-key = \"{secret}\"\n"),
            format!("[defaults]\neab-kid = \"k\"\neab-hmac-key = \"{secret}\"\n"),
        ] {
            let report = checked(&text).report;
            assert!(report.errors() > 0, "{text}");
            let shown = format!("{}{:?}", report.text(), report.documents());
            assert!(!shown.contains(secret), "{text}\n{shown}");
        }
    }
    // What has no quotes, or not all of them, is no better.
    for (key, value) in [
        ("pfx-password", "987654321"),
        ("pfx-password", "short-Secret1"),
        ("pfx-password", "\"short-Secret1"),
        ("plugin-arg", "{ GandiPAT = \"short-Secret1 }"),
        ("eab-hmac-key", "short-Secret1"),
        ("sealing-key short-Secret1", "ü"),
    ] {
        let report = checked(&format!("{CERTIFICATE}{key} = {value}\n")).report;
        assert!(report.errors() > 0, "{key} {value}");
        let shown = format!("{}{:?}", report.text(), report.documents());
        assert!(!shown.contains("Secret1") && !shown.contains("987654321"), "{shown}");
    }
    let shown = checked("[credential.x]\nplugin = \"gandi\"\ngandipat = short-Secret1\n").report.text();
    assert!(shown.contains("gandipat") && !shown.contains("Secret1"), "{shown}");
    // What is no TOML may be anything.
    let shown = checked(&format!("[credential.x]\nGandiPAT = \"{token}\n")).report.text();
    assert!(!shown.contains(token), "{shown}");
}

#[test]
fn the_line_is_underlined_as_rustc_does() {
    let text = "[defaults]\nserver = \"LE_PROD\"\nkey-typ = \"ec-256\"\n";
    let shown = checked(text).report.text();
    let plain = anstream::adapter::strip_str(&shown).to_string();
    assert_eq!(
        plain,
        "error: there is no option 'key-typ'\n \
         --> /etc/livecert/livecert.toml:3:1\n  \
         |\n\
         3 | key-typ = \"ec-256\"\n  \
         | ^^^^^^^ not known here\n  \
         |\n  \
         = help: did you mean 'key-type'?\n\n"
    );
}

#[test]
fn the_schema_knows_every_option() {
    let schema = schema();
    let has = |path: &[&str]| path.iter().fold(&schema, |schema, key| &schema["properties"][key]).is_object();
    for path in
        [&["defaults", "lock-timeout"][..], &["renew", "parallel"], &["timer", "install", "on-calendar"]]
    {
        assert!(has(path), "{path:?}");
    }
    let of_certificate = &schema["properties"]["certificate"]["items"]["properties"];
    for key in ["names", "name", "credential", "deploy-hook", "owner", "must-staple", "plugin-arg"] {
        assert!(of_certificate[key].is_object(), "{key}");
        assert!(
            of_certificate[key]["title"].is_string() && of_certificate[key]["description"].is_string(),
            "{key}"
        );
    }
    assert!(of_certificate["lock-timeout"].is_null() && of_certificate["force"].is_null());
}

mod whatever_is_written {
    use livecert::certificate::{ApplyRequest, CertificateError, Step, intentions};
    use livecert::store::Store;
    use proptest::prelude::*;

    use super::*;

    /// Lines that are right, wrong, or wrong only together.
    const LINES: [&str; 18] = [
        "credential = 'shop'",
        "credential = 'none'",
        "plugin = 'gandi'",
        "plugin = 'webroot'",
        "plugin = 'selfhost'",
        "plugin-arg = { GandiTTL = 300 }",
        "plugin-arg = { WRPath = '/var/www' }",
        "challenge = 'http-01'",
        "challenge = 'dns-persist-01'",
        "key-type = 'rsa-2048'",
        "reuse-key = true",
        "always-new-key = true",
        "format = ['bundle', 'der']",
        "must-staple = true",
        "pfx-password = 'env:PFX'",
        "profile = 'classic'",
        "preferred-profile = 'shortlived'",
        "deploy-hook = 'true'",
    ];

    fn table() -> impl Strategy<Value = String> {
        proptest::sample::subsequence(LINES.to_vec(), 0..5).prop_map(|lines| lines.join("\n") + "\n")
    }

    fn certificate() -> impl Strategy<Value = String> {
        let names = ["['N.example.com']", "['*.N.example.com', 'example.org']", "['192.0.2.N']"];
        let more = ["", "name = 'oneN'\n", "csr = '/nowhere/N.csr'\n"];
        let all =
            (proptest::sample::select(names.to_vec()), proptest::sample::select(more.to_vec()), table());
        all.prop_map(|(names, more, table)| format!("[[certificate]]\nnames = {names}\n{more}{table}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, max_global_rejects: 4096, ..ProptestConfig::default() })]

        #[test]
        fn apply_understands_what_check_accepts(defaults in table(), all in proptest::collection::vec(certificate(), 0..3)) {
            let certificates: String = all.iter().enumerate().map(|(at, one)| one.replace('N', &at.to_string())).collect();
            let text = format!("[credential.shop]\nplugin = 'gandi'\nGandiPAT = 'env:PAT'\n[defaults]\n{defaults}{certificates}");
            let config = checked(&text);
            prop_assume!(config.report.errors() == 0);
            prop_assert_eq!(config.certificates.len(), all.len());
            let folder = tempfile::tempdir().unwrap();
            let store = Store::read_only(folder.path());
            let steps = intentions(&store, ApplyRequest::new(config.path, config.certificates)).unwrap();
            for one in &steps {
                let fine = match &one.step {
                    Step::Issue(_) => true,
                    Step::Refuse(error) => matches!(**error, CertificateError::File { .. }),
                    _ => false,
                };
                prop_assert!(fine, "{text}\n{one:?}");
            }
        }

        #[test]
        fn and_whatever_is_in_the_file_is_read_to_its_end(text in "(\\[{1,2}[a-z.]{0,12}\\]{1,2}\n|[a-z-]{1,9} ?= ?[\"'\\[{]?[ -~ü]{0,9}[\"'\\]}]?\n){0,6}") {
            let report = checked(&text).report;
            let _ = (report.text(), report.documents());
        }
    }
}
