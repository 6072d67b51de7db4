use std::path::Path;
use std::process::Command;

use super::binary;

/// A state folder with a certificate's name in it; completion needs no more.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let cert = home.path().join("certs/mail.example.com");
    std::fs::create_dir_all(&cert).unwrap();
    std::fs::write(cert.join("certificate.json"), "{}").unwrap();
    home
}

/// What a shell prints, with livecert in its path.
#[track_caller]
fn shell(home: &Path, program: &str, words: &[&str]) -> String {
    let folder = binary().parent().unwrap().to_owned();
    let path = std::env::join_paths(
        std::iter::once(folder).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let mut command = Command::new(program);
    command.args(words).env("PATH", path.unwrap()).env("LIVECERT_HOME", home).env("HOME", home);
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn bash_completes_names_from_the_store() {
    let home = home();
    let script = "source <(livecert completions bash); COMP_TYPE=9
        COMP_WORDS=(livecert show ma); COMP_CWORD=2; _clap_complete_livecert livecert ma show; echo \"${COMPREPLY[@]}\"
        COMP_WORDS=(livecert issue --server LE_); COMP_CWORD=3; _clap_complete_livecert livecert LE_ --server
        echo \"${COMPREPLY[@]}\"";
    let said = shell(home.path(), "bash", &["-c", script]);
    assert_eq!(said, "mail.example.com\nLE_PROD LE_STAGE\n");
}

#[test]
fn fish_completes_names_from_the_store() {
    let home = home();
    let script =
        "livecert completions fish | source; complete -C 'livecert show ma'; complete -C 'livecert rollb'";
    let said = shell(home.path(), "fish", &["--no-config", "-c", script]);
    assert!(said.starts_with("mail.example.com"), "{said}");
}

#[test]
fn zsh_completes_names_from_the_store() {
    let home = home();
    // A terminal of its own, because zsh completes only for somebody who types.
    let script = r"zmodload zsh/zpty; zpty z zsh -f -i
        zpty -w z 'autoload -Uz compinit; compinit -u; source <(livecert completions zsh); PROMPT=REA; PROMPT+=DY'
        zpty -r z out '*READY*'
        zpty -n -w z $'livecert show ma\t\C-uecho E\'\'ND\n'
        zpty -r z out '*END*'; print -r -- $out";
    assert!(shell(home.path(), "zsh", &["-f", "-c", script]).contains("mail.example.com"));
}

#[test]
fn powershell_and_elvish_have_their_scripts() {
    let home = home();
    for (name, word) in
        [("powershell", "Register-ArgumentCompleter"), ("elvish", "edit:completion:arg-completer")]
    {
        let said = shell(home.path(), "livecert", &["completions", name]);
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let home = home();
    let folder = home.path().join("man");
    let words = ["man", "--dir", folder.to_str().unwrap(), "--json"];
    let document: serde_json::Value = serde_json::from_str(&shell(home.path(), "livecert", &words)).unwrap();
    let pages: Vec<_> =
        document["pages"].as_array().unwrap().iter().map(|page| page.as_str().unwrap()).collect();
    assert!(pages.iter().any(|page| page.ends_with("/livecert.1")), "{pages:?}");
    assert!(pages.iter().any(|page| page.ends_with("/livecert-dns-add.1")), "{pages:?}");
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        assert!(text.contains(".SH SYNOPSIS") && text.contains(".SH NAME"), "{page}");
    }
    // The same words as the help has.
    let help = shell(home.path(), "livecert", &["--help"]);
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Lines that go on with a description begin further in.
    for command in commands.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = command.split_whitespace().next().unwrap();
        let page = format!("/livecert-{name}.1");
        assert!(name == "help" || pages.iter().any(|one| one.ends_with(&page)), "{name} has no page");
    }
}
