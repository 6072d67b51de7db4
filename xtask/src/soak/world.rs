//! The servers, the state folder, and what is in it before the storm.

use std::path::{Path, PathBuf};

use testbed::sim::{Behaviour, Control, Rrset, TokenConfig};
use testbed::{AcmeSim, Livecert, Options, PAT, Testbed};

use super::clock::Clock;
use super::plan::{self, Home, Planned};
use crate::Failure;

const SHOP_PAT: &str = "shopshopshopshopshopshopshopshopshopshop";
/// How many are issued between two looks at the clock: more would wait for the pace below Gandi's limit.
const BATCH: usize = 30;
/// Where there is one, the state folder is on it: each step of each renewal is synced, and a disk would be what is measured.
const MEMORY: &str = "/dev/shm";
/// The limits that livecert is told, and that the soak holds it to.
pub(super) const KIND_LIMITS: &str = "orders=30/6h,domain=20/6h,set=4/6h,failures=4/2h";
pub(super) const STRICT_LIMITS: &str = "orders=12/6h,domain=8/6h,set=3/6h,failures=3/2h";

/// Everything outside of livecert, and its state folder.
pub(super) struct World {
    pub(super) testbed: Testbed,
    pub(super) kind: AcmeSim,
    pub(super) strict: AcmeSim,
    pub(super) livecert: Livecert,
    pub(super) certificates: Vec<Planned>,
    tokens: [PathBuf; 2],
}

impl World {
    /// Starts the servers, and gets all certificates.
    pub(super) fn start(program: &Path) -> Result<Self, Failure> {
        let memory = Path::new(MEMORY);
        let testbed = Testbed::start(&Options {
            zones: plan::zones(),
            name_servers: 2,
            place: memory.is_dir().then(|| memory.to_owned()),
            ..Options::default()
        })?;
        let_tokens_work(&testbed.gandi(), true);
        let kind = testbed.acme_sim("kind")?;
        let strict = testbed.acme_sim_with("strict", |config| config.behaviour.renewal_info = false)?;
        let livecert = testbed.livecert(program);
        let tokens = [testbed.secret_file("club.pat", PAT)?, testbed.secret_file("shop.pat", SHOP_PAT)?];
        let certificates = plan::certificates();
        let world = World { testbed, kind, strict, livecert, certificates, tokens };
        world.fill_zones();
        world.make_accounts()?;
        world.issue_all()?;
        world.limit()?;
        Ok(world)
    }

    pub(super) fn home(&self) -> PathBuf {
        self.testbed.home()
    }

    /// The CA of a certificate.
    pub(super) fn ca(&self, home: Home) -> &AcmeSim {
        match home {
            Home::Kind(_) => &self.kind,
            Home::Strict => &self.strict,
        }
    }

    /// Records that nobody changes, and the ways into the shared zone.
    fn fill_zones(&self) {
        let gandi = self.testbed.gandi();
        // The soak counts by its own clock.
        gandi.set_behaviour(Behaviour { requests_per_minute: 0, ..Behaviour::default() });
        for (zone, name, kind, rrset) in self.standing() {
            gandi.set_rrset(&zone, &name, &kind, Some(rrset));
        }
    }

    /// Zone, name, type and content of what has to be there whatever happens.
    pub(super) fn standing(&self) -> Vec<(String, String, String, Rrset)> {
        let mut all = Vec::new();
        for zone in plan::zones() {
            let mut add = |name: &str, kind: &str, ttl, value: String| {
                let rrset = Rrset { ttl, values: vec![value] };
                all.push((zone.clone(), name.to_owned(), kind.to_owned(), rrset));
            };
            add("@", "TXT", 1800, "\"v=spf1 -all\"".to_owned());
            add("@", "MX", 7200, "10 mail.example.".to_owned());
            add("www", "A", 600, "192.0.2.1".to_owned());
            if zone.starts_with("zone") {
                let target = format!("{}.{}.", plan::HUB, plan::SHARED);
                add("_acme-challenge.alias", "CNAME", 900, target);
            }
        }
        all
    }

    fn make_accounts(&self) -> Result<(), Failure> {
        for (server, name) in [(&self.kind, "first"), (&self.kind, "second"), (&self.strict, "only")] {
            let url = server.directory();
            self.succeed(&["account", "new", "--server", &url, "--accept-tos", "--name", name])?;
        }
        Ok(())
    }

    fn issue_all(&self) -> Result<(), Failure> {
        let file = self.home().join("livecert.toml");
        std::fs::write(&file, self.declared())?;
        let clock = Clock::new(&self.home());
        for batch in self.certificates.chunks(BATCH) {
            let certs = batch.iter().map(|one| one.cert.as_str());
            self.succeed(&["apply"].into_iter().chain(certs).collect::<Vec<_>>())?;
            clock.let_an_hour_pass()?;
        }
        // From here on they are renewed as they are stored.
        Ok(std::fs::remove_file(file)?)
    }

    fn limit(&self) -> Result<(), Failure> {
        for (server, limits) in [(&self.kind, KIND_LIMITS), (&self.strict, STRICT_LIMITS)] {
            self.succeed(&["server", "update", &server.directory(), "--limits", limits])?;
        }
        Ok(())
    }

    /// The file that declares all certificates.
    fn declared(&self) -> String {
        let api = self.testbed.simulator().api_base_url();
        let shops: Vec<String> =
            plan::shops().iter().flat_map(|zone| [format!("{zone:?}"), format!("\"*.{zone}\"")]).collect();
        let mut text = format!("[defaults]\naccept-tos = true\n{}", self.patience());
        for (name, token) in [("club", &self.tokens[0]), ("shop", &self.tokens[1])] {
            text += &format!("\n[credential.{name}]\nplugin = \"gandi\"\n");
            text += &format!("GandiPAT = \"file:{}\"\n", token.display());
            text += &format!("GandiApiBaseUrl = {api:?}\nGandiRetryTime = \"10s\"\n");
            if name == "shop" {
                text += &format!("zones = [{}]\n", shops.join(", "));
            }
        }
        for one in &self.certificates {
            text += &format!("\n[[certificate]]\nname = {:?}\nnames = {:?}\n", one.cert, one.names);
            text += &format!(
                "server = {:?}\ncredential = {:?}\n",
                self.ca(one.home).directory(),
                one.credentials
            );
            if let Home::Kind(account) = one.home {
                text += &format!("account = {account:?}\n");
            }
        }
        text
    }

    /// Waits short enough for rounds of some seconds.
    fn patience(&self) -> String {
        let servers = self.testbed.simulator().dns_addrs();
        let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
        format!(
            "authoritative = [{}]\npropagation-timeout = \"8s\"\nvalidation-timeout = \"15s\"\n",
            servers.join(", ")
        )
    }

    /// The words that get a certificate that was not declared.
    pub(super) fn issue_words(&self, one: &Planned) -> Vec<String> {
        let mut words: Vec<String> = vec!["issue".to_owned()];
        words.extend(one.names.iter().cloned());
        words.extend(self.testbed.issue_words_at(self.ca(one.home)));
        let token = format!("GandiPAT=file:{}", self.tokens[0].display());
        words.extend(["--cert-name", &one.cert, "--json", "--plugin-arg", &token].map(str::to_owned));
        words.extend(["--plugin-arg", "GandiRetryTime=10s"].map(str::to_owned));
        words.extend(["--propagation-timeout", "8s", "--validation-timeout", "15s"].map(str::to_owned));
        words
    }

    /// Runs livecert, which has to succeed.
    pub(super) fn succeed(&self, words: &[&str]) -> Result<String, Failure> {
        let outcome = self.livecert.run(words)?;
        match outcome.status {
            Some(0) => Ok(outcome.stdout),
            _ => Err(format!("`livecert {}` failed: {}", words.join(" "), outcome.stderr).into()),
        }
    }

    /// Copies the state folder to a place that stays.
    pub(super) fn keep(&self) -> Result<PathBuf, Failure> {
        let place = crate::setup::target().join("soak");
        if place.exists() {
            std::fs::remove_dir_all(&place)?;
        }
        std::fs::create_dir_all(&place)?;
        let copied =
            std::process::Command::new("cp").arg("-a").arg(self.testbed.folder()).arg(&place).status()?;
        if copied.success() { Ok(place) } else { Err("the state folder could not be copied".into()) }
    }
}

/// Makes both tokens work, or not for now.
pub(super) fn let_tokens_work(gandi: &Control, work: bool) {
    let shops = plan::shops();
    let others = plan::zones().into_iter().filter(|zone| !shops.contains(zone)).collect();
    for (text, domains) in [(PAT, others), (SHOP_PAT, shops.clone())] {
        let mut token = TokenConfig::new(text);
        token.domains = domains;
        if !work {
            token.expires_in = -1;
        }
        gandi.set_token(token);
    }
}
