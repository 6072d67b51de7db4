//! Each of these tests runs in a network of its own (a network namespace with loopback and a firewall), with name servers at port 53 and a `resolv.conf` of its own. The network goes with the process.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use testbed::sim::Rrset;
use testbed::{Options, Outcome};

use super::{Bench, expect};

/// Set in the process that is inside.
const INSIDE: &str = "LIVECERT_TEST_NETWORK";

/// What the network is made of: addresses of servers, and those of IPv6 that lead nowhere (what goes there is swallowed
/// where it comes in, so that nobody hears of it).
const NETWORK: &str = "
    ip link set lo up
    for address in 192.0.2.1 192.0.2.2 198.51.100.1 198.51.100.2; do ip address add $address/32 dev lo; done
    for last in 1 2 3; do ip address add 2001:db8:dead::$last/128 dev lo nodad; done
    nft add table inet wall
    nft add chain inet wall in '{ type filter hook input priority 0; }'
    nft add rule inet wall in ip6 daddr 2001:db8:dead::/48 drop";

/// Runs `test` in a network of its own, by running the test `name` of this program once more, in there.
#[track_caller]
fn in_a_network_of_its_own(name: &str, test: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "--mount"]);
    let user = Command::new("id").arg("-u").output().unwrap();
    if user.stdout.trim_ascii() != b"0" {
        unshare.arg("--map-root-user");
    }
    let script = format!("set -e{NETWORK}\nexec \"$@\"");
    unshare.args(["sh", "-c", &script, "sh"]).arg(std::env::current_exe().unwrap());
    let whole = format!("dns_works_where_the_network_does_not::{name}");
    unshare.args(["--exact", &whole, "--nocapture"]).env(INSIDE, "1");
    // Debian names the folder of `ip` and `nft` to root only.
    let path = std::env::var("PATH").unwrap_or_default();
    unshare.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    let done = Outcome::from(unshare.output().unwrap());
    assert!(
        done.status == Some(0) && done.stdout.contains("1 passed"),
        "{}\n{}\n(`cargo xtask test` installs what this needs: unshare, ip, nft)",
        done.stdout,
        done.stderr
    );
}

#[track_caller]
fn shell(command: &str) {
    let done = Outcome::from(Command::new("sh").args(["-ec", command]).output().unwrap());
    assert_eq!(done.status, Some(0), "{command}: {}", done.stderr);
}

/// Puts a file in the place of one of the system's, in this network only.
fn instead_of(system: &str, folder: &Path, text: &str) {
    let file = folder.join(system.trim_start_matches("/etc/"));
    std::fs::write(&file, text).unwrap();
    shell(&format!("mount --bind '{}' '{system}'", file.display()));
}

fn address(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), 53)
}

/// Servers at port 53: Pebble asks 127.0.0.1, which is the resolver too; `example.com` is at 192.0.2.1 and 192.0.2.2.
fn bench() -> Bench {
    let zones = ["example.com", "example.org", "example.net", "com"].map(str::to_owned).to_vec();
    let dns_listen = ["127.0.0.1", "192.0.2.1", "192.0.2.2"].map(address).to_vec();
    let bench = Bench::with(&Options { zones, dns_listen, ..Options::default() });
    set(&bench, "example.com", "@", "NS", &["ns1.example.net.", "ns2.example.net."]);
    set(&bench, "example.net", "ns1", "A", &["192.0.2.1"]);
    set(&bench, "example.net", "ns2", "A", &["192.0.2.2"]);
    instead_of("/etc/resolv.conf", bench.testbed.folder(), "nameserver 127.0.0.1\n");
    bench
}

fn set(bench: &Bench, zone: &str, name: &str, kind: &str, values: &[&str]) {
    let rrset = Rrset { ttl: 300, values: values.iter().map(|&value| value.to_owned()).collect() };
    bench.testbed.gandi().set_rrset_long_ago(zone, name, kind, rrset);
}

/// Issues as a user does, with the name servers that DNS names.
fn issue(bench: &Bench, more: &[&str]) -> Outcome {
    let mut words = bench.words(&["example.com", "*.example.com"], more);
    while let Some(at) = words.iter().position(|word| word == "--authoritative") {
        words.drain(at..=at + 1);
    }
    bench.livecert.run(words).unwrap()
}

fn doh(bench: &Bench, host: &str) -> String {
    let api = bench.testbed.simulator().api_base_url();
    api.replace("localhost", host).replace("/v5/livedns", "/dns-query")
}

#[test]
fn a_private_view_of_the_zone_is_noticed_and_passed_by() {
    in_a_network_of_its_own("a_private_view_of_the_zone_is_noticed_and_passed_by", || {
        let bench = bench();
        // Inside, the zone is shown on a server of the company's own, which never gets the records.
        let inside = bench.testbed.other_servers("example.com", address("198.51.100.1")).unwrap();
        let parent = bench.testbed.other_servers("com", address("198.51.100.2")).unwrap();
        set(&bench, "example.com", "@", "NS", &["ns.inside.example.org."]);
        set(&bench, "example.org", "ns.inside", "A", &["198.51.100.1"]);
        // The parent, asked itself, delegates it to LiveDNS.
        set(&bench, "com", "@", "NS", &["ns.parent.example.org."]);
        set(&bench, "example.org", "ns.parent", "A", &["198.51.100.2"]);
        let published = bench.testbed.gandi().name_servers("example.com");
        let values = published.iter().map(|name| format!("{name}.")).collect();
        let delegation = Rrset { ttl: 300, values };
        parent.control().set_rrset_long_ago("com", "example", "NS", delegation);
        bench.testbed.gandi().set_publication_delay(0, Duration::from_millis(500));
        let outcome = issue(&bench, &[]);
        expect(&outcome, 0);
        assert_eq!(outcome.stderr.matches("private view").count(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.contains("ns.inside.example.org"), "{}", outcome.stderr);
        drop(inside);
    });
}

#[test]
fn a_firewall_that_drops_dns_is_noticed_once_and_dns_goes_over_https() {
    in_a_network_of_its_own("a_firewall_that_drops_dns_is_noticed_once_and_dns_goes_over_https", || {
        let bench = bench();
        for protocol in ["udp", "tcp"] {
            shell(&format!("nft add rule inet wall in ip daddr 192.0.2.0/24 {protocol} dport 53 drop"));
        }
        let resolvers = [doh(&bench, "localhost"), doh(&bench, "127.0.0.1")];
        let more = ["--resolver", &resolvers[0], "--resolver", &resolvers[1], "--dns-sleep", "1ms"];
        // Late: who goes on without having seen the records is refused by the CA.
        bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(2));
        let outcome = issue(&bench, &more);
        expect(&outcome, 0);
        assert_eq!(outcome.stderr.matches("is port 53 blocked?").count(), 1, "{}", outcome.stderr);
        bench.prove_anew();
        // Another resolver than the one that was asked for the name before.
        let (patience, once) = (["--propagation-timeout", "3s", "--force"], &more[..2]);
        bench.testbed.gandi().set_publication_delay(0, Duration::from_secs(3600));
        let unseen = issue(&bench, &[more.as_slice(), patience.as_slice()].concat());
        expect(&unseen, 1);
        assert!(
            unseen.stderr.contains(&resolvers[1]) && !unseen.stderr.contains("challenge failed"),
            "{}",
            unseen.stderr
        );
        // With one resolver there is nobody to watch: a sleep has to do.
        bench.testbed.gandi().set_publication_delay(0, Duration::ZERO);
        expect(&issue(&bench, &[once, &["--dns-sleep", "1ms", "--force"]].concat()), 0);
    });
}

#[test]
fn ipv6_that_leads_nowhere_holds_nothing_up() {
    in_a_network_of_its_own("ipv6_that_leads_nowhere_holds_nothing_up", || {
        let bench = bench();
        // Name servers, a resolver, and the hosts of the API and of the CA have IPv6 addresses, and none of them answers.
        for name in ["ns1", "ns2"] {
            set(&bench, "example.net", name, "AAAA", &["2001:db8:dead::1"]);
        }
        let folder = bench.testbed.folder();
        instead_of("/etc/hosts", folder, "2001:db8:dead::2 localhost\n127.0.0.1 localhost\n");
        instead_of("/etc/resolv.conf", folder, "nameserver 2001:db8:dead::3\nnameserver 127.0.0.1\n");
        let begun = Instant::now();
        let outcome = issue(&bench, &[]);
        expect(&outcome, 0);
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}: {}", begun.elapsed(), outcome.stderr);
        assert_eq!(bench.testbed.gandi().zone("example.com").len(), 1);
        // These name servers are not those that LiveDNS names, and nobody knows whether they follow it.
        assert_eq!(
            outcome.stderr.matches("delegated to other name servers").count(),
            1,
            "{}",
            outcome.stderr
        );
    });
}
