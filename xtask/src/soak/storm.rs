//! The rounds: what is due, who works on it, and what happens meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use livecert::store::{CertName, Store};
use testbed::ca::RenewalWindow;

use super::clock::{Clock, Minutes, now};
use super::crew::{Fate, Job};
use super::limits::{self, Watch};
use super::neighbours::Neighbours;
use super::plan::{self, Home, Planned};
use super::service::{LongLived, Sample};
use super::tally::Tally;
use super::weather::Weather;
use super::world::{KIND_LIMITS, STRICT_LIMITS, World};
use crate::{Failure, say};

/// What Gandi allows in a minute from one address.
const GANDI_A_MINUTE: usize = 1000;
/// After the storm, everything has to be well within so many rounds.
const PATIENCE: usize = 12;
/// Longer than any wait after a failure, and any hold of these CAs.
const TWO_DAYS: SignedDuration = SignedDuration::from_hours(50);

const GONE: &str = "the long-lived process has ended";
const DIED: &str = "a thread of the soak has died";

/// The whole course of it.
pub(super) struct Storm<'a> {
    world: &'a World,
    clock: Clock,
    minutes: Minutes,
    rng: fastrand::Rng,
    weather: Weather,
    neighbours: Neighbours,
    service: Option<LongLived>,
    watches: [Watch; 2],
    /// Certificates of the kind CA that were said to be due.
    due: BTreeSet<String>,
    /// Those that were in the store.
    stored: BTreeSet<String>,
    /// How many the CA had given when it was looked at last.
    seen: usize,
    /// The last certificate for these names.
    latest: BTreeMap<Vec<String>, String>,
    pub(super) tally: Tally,
    pub(super) rounds: usize,
    pub(super) samples: Vec<Sample>,
    /// Certificates that nobody had before.
    pub(super) fresh: Vec<Planned>,
    /// Given by the CA, and never in the store.
    pub(super) lost: usize,
    /// Requests in all: of ACME, and to LiveDNS.
    pub(super) requests: [usize; 2],
    /// Most requests to LiveDNS within a minute.
    pub(super) busiest: usize,
}

impl<'a> Storm<'a> {
    pub(super) fn begin(world: &'a World, seed: u64) -> Result<Self, Failure> {
        let mut rng = fastrand::Rng::with_seed(seed);
        let kind = Watch::begin("kind", world.kind.control(), KIND_LIMITS)?;
        let strict = Watch::begin("strict", world.strict.control(), STRICT_LIMITS)?;
        let said = world.testbed.folder().join("long-lived.txt");
        let mut storm = Storm {
            world,
            clock: Clock::new(&world.home()),
            minutes: Minutes::new(&world.home()),
            weather: Weather::new(world, rng.fork()),
            rng,
            neighbours: Neighbours::move_in(world.testbed.gandi()),
            service: Some(LongLived::start(&world.home(), &world.testbed.ca(), &said)?),
            watches: [kind, strict],
            due: BTreeSet::new(),
            stored: BTreeSet::new(),
            seen: 0,
            latest: BTreeMap::new(),
            tally: Tally::default(),
            rounds: 0,
            samples: Vec::new(),
            fresh: Vec::new(),
            lost: 0,
            requests: [0; 2],
            busiest: 0,
        };
        storm.weather.calm();
        storm.look_at_certificates()?;
        storm.clear_requests();
        Ok(storm)
    }

    fn service(&mut self) -> Result<&mut LongLived, Failure> {
        Ok(self.service.as_mut().ok_or(GONE)?)
    }

    pub(super) fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    pub(super) fn weather(&self) -> &Weather {
        &self.weather
    }

    pub(super) fn watches(&self) -> &[Watch] {
        &self.watches
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// An hour in which everything goes wrong.
    pub(super) fn round(&mut self) -> Result<(), Failure> {
        self.rounds += 1;
        let begun = Instant::now();
        let before = self.tally.renewed;
        let patch = self.weather.settle();
        // Now and then the pace below Gandi's limit is that of the real clock. With as many due as else, that would take minutes.
        let fast = self.rng.u8(..12) > 0;
        self.say_due(if fast { 0.8 } else { 0.3 })?;
        let jobs = self.jobs();
        self.work(&jobs, patch, fast)?;
        self.weather_ends();
        self.look(patch)?;
        let sample = self.service()?.sample()?;
        self.samples.push(sample);
        self.neighbours.leave(&mut self.rng);
        self.clock.let_an_hour_pass()?;
        say(&format!(
            "round {}: {} new, {} failures so far, {:.1} s, {} MiB, {} files{}{}",
            self.rounds,
            self.tally.renewed - before,
            self.tally.failures.values().sum::<usize>(),
            begun.elapsed().as_secs_f64(),
            sample.memory / 1024,
            sample.files,
            if patch { "" } else { ", without PATCH" },
            if fast { "" } else { ", at the pace of the real clock" },
        ));
        Ok(())
    }

    /// The CA wants this share of the certificates to be renewed now.
    fn say_due(&mut self, share: f64) -> Result<(), Failure> {
        let store = Store::read_only(&self.world.home());
        let control = self.world.kind.control();
        let ago = |hours| now().checked_sub(SignedDuration::from_hours(hours)).unwrap_or_default();
        let window = RenewalWindow { start: ago(3), end: ago(2), explanation: None };
        for one in &self.world.certificates {
            if self.rng.f64() >= share || one.home == Home::Strict {
                continue;
            }
            let current = store.current(&one.cert.parse::<CertName>()?)?;
            if let Some(id) = current.and_then(|current| current.info.certificate_id)
                && control.set_renewal_window(&id, Some(window.clone()))
            {
                self.due.insert(id);
            }
        }
        Ok(())
    }

    /// What the short processes of a round are to do.
    fn jobs(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        for _ in 0..self.rng.usize(..3) {
            jobs.push(Job {
                words: words(&["renew", "--json", "--parallel", "16"]),
                fate: Fate::draw(&mut self.rng),
            });
        }
        let strict: Vec<&Planned> =
            self.world.certificates.iter().filter(|one| one.home == Home::Strict).collect();
        for _ in 0..self.rng.usize(..3) {
            let certs = [0, 1].map(|_| strict[self.rng.usize(..strict.len())].cert.as_str());
            let all = [&["renew", "--force", "--json"][..], &certs].concat();
            jobs.push(Job { words: words(&all), fate: Fate::draw(&mut self.rng) });
        }
        for _ in 0..self.rng.usize(..4) {
            let home = if self.rng.bool() { Home::Strict } else { Home::Kind("first") };
            let one = plan::fresh(self.fresh.len(), home, &mut self.rng);
            jobs.push(Job { words: self.world.issue_words(&one), fate: Fate::draw(&mut self.rng) });
            self.fresh.push(one);
        }
        let looks = [
            &["list", "--json"][..],
            &["status", "--json"],
            &["limits", "--json"],
            &["dns", "sweep", "--json"],
        ];
        let look = looks[self.rng.usize(..looks.len())];
        jobs.push(Job { words: words(look), fate: Fate::Ends });
        jobs
    }

    /// All of them work at once, while the weather is bad and others write.
    fn work(&mut self, jobs: &[Job], patch: bool, fast: bool) -> Result<(), Failure> {
        let left = AtomicUsize::new(jobs.len() + 1);
        let delays: Vec<u64> = jobs.iter().map(|_| self.rng.u64(..1500)).collect();
        let (world, service) = (self.world, self.service.as_mut().ok_or(GONE)?);
        let (weather, neighbours, rng) = (&mut self.weather, &mut self.neighbours, &mut self.rng);
        let minutes = &mut self.minutes;
        let left = &left;
        let mut tallies = Vec::new();
        std::thread::scope(|scope| {
            let long = scope.spawn(move || {
                let report = service.round().map_err(|error| error.to_string());
                left.fetch_sub(1, Ordering::SeqCst);
                report
            });
            let short: Vec<_> = jobs
                .iter()
                .zip(delays)
                .map(|(job, delay)| {
                    scope.spawn(move || {
                        std::thread::sleep(Duration::from_millis(delay));
                        let tally = job.run(world).map_err(|error| error.to_string());
                        left.fetch_sub(1, Ordering::SeqCst);
                        tally
                    })
                })
                .collect();
            while left.load(Ordering::SeqCst) > 0 {
                weather.blow(patch);
                if fast {
                    minutes.pass().map_err(|error| error.to_string())?;
                }
                if patch {
                    neighbours.stir(rng);
                    neighbours.stir(rng);
                }
                std::thread::sleep(Duration::from_millis(rng.u64(30..100)));
            }
            let died = |_| Err(DIED.to_owned());
            let mut tally = Tally::default();
            let report = long.join().unwrap_or_else(|_| Err(DIED.to_owned()))?;
            tally.report(&report);
            tallies.push(tally);
            for one in short {
                tallies.push(one.join().unwrap_or_else(died)?);
            }
            Ok::<(), String>(())
        })?;
        tallies.into_iter().for_each(|tally| self.tally.add(tally));
        Ok(())
    }

    fn weather_ends(&mut self) {
        self.weather.calm();
        // What somebody who is dead had asked for is answered by now.
        std::thread::sleep(Duration::from_millis(300));
    }

    /// Looks at everything that must hold after each round.
    fn look(&mut self, patch: bool) -> Result<(), Failure> {
        let complaints = self.neighbours.complaints(true);
        if !complaints.is_empty() {
            let way = if patch { "with PATCH" } else { "without PATCH, nobody else writing" };
            self.finding(format!("round {} ({way}): {}", self.rounds, complaints.join(", ")));
            self.show_requests(&complaints);
            return Err(self.tally.findings.join("; ").into());
        }
        for watch in &mut self.watches {
            watch.look(&self.clock);
        }
        self.look_at_requests()?;
        self.look_at_certificates()
    }

    fn finding(&mut self, finding: String) {
        self.tally.findings.push(finding);
    }

    /// What was asked of LiveDNS about the names of complaints.
    fn show_requests(&self, complaints: &[String]) {
        for request in self.world.testbed.gandi().requests() {
            let Some((zone, name)) = request.path.split_once("/records/") else { continue };
            let zone = zone.rsplit('/').next().unwrap_or_default();
            let at = format!("{}.{zone}", name.split('/').next().unwrap_or_default());
            if complaints.iter().any(|complaint| complaint.contains(&at)) {
                say(&format!(
                    "{} {} {} {} {} {}",
                    request.time, request.client, request.method, request.path, request.status, request.body
                ));
            }
        }
    }

    fn look_at_requests(&mut self) -> Result<(), Failure> {
        let requests = self.world.testbed.gandi().requests();
        // The token service is another host.
        let times = requests.iter().filter(|request| request.path != "/tokeninfo");
        let mut times = times.map(|request| request.time.parse()).collect::<Result<Vec<Timestamp>, _>>()?;
        times.sort();
        self.busiest = self.busiest.max(self.minutes.busiest(&times));
        self.requests[1] += requests.len();
        let acme = [&self.world.kind, &self.world.strict].map(|ca| ca.control().requests().len());
        self.requests[0] += acme.iter().sum::<usize>();
        self.clear_requests();
        Ok(())
    }

    fn clear_requests(&self) {
        self.world.testbed.gandi().clear_requests();
        [&self.world.kind, &self.world.strict].iter().for_each(|ca| ca.control().clear_requests());
    }

    /// Nothing is got twice: each certificate of the CA that says what is due follows one that was due, or one that never came
    /// to be in the store.
    fn look_at_certificates(&mut self) -> Result<(), Failure> {
        self.stored.extend(generations(&self.world.home())?);
        let certificates = self.world.kind.control().certificates();
        for certificate in &certificates[self.seen..] {
            let names = limits::names(&certificate.identifiers);
            let before = self.latest.insert(names.clone(), certificate.renewal_id.clone());
            let Some(before) = before else { continue };
            if !self.stored.contains(&before) {
                self.lost += 1;
            } else if !self.due.contains(&before) {
                self.finding(format!("round {}: got twice: {}", self.rounds, names.join(", ")));
            }
        }
        self.seen = certificates.len();
        Ok(())
    }

    /// The weather is fair, and everything has to be well soon.
    pub(super) fn calm_down(&mut self) -> Result<(), Failure> {
        self.weather.calm();
        self.clock.let_pass(TWO_DAYS)?;
        self.say_due(0.3)?;
        let mut troubles = Vec::new();
        for number in 1..=PATIENCE {
            let begun = Instant::now();
            troubles.clear();
            let report = self.calm_round()?;
            let mut tally = Tally::default();
            tally.report(&report);
            if !tally.failures.is_empty() {
                troubles.push(report);
            }
            let renewed = tally.renewed;
            self.tally.add(tally);
            troubles.extend(self.finish()?);
            let (left, took) = (troubles.len(), begun.elapsed().as_secs_f64());
            say(&format!("fair weather {number}: {renewed} new, {left} troubles, {took:.1} s"));
            self.look(true)?;
            self.clock.let_an_hour_pass()?;
            if troubles.is_empty() {
                break;
            }
        }
        if !troubles.is_empty() {
            self.finding(format!("not well after the storm: {}", troubles.join("; ")));
        }
        self.be_quiet()
    }

    /// The long-lived process alone; minutes pass meanwhile.
    fn calm_round(&mut self) -> Result<String, Failure> {
        let service = self.service.as_mut().ok_or(GONE)?;
        while_minutes_pass(&mut self.minutes, || service.round())
    }

    /// What was asked for by name, and did not come to its end.
    fn finish(&mut self) -> Result<Vec<String>, Failure> {
        let store = Store::read_only(&self.world.home());
        let mut troubles = Vec::new();
        let strict = self.world.certificates.iter().filter(|one| one.home == Home::Strict);
        for one in strict.chain(&self.fresh) {
            let cert: CertName = one.cert.parse()?;
            let words = match store.current(&cert)? {
                None => self.world.issue_words(one),
                Some(_) if store.failures(&cert)?.is_some() || has_draft(&store, &cert)? => {
                    ["renew", "--force", "--json", &one.cert].map(str::to_owned).to_vec()
                }
                Some(_) => continue,
            };
            // Each of them looks once more at what the round before has removed, as long as that is fresh.
            let livecert = &self.world.livecert;
            let outcome = while_minutes_pass(&mut self.minutes, || Ok(livecert.run(words)?))?;
            if outcome.status != Some(0) {
                troubles.push(format!("{}: {}", one.cert, outcome.stdout));
            }
            self.tally.report(&outcome.stdout);
        }
        Ok(troubles)
    }

    /// When all is done, there is nothing to do.
    fn be_quiet(&mut self) -> Result<(), Failure> {
        self.world.livecert.run(["dns", "sweep"])?;
        let mut last = Tally::default();
        last.report(&self.service()?.round()?);
        if last.renewed > 0 || !last.failures.is_empty() {
            self.finding(format!("something is done when nothing is due: {last:?}"));
        }
        self.look(true)?;
        let sample = self.service()?.sample()?;
        self.samples.push(sample);
        let words = self.service()?.words();
        self.tally.words("the long-lived process", &words);
        // Whoever looks at locks is not to find its own.
        self.service = None;
        if self.busiest > GANDI_A_MINUTE {
            self.finding(format!("{} requests to LiveDNS in a minute", self.busiest));
        }
        let passed: Vec<String> = self.watches.iter().flat_map(Watch::passed).collect();
        self.tally.findings.extend(passed);
        Ok(())
    }
}

/// Waits for the end of some work, while minutes pass for the pace below Gandi's limit.
fn while_minutes_pass<T: Send>(
    minutes: &mut Minutes,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let work = scope.spawn(move || work().map_err(|error| error.to_string()));
        while !work.is_finished() {
            minutes.pass()?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(work.join().unwrap_or_else(|_| Err(DIED.to_owned()))?)
    })
}

/// Whether a run that died has left a key, with an order or without.
fn has_draft(store: &Store, cert: &CertName) -> Result<bool, Failure> {
    for generation in std::fs::read_dir(store.cert_folder(cert).join("generations"))? {
        if generation?.file_name().to_string_lossy().ends_with(".partial") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ids of all certificates that are in the store.
fn generations(home: &std::path::Path) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    for cert in std::fs::read_dir(home.join("certs"))? {
        let Ok(generations) = std::fs::read_dir(cert?.path().join("generations")) else { continue };
        for generation in generations {
            let generation = generation?;
            // A draft is none yet.
            let is_whole = generation.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
            if !is_whole {
                continue;
            }
            let Ok(text) = std::fs::read(generation.path().join("generation.json")) else { continue };
            let document: serde_json::Value = serde_json::from_slice(&text)?;
            ids.extend(document["certificate_id"].as_str().map(str::to_owned));
        }
    }
    Ok(ids)
}
