//! Proofs: what a server asks for, and how it is shown.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use crate::context::{Context, Obstacle, Verdict, failed, not_offered};

/// One name, and a renewal of it, which may find its authorization valid already.
pub(crate) fn dns(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], &[])?;
    context.issue(&[&name], &["--force"])?;
    Ok(())
}

pub(crate) fn apex_and_wildcard(context: &Context<'_>) -> Verdict {
    let wildcard = format!("*.{}", context.zone);
    context.issue(&[&context.zone, &wildcard], &[])?;
    Ok(())
}

pub(crate) fn hundred_names(context: &Context<'_>) -> Verdict {
    let names: Vec<String> = (1..=100).map(|number| format!("host{number}.{}", context.zone)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    context.issue(&names, &[])?;
    Ok(())
}

/// The listener of livecert itself.
pub(crate) fn http(context: &Context<'_>) -> Verdict {
    let port = format!("WSHPort={}", context.server.http_port());
    at_ports(context, "http-01", &["--plugin", "selfhost", "--plugin-arg", &port])
}

/// Somebody else's web server, and its folder.
pub(crate) fn http_webroot(context: &Context<'_>) -> Verdict {
    let folder = context.bench.testbed.folder().join(format!("webroot-{}", context.zone));
    std::fs::create_dir_all(&folder)?;
    let argument = format!("WRPath={}", folder.display());
    let name = format!("www.{}", context.zone);
    context.lead_here(&name);
    let _ports = context.bench.ports.lock().unwrap_or_else(PoisonError::into_inner);
    let _server = WebServer::start(context.server.http_port(), &folder)?;
    let mut words = context.server_words();
    words.extend(["--challenge", "http-01", "--plugin", "webroot", "--plugin-arg"].map(str::to_owned));
    words.push(argument);
    context.issue_with(&[&name], words)?;
    Ok(())
}

pub(crate) fn tls_alpn(context: &Context<'_>) -> Verdict {
    let port = format!("WSHTlsPort={}", context.server.tls_port());
    at_ports(context, "tls-alpn-01", &["--plugin", "selfhost", "--plugin-arg", &port])
}

fn at_ports(context: &Context<'_>, challenge: &str, more: &[&str]) -> Verdict {
    let names = [format!("www.{}", context.zone), context.zone.clone()];
    names.iter().for_each(|name| context.lead_here(name));
    let _ports = context.bench.ports.lock().unwrap_or_else(PoisonError::into_inner);
    let mut words = context.server_words();
    words.extend(["--challenge", challenge].into_iter().chain(more.iter().copied()).map(str::to_owned));
    context.issue_with(&names.each_ref().map(String::as_str), words)?;
    Ok(())
}

/// An address in the place of a name (RFC 8738), by http-01.
pub(crate) fn address(context: &Context<'_>) -> Verdict {
    address_by(context, "http-01", &format!("WSHPort={}", context.server.http_port()))
}

/// The same by tls-alpn-01, which asks with the address written as a name below in-addr.arpa.
pub(crate) fn address_by_tls(context: &Context<'_>) -> Verdict {
    address_by(context, "tls-alpn-01", &format!("WSHTlsPort={}", context.server.tls_port()))
}

fn address_by(context: &Context<'_>, challenge: &str, port: &str) -> Verdict {
    let _ports = context.bench.ports.lock().unwrap_or_else(PoisonError::into_inner);
    let mut words = context.server_words();
    let more = ["--challenge", challenge, "--plugin", "selfhost", "--plugin-arg", port];
    words.extend(more.map(str::to_owned));
    context.issue_with(&["127.0.0.1"], words)?;
    Ok(())
}

/// `--challenge auto`: first with a plugin for DNS, then with one for the web.
pub(crate) fn automatic(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], &["--challenge", "auto"])?;
    context.lead_here(&context.zone);
    let _ports = context.bench.ports.lock().unwrap_or_else(PoisonError::into_inner);
    let mut words = context.server_words();
    let port = format!("WSHPort={}", context.server.http_port());
    let more = ["--challenge", "auto", "--plugin", "selfhost", "--plugin-arg", &port];
    words.extend(more.map(str::to_owned));
    context.issue_with(&[&context.zone], words)?;
    Ok(())
}

/// Killed when the server has the request for the certificate, before its answer is there: the next run downloads what
/// was ordered, and orders nothing.
pub(crate) fn resumption(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    let before = context.bench.testbed.gandi().zone(&context.zone);
    let mut words = context.server_words();
    words.extend(context.dns_words());
    let all: Vec<String> =
        ["issue", &name].map(str::to_owned).into_iter().chain(words.iter().cloned()).collect();
    context.kill_at("finalize", &all)?;
    context.issue_with(&[&name], words)?;
    let payloads = context.sent("");
    let orders = payloads.iter().filter(|payload| payload["identifiers"].is_array()).count();
    if orders != 1 + context.refused_nonces("identifiers") {
        return failed(format!("{orders} orders were sent"));
    }
    let requests = payloads.iter().filter(|payload| payload["csr"].is_string()).count();
    if requests != 1 + context.refused_nonces("csr") {
        return failed(format!("{requests} requests for a certificate were sent"));
    }
    if context.bench.testbed.gandi().zone(&context.zone) == before {
        Ok(())
    } else {
        failed("something is left in the zone")
    }
}

/// A server that refuses every third nonce and has two CAs between its root and the certificate.
pub(crate) fn hard_server(context: &Context<'_>) -> Verdict {
    let Some(server) = context.bench.kind.start_hard(&context.bench.testbed)? else {
        return not_offered("its configuration knows no refused nonces");
    };
    let context = Context::new(context.bench, &server, "hard-server")?;
    let wildcard = format!("*.{}", context.zone);
    let issued = context.issue(&[&context.zone, &wildcard], &[])?;
    context.issue(&[&context.zone, &wildcard], &["--force"])?;
    match issued.chain.len() {
        3 => Ok(()),
        length => failed(format!("the chain has {length} certificates")),
    }
}

pub(crate) fn dns_account(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    challenge_offered(context, &name, "dns-account-01")?;
    context.issue(&[&name], &["--force", "--challenge", "dns-account-01"])?;
    Ok(())
}

pub(crate) fn dns_persist(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    challenge_offered(context, &name, "dns-persist-01")?;
    let before = context.bench.testbed.gandi().zone(&context.zone);
    let words = |verb| ["persist", verb, &name, "--server", &context.directory].map(str::to_owned);
    context.succeed(words("publish").iter().chain(&context.dns_words()))?;
    let authoritative = context.bench.testbed.simulator().dns_addrs()[0].to_string();
    let shown = context.document(&["persist", "show", &name, "--authoritative", &authoritative])?;
    if shown["names"][0]["records"][0]["account"].as_str().is_none() {
        return failed(format!("the record is not shown: {shown}"));
    }
    // A host that has no token, and has never had one.
    let mut more = context.server_words();
    more.extend(["--cert-name", "persistent", "--challenge", "dns-persist-01"].map(str::to_owned));
    more.extend(["--authoritative", &authoritative].map(str::to_owned));
    let requests = context.bench.testbed.gandi().requests().len();
    context.succeed(["issue".to_owned(), name.clone()].iter().chain(&more))?;
    let names = std::slice::from_ref(&name);
    context.issued("persistent")?.trusted(&context.server.roots(&context.bench.testbed)?, names)?;
    let mut asked = context.bench.testbed.gandi().requests().into_iter().skip(requests);
    if asked.any(|request| request.path.contains(&context.zone)) {
        return failed("LiveDNS was asked");
    }
    context.succeed(words("unpublish").iter().chain(&context.dns_words()))?;
    if context.bench.testbed.gandi().zone(&context.zone) == before {
        Ok(())
    } else {
        failed("something is left in the zone")
    }
}

/// Whether the server's authorizations hold this type of challenge, seen in an order with dns-01.
fn challenge_offered(context: &Context<'_>, name: &str, kind: &str) -> Result<(), Obstacle> {
    context.issue(&[name], &[])?;
    let mut offered: Vec<String> = Vec::new();
    for exchange in context.gate.exchanges() {
        let challenges = exchange.document.as_ref().and_then(|document| document["challenges"].as_array());
        let types = challenges.into_iter().flatten().filter_map(|challenge| challenge["type"].as_str());
        offered.extend(types.map(str::to_owned));
    }
    offered.sort();
    offered.dedup();
    match offered.iter().any(|there| there == kind) {
        true => Ok(()),
        false if offered.is_empty() => failed("no authorization was seen"),
        false => not_offered(format!("its authorizations offer {} only", offered.join(", "))),
    }
}

/// A web server for one folder; it ends with this value.
struct WebServer {
    port: u16,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl WebServer {
    fn start(port: u16, folder: &Path) -> Result<Self, Obstacle> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let folder = folder.to_owned();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                match serve(&stream, &folder) {
                    Ok(true) => {}
                    Ok(false) => return,
                    // The other side went away.
                    Err(_) => {}
                }
            }
        });
        Ok(WebServer { port, thread: Some(thread) })
    }
}

/// Answers one request; `false` when it is the one that ends the server.
fn serve(mut stream: &std::net::TcpStream, folder: &Path) -> std::io::Result<bool> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if line.is_empty() {
        return Ok(false);
    }
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path: PathBuf = line
        .split(' ')
        .nth(1)
        .unwrap_or_default()
        .split('/')
        .filter(|part| !part.starts_with(".."))
        .collect();
    match std::fs::read(folder.join(path)) {
        Ok(body) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
            stream.write_all(&body)?;
        }
        Err(_) => {
            write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        }
    }
    Ok(true)
}

impl Drop for WebServer {
    fn drop(&mut self) {
        // A connection that asks nothing.
        drop(std::net::TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
