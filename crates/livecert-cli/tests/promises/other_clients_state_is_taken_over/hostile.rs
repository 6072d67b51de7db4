use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// What no output may show, and no file but its own may hold.
const CANARY: &str = "canary-9b1f4c7e";

/// What stands in the place of `file`, one after the other.
fn nasty(folder: &Path, file: &str, number: usize) -> bool {
    let path = folder.join(file);
    let _ = std::fs::remove_file(&path);
    let _ = std::fs::remove_dir_all(&path);
    match number {
        0 => symlink(folder.parent().unwrap().join("outside"), &path).unwrap(),
        1 => symlink(path.file_name().unwrap(), &path).unwrap(),
        2 => symlink("/dev/zero", &path).unwrap(),
        3 => std::fs::create_dir(&path).unwrap(),
        4 => std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap(),
        5 => std::fs::write(&path, [0xff, 0xfe, 0, b'{']).unwrap(),
        6 => std::fs::write(&path, format!("{{\"key\": \"{CANARY}\"")).unwrap(),
        7 => std::fs::write(&path, "[[[[[[[[[[[[[[[[".repeat(1000)).unwrap(),
        8 => {
            let made = Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
        }
        9 => std::fs::write(&path, "").unwrap(),
        _ => return false,
    }
    true
}

/// Every file of a client's folder is replaced by one that is made to do harm. The rest of it is whole.
#[test]
fn nothing_outside_is_read_and_nothing_is_broken() {
    let there = Move::new();
    let made = Made::new(&there);
    let outside = there.folder.parent().unwrap().join("outside");
    std::fs::write(&outside, format!("ACCOUNT_URL='{CANARY}'\n[renewalparams]\nserver = {CANARY}\n"))
        .unwrap();
    std::fs::set_permissions(&outside, std::fs::Permissions::from_mode(0o600)).unwrap();
    super::acme_sh::acme_sh(&there, &made, "example.com");
    let (whole, ca) = (there.folder.clone(), there.server.directory());
    let ca = format!("ca/localhost/{}", ca.splitn(4, '/').nth(3).unwrap());
    let files = [
        "account.conf",
        "example.com/example.com.conf",
        "example.com/example.com.key",
        "example.com/fullchain.cer",
    ];
    let files = files.iter().map(|&file| file.to_owned());
    let files = files.chain(["account.key", "account.json", "ca.conf"].map(|file| format!("{ca}/{file}")));
    for file in files {
        let kept = std::fs::read(whole.join(&file)).unwrap();
        for number in 0.. {
            if !nasty(&whole, &file, number) {
                break;
            }
            let plan = there.import("acme.sh", &["--plan"]);
            assert!(matches!(plan.status, Some(0 | 1 | 3)), "{file} {number}: {plan:?}");
            let all = format!("{}{}", plan.stdout, plan.stderr);
            assert!(!all.contains(CANARY) && !all.contains("panicked"), "{file} {number}: {all}");
        }
        let _ = std::fs::remove_dir_all(whole.join(&file));
        let _ = std::fs::remove_file(whole.join(&file));
        std::fs::write(whole.join(&file), kept).unwrap();
    }
    assert!(!there.bench.testbed.home().exists());
    expect(&there.import("acme.sh", &["--plan"]), 0);
}

#[test]
fn names_that_climb_lead_nowhere() {
    let bench = Bench::new();
    let folder = bench.testbed.folder().join("theirs");
    let outside = bench.testbed.folder().join("outside");
    let key =
        piped(Command::new("openssl").args(["ecparam", "-name", "prime256v1", "-genkey", "-noout"]), "");
    write(&outside, "privkey.pem", &key);
    write(&outside, "fullchain.pem", CANARY);
    write(
        &folder,
        "renewal/...conf",
        "[renewalparams]\nserver = https://ca.example/\naccount = ../../../outside\n",
    );
    write(&folder, "renewal/..conf", "[renewalparams]\n");
    write(&folder, "renewal/out.conf", "[renewalparams]\nserver = ftp://ca.example/\n");
    std::fs::create_dir_all(folder.join("live")).unwrap();
    symlink(&outside, folder.join("live/out")).unwrap();
    symlink("..", folder.join("accounts")).unwrap();
    let import = bench.run(&["import", "certbot", folder.to_str().unwrap(), "--json"]);
    expect(&import, 1);
    let lost = document(&import)["not_taken_over"].to_string();
    assert!(lost.contains("leads out of the folder"), "{lost}");
    assert!(lost.contains("no name of a folder"), "{lost}");
    assert!(!import.stdout.contains(CANARY));
    assert_eq!(document(&bench.run(&["list", "--json"]))["certificates"], serde_json::json!([]));
}
