//! Who listens on a port, as far as a program may see that.

/// The program that listens on `port` of any address, such as `nginx (process 812)`.
#[cfg(target_os = "linux")]
pub(super) fn occupant(port: u16) -> Option<String> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let Ok(Ok(id)) = process.file_name().into_string().map(|name| name.parse::<u32>()) else { continue };
        // Most of the entries of others cannot be read, but for root.
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let has = |entry: &std::fs::DirEntry| {
            std::fs::read_link(entry.path())
                .is_ok_and(|target| inodes.iter().any(|inode| target.as_os_str() == inode.as_str()))
        };
        if open.flatten().any(|entry| has(&entry)) {
            let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
            return Some(format!("{} (process {id})", name.trim_end()));
        }
    }
    None
}

/// Other systems do not tell without a program of their own.
#[cfg(not(target_os = "linux"))]
pub(super) fn occupant(_: u16) -> Option<String> {
    None
}

/// The inodes of sockets that listen on `port`, out of the kernel's table (proc_pid_net(5)).
#[cfg(target_os = "linux")]
fn listening(table: &str, port: u16) -> Vec<String> {
    let mut found = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(local), Some(state), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9)) else {
            continue;
        };
        let at = local.rsplit_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        // 0A is LISTEN.
        if at == Some(port) && *state == "0A" {
            found.push((*inode).to_owned());
        }
    }
    found
}
