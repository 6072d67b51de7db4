//! Against the simulator of LiveDNS.

use std::sync::Arc;

use livecert::plugin::Plugin;
use tempfile::TempDir;
use testbed::{LIMITED_PAT, Options, PAT, Testbed};

use super::kit::{Counterpart, DEEP, ZONE, examine};
use super::{connect, secret};

struct LiveDns<'a> {
    testbed: &'a Testbed,
    plugin: Arc<dyn Plugin>,
    failing: Vec<(&'static str, Arc<dyn Plugin>)>,
}

impl Counterpart for LiveDns<'_> {
    fn plugin(&self) -> Arc<dyn Plugin> {
        self.plugin.clone()
    }

    fn failing(&self) -> Vec<(&'static str, Arc<dyn Plugin>)> {
        self.failing.clone()
    }

    fn there(&self, zone: &str, fqdn: &str) -> Option<(u32, Vec<String>)> {
        let rrset = self.testbed.gandi().zone(zone).get(&format!("{}/TXT", relative(zone, fqdn))).cloned()?;
        let plain = |value: &String| value.trim_matches('"').to_owned();
        Some((rrset.ttl, rrset.values.iter().map(plain).collect()))
    }

    fn neighbour(&self, zone: &str, fqdn: &str, ttl: u32, value: &str) {
        self.testbed.gandi().add_value(zone, &relative(zone, fqdn), value, ttl);
    }

    fn is_told_the_zone(&self) -> bool {
        false
    }
}

fn relative(zone: &str, fqdn: &str) -> String {
    fqdn.strip_suffix(&format!(".{zone}")).unwrap_or("@").to_owned()
}

#[test]
fn passes_the_examination() {
    let folder = TempDir::new().unwrap();
    let zones = vec![ZONE.to_owned(), DEEP.to_owned(), "example.org".to_owned()];
    let testbed = Testbed::start(&Options { zones, ..Options::default() }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let url = format!("GandiApiBaseUrl={}", testbed.simulator().api_base_url());
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = format!("GandiApiBaseUrl=https://localhost:{}/v5/livedns", closed.port());
        let at = async |url: &String, token: &str| {
            let pat = secret(folder.path(), "GandiPAT", token);
            let words = [url.clone(), pat, "GandiRetryTime=1s".to_owned()];
            connect("gandi", &words, folder.path(), Some(&testbed.ca())).await
        };
        let failing = vec![
            ("nobody there", at(&nobody, PAT).await),
            ("an unknown token", at(&url, &"e".repeat(41)).await),
            ("a token for other domains", at(&url, LIMITED_PAT).await),
        ];
        let plugin = at(&url, PAT).await;
        examine(&LiveDns { testbed: &testbed, plugin, failing }).await;
    });
}
