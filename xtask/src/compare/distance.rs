//! A way to a server that is far: every byte takes half a round trip, and a connection a whole one more.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Failure;

/// A running way. When it is dropped, its address is free again.
#[derive(Debug)]
pub(super) struct Distance {
    address: SocketAddr,
    ends: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Distance {
    /// Listens at `front`, and leads to `server`.
    pub(super) fn start(
        front: SocketAddr,
        server: SocketAddr,
        round_trip: Duration,
    ) -> Result<Self, Failure> {
        let listener = TcpListener::bind(front)?;
        let address = listener.local_addr()?;
        let ends = Arc::new(AtomicBool::new(false));
        let listening = std::thread::spawn({
            let ends = Arc::clone(&ends);
            move || {
                for client in listener.incoming().flatten() {
                    if ends.load(Relaxed) {
                        return;
                    }
                    std::thread::spawn(move || connect(client, server, round_trip));
                }
            }
        });
        Ok(Distance { address, ends, listening: Some(listening) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        // It waits for somebody to come.
        if TcpStream::connect(self.address).is_ok()
            && let Some(listening) = self.listening.take()
        {
            let _ = listening.join();
        }
    }
}

fn connect(client: TcpStream, server: SocketAddr, round_trip: Duration) {
    let Ok(server) = TcpStream::connect(server) else { return };
    let ends = [&client, &server].map(|end| end.set_nodelay(true).and_then(|()| end.try_clone()));
    let [Ok(from_client), Ok(from_server)] = ends else { return };
    let half = round_trip / 2;
    // The kernel has accepted at once; whoever is far learns of that only after a round trip.
    carry(from_client, server, half, round_trip);
    carry(from_server, client, half, Duration::ZERO);
}

/// Carries bytes to where they go, each after its time, without holding back those that follow.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration, first: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let begun = Instant::now();
    std::thread::spawn(move || {
        for (due, bytes) in receiver {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let due = Instant::now().max(begun + first) + delay;
            if sender.send((due, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_free_again_after_it() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let start = |front| Distance::start(front, server.local_addr().unwrap(), Duration::ZERO).unwrap();
        let way = start(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = way.address();
        drop(way);
        assert_eq!(start(address).address(), address);
    }
}
