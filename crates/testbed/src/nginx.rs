//! nginx, as the service that a deploy hook reloads.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Process, at_free_ports};
use crate::{Error, io};

/// A running nginx. It ends when this is dropped.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    address: SocketAddr,
    pid: PathBuf,
}

impl Nginx {
    /// Starts one in `folder` that serves HTTPS with these certificates (folders with `fullchain.pem` and `privkey.pem`);
    /// `more` is part of its configuration.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub fn start(folder: &Path, certificates: &[&Path], more: &str) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(io("a folder for nginx"))?;
        at_free_ports(|[address]| Self::at(address, folder, certificates, more))
    }

    fn at(address: SocketAddr, folder: &Path, certificates: &[&Path], more: &str) -> Result<Self, Error> {
        let pid = folder.join("nginx.pid");
        let pairs = certificates.iter().map(|certificate| {
            let certificate = certificate.display();
            format!(
                "ssl_certificate {certificate}/fullchain.pem; ssl_certificate_key {certificate}/privkey.pem;"
            )
        });
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|what| format!("{what}_temp_path {}/{what};", folder.display()));
        let configuration = format!(
            "daemon off; worker_processes 1; pid {}; error_log stderr;\nevents {{}}\n\
             http {{ access_log off; {}\nserver {{ listen {address} ssl; {more} {} return 204; }} }}\n",
            pid.display(),
            temporary.concat(),
            pairs.collect::<String>(),
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration).map_err(io("the configuration of nginx"))?;
        let program = ["/usr/sbin/nginx", "nginx"].into_iter().find(|path| Path::new(path).exists());
        let mut command = Command::new(program.unwrap_or("nginx"));
        command.arg("-c").arg(&file).arg("-p").arg(folder).args(["-e", "stderr"]);
        let process = Process::start(command, "`cargo xtask setup` installs it", address)?;
        Ok(Nginx { _process: process, address, pid })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The command that makes it read its certificates again.
    pub fn reload(&self) -> String {
        format!("kill -HUP \"$(cat '{}')\"", self.pid.display())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers outlive a master that is killed.
        let stop = format!(
            "kill -TERM \"$(cat '{0}')\" && while test -e '{0}'; do sleep 0.01; done",
            self.pid.display()
        );
        let _ = Command::new("timeout").args(["5", "sh", "-c", &stop]).output();
    }
}
