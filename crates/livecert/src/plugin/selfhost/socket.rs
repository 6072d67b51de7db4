//! Sockets to listen on: opened here, or passed in by systemd.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;

use socket2::{Domain, Socket, Type};

use super::occupant::occupant;
use crate::plugin::WebError;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens on `port` of `addresses`, or of all if there are none; then a family that the machine does not have is
/// done without.
pub(super) fn listen(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, WebError> {
    if !addresses.is_empty() {
        return addresses.iter().map(|address| open(SocketAddr::new(*address, port))).collect();
    }
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let (mut open_ones, mut failed) = (Vec::new(), None);
    for address in all {
        match open(SocketAddr::new(address, port)) {
            Ok(socket) => open_ones.push(socket),
            Err(error @ WebError::Listen { .. }) => failed = Some(error),
            Err(error) => return Err(error),
        }
    }
    match failed {
        Some(error) if open_ones.is_empty() => Err(error),
        _ => Ok(open_ones),
    }
}

pub(super) fn open(address: SocketAddr) -> Result<TcpListener, WebError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // Old connections must not keep the port from us; another listener still does.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    listen().map_err(|source: io::Error| match source.kind() {
        ErrorKind::AddrInUse => WebError::PortInUse { address, occupant: occupant(address.port()) },
        ErrorKind::PermissionDenied => WebError::PortNotPermitted { address },
        _ => WebError::Listen { address, source },
    })
}

/// A socket that was passed in, and its name.
struct Passed {
    name: String,
    socket: TcpListener,
}

/// The sockets that were passed in with this name, or that have this port. They stay open, and can be had again.
pub(super) fn passed(name: &str, port: u16) -> Result<Vec<TcpListener>, WebError> {
    static PASSED: OnceLock<io::Result<Vec<Passed>>> = OnceLock::new();
    match PASSED.get_or_init(take_passed) {
        Ok(all) => choose(all, name, port).map_err(WebError::PassedSocket),
        Err(error) => Err(WebError::PassedSocket(io::Error::new(error.kind(), error.to_string()))),
    }
}

fn choose(all: &[Passed], name: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let mut chosen = Vec::new();
    for one in all {
        if one.name == name || one.socket.local_addr()?.port() == port {
            let socket = one.socket.try_clone()?;
            socket.set_nonblocking(true)?;
            chosen.push(socket);
        }
    }
    Ok(chosen)
}

/// Takes them over (sd_listen_fds(3)), once in the life of the process.
fn take_passed() -> io::Result<Vec<Passed>> {
    // Descriptors that are meant for another process are something else here.
    let ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
    if !ours {
        return Ok(Vec::new());
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let mut sockets = listenfd::ListenFd::from_env();
    let mut passed = Vec::new();
    for index in 0..sockets.len() {
        let name = names.next().unwrap_or_default();
        if let Some(socket) = sockets.take_tcp_listener(index)? {
            passed.push(Passed { name, socket });
        }
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_sockets_are_chosen_by_name_or_port() {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let pass = |name: &str| Passed { name: name.into(), socket: open(local).unwrap() };
        let all = [pass("http"), pass("tls-alpn"), pass("livecert.socket"), pass("http")];
        let port = |socket: &TcpListener| socket.local_addr().unwrap().port();
        let chosen = |name: &str, wanted: u16| -> Vec<u16> {
            choose(&all, name, wanted).unwrap().iter().map(port).collect()
        };
        let ports: Vec<u16> = all.iter().map(|one| port(&one.socket)).collect();
        assert_eq!(chosen("http", 0), [ports[0], ports[3]]);
        assert_eq!(chosen("http", ports[2]), [ports[0], ports[2], ports[3]]);
        assert_eq!(chosen("other", ports[1]), [ports[1]]);
        assert_eq!(chosen("other", 0), [0_u16; 0]);
    }

    #[test]
    fn a_port_in_use_is_named_with_its_user() {
        let taken = open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = taken.local_addr().unwrap();
        let error = listen(&[address.ip()], address.port()).unwrap_err();
        let WebError::PortInUse { occupant, .. } = &error else { panic!("{error}") };
        #[cfg(target_os = "linux")]
        assert!(
            occupant.as_ref().unwrap().ends_with(&format!("(process {})", std::process::id())),
            "{error}"
        );
        assert!(error.to_string().contains(&format!("{address} is in use")), "{error} {occupant:?}");
        drop(taken);
        listen(&[address.ip()], address.port()).unwrap();
    }

    #[test]
    fn all_addresses_are_of_both_families() {
        let sockets = listen(&[], 0).unwrap();
        assert!(sockets.iter().any(|socket| socket.local_addr().unwrap().is_ipv4()));
        if open(SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).is_ok() {
            assert!(sockets.iter().any(|socket| socket.local_addr().unwrap().is_ipv6()));
        }
    }
}
