//! A server that runs as a process of its own.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Error, io};

/// How long it may take to listen. A Python server on a busy machine takes some seconds.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often a server is tried at other ports.
const TRIES: usize = 5;

/// What a process said so far, line by line.
type Said = Arc<Mutex<Vec<String>>>;

/// A server; it is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: Said,
}

impl Process {
    /// Starts `command`, and waits until something listens at `address`. `hint` says how to get the program.
    pub(crate) fn start(
        mut command: Command,
        hint: &'static str,
        address: SocketAddr,
    ) -> Result<Self, Error> {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|source| Error::Program { program: program.clone(), hint, source })?;
        let said = Said::default();
        if let Some(output) = child.stdout.take() {
            listen(output, &said);
        }
        if let Some(output) = child.stderr.take() {
            listen(output, &said);
        }
        let mut process = Process { child, said };
        process.wait_until_it_listens(&program, address)?;
        Ok(process)
    }

    fn wait_until_it_listens(&mut self, program: &str, address: SocketAddr) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let ended = self.child.try_wait().map_err(io(format!("waiting for {program}")))?;
            if ended.is_some() || begun.elapsed() > START_LIMIT {
                let said = self.log().last().cloned().unwrap_or_default();
                return Err(Error::Silent { program: program.to_owned(), said });
            }
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(output: impl Read + Send + 'static, said: &Said) {
    let said = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}

/// Starts a server at free ports. A free port may be taken by somebody else between the question and the use; then
/// others are tried.
pub(crate) fn at_free_ports<T, const N: usize>(
    mut start: impl FnMut([SocketAddr; N]) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        match start(free_ports()?) {
            Err(Error::Silent { .. }) if tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

/// Ports that were given to a server of this process: none is given to two. Whoever asks whether a server listens would take the
/// other one's answer for its own.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

fn free_ports<const N: usize>() -> Result<[SocketAddr; N], Error> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for address in &mut addresses {
        *address = loop {
            let listener =
                std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io("a free port"))?;
            let free = listener.local_addr().map_err(io("a free port"))?;
            if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(free.port()) {
                break free;
            }
        };
    }
    Ok(addresses)
}
