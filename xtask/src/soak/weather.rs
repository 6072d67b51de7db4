//! What goes wrong outside of livecert: switches for a round, spells of a second, and gusts that hit a request or two.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testbed::ca::{self, Finalize, NewOrder, WrongCertificate};
use testbed::sim::{self, Behaviour, EmptyList, MissingRrset, Patch, Superfluous};

use super::plan;
use super::world::{self, World};

/// Name servers of the zones.
const NAME_SERVERS: usize = 2;

/// What ends a spell.
type End = Box<dyn FnOnce(&Controls) + Send>;

/// The insides of all servers.
#[derive(Clone)]
pub(super) struct Controls {
    pub(super) gandi: sim::Control,
    pub(super) kind: ca::Control,
    pub(super) strict: ca::Control,
}

impl Controls {
    /// Requests since the logs were cleared.
    fn requests(&self) -> usize {
        self.gandi.requests().len() + self.kind.requests().len() + self.strict.requests().len()
    }
}

/// The weather, and what it was so far.
pub(super) struct Weather {
    controls: Controls,
    rng: fastrand::Rng,
    spells: Vec<(Instant, End)>,
    /// The next gust comes after so many requests in this round.
    next: usize,
    pub(super) counts: BTreeMap<&'static str, usize>,
}

impl Weather {
    pub(super) fn new(world: &World, rng: fastrand::Rng) -> Self {
        let controls = Controls {
            gandi: world.testbed.gandi(),
            kind: world.kind.control(),
            strict: world.strict.control(),
        };
        Weather { controls, rng, spells: Vec::new(), next: 0, counts: BTreeMap::new() }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Sets the switches for a round. Gives whether PATCH is offered: without it, what another writer adds between a read and
    /// the write that follows cannot be kept by any client of this API, so that no other may write in that round.
    pub(super) fn settle(&mut self) -> bool {
        self.next = 0;
        let rng = &mut self.rng;
        let patch = rng.u8(..4) > 0;
        let mut behaviour = Behaviour { requests_per_minute: 0, ..Behaviour::default() };
        behaviour.split_long_values = rng.bool();
        behaviour.delete_missing = pick(rng, &[MissingRrset::Accept, MissingRrset::NotFound]);
        behaviour.patch_as_read = rng.bool();
        if !patch {
            let ways = [
                Patch::Offered,
                Patch::BadRequest,
                Patch::NotFound,
                Patch::NotAllowed,
                Patch::NotImplemented,
            ];
            behaviour.patch = pick(rng, &ways);
            behaviour.patch_last = pick(rng, &[EmptyList::Keep, EmptyList::Delete, EmptyList::Refuse]);
            behaviour.patch_absent = pick(rng, &[Superfluous::Ignore, Superfluous::Refuse]);
            behaviour.patch_present = pick(rng, &[Superfluous::Ignore, Superfluous::Refuse]);
            behaviour.put_empty = pick(rng, &[EmptyList::Keep, EmptyList::Delete, EmptyList::Refuse]);
        }
        self.controls.gandi.set_behaviour(behaviour);
        for server in 0..NAME_SERVERS {
            let late = pick(&mut self.rng, &[0, 0, 0, 300, 1500]);
            self.controls.gandi.set_publication_delay(server, Duration::from_millis(late));
        }
        let cas = [self.controls.kind.clone(), self.controls.strict.clone()];
        for ca in cas {
            let rng = &mut self.rng;
            let nonces = pick(rng, &[0, 0, 10, 40]);
            let looks = pick(rng, &[Finalize::AtOnce, Finalize::AtOnce, Finalize::Processing(2)]);
            let again = pick(rng, &[ca::RetryAfter::None, ca::RetryAfter::None, ca::RetryAfter::Seconds(1)]);
            let (strange, shuffled, bare) = (rng.bool(), rng.bool(), rng.bool());
            ca.change(|behaviour| {
                behaviour.nonce_reject = nonces;
                behaviour.finalize = looks;
                behaviour.retry_after = again;
                behaviour.unknown_things = strange;
                behaviour.shuffled_challenges = shuffled;
                behaviour.missing_challenge_status = bare;
                behaviour.missing_expires = bare;
                behaviour.rate_limit_retry_after = ca::RetryAfter::Seconds(600);
                behaviour.renewal_retry_after = ca::RetryAfter::Seconds(600);
            });
        }
        patch
    }

    /// Something goes wrong for a moment. `patch` as [`Self::settle`] gave it.
    pub(super) fn blow(&mut self, patch: bool) {
        let now = Instant::now();
        let (over, still): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.spells).into_iter().partition(|(end, _)| *end <= now);
        self.spells = still;
        over.into_iter().for_each(|(_, end)| end(&self.controls));
        // As often as something is asked, so that most renewals see one and come through.
        let asked = self.controls.requests();
        if asked >= self.next {
            self.next = asked + self.rng.usize(20..80);
            match self.rng.bool() {
                true => self.gust_at_gandi(patch),
                false => self.gust_at_a_ca(),
            }
        }
        match self.rng.u8(..40) {
            0 => self.spell_at_gandi(),
            1 => self.spell_at_a_ca(),
            _ => {}
        }
    }

    /// All faults are over.
    pub(super) fn calm(&mut self) {
        std::mem::take(&mut self.spells).into_iter().for_each(|(_, end)| end(&self.controls));
        self.controls.gandi.heal();
        self.controls.gandi.set_behaviour(Behaviour { requests_per_minute: 0, ..Behaviour::default() });
        for server in 0..NAME_SERVERS {
            self.controls.gandi.set_publication_delay(server, Duration::ZERO);
            self.controls.gandi.set_down(server, false);
            self.controls.gandi.set_flapping(server, false);
        }
        for ca in [&self.controls.kind, &self.controls.strict] {
            ca.heal();
            ca.change(|behaviour| {
                let renewal_info = behaviour.renewal_info;
                *behaviour = ca::Behaviour { renewal_info, ..ca::Behaviour::default() };
                behaviour.renewal_retry_after = ca::RetryAfter::Seconds(600);
            });
        }
    }

    fn gust_at_gandi(&mut self, patch: bool) {
        let answer = |status, body: &str, after: Option<&str>| sim::Fault::Answer {
            status,
            body: body.to_owned(),
            retry_after: after.map(str::to_owned),
        };
        let page = "<html><body><h1>Bad Gateway</h1></body></html>";
        let (what, method, fault) = match self.rng.u8(..12) {
            0 => ("LiveDNS: 429 with Retry-After", None, answer(429, "{}", Some("1"))),
            1 => ("LiveDNS: 503 with Retry-After", None, answer(503, page, Some("1"))),
            2 => ("LiveDNS: 502, a page", None, answer(502, page, None)),
            3 => ("LiveDNS: 500", None, answer(500, "{\"code\":500,\"message\":\"oops\"}", None)),
            4 => ("LiveDNS: connection cut before the request", None, sim::Fault::CutBefore),
            5 => ("LiveDNS: connection cut before the answer", None, sim::Fault::CutAfter),
            6 => ("LiveDNS: answer late", None, sim::Fault::Late(self.rng.u64(300..2500))),
            7 => ("LiveDNS: answer truncated", Some("GET"), answer(200, "{\"rrset_name\": \"_ac", None)),
            8 => {
                let said = "{\"message\":\"DNS Record Created\"}";
                ("LiveDNS: write lost, and said to be done", Some("POST"), answer(201, said, None))
            }
            9 => {
                let said = "{\"code\":403,\"message\":\"Access was denied to this resource.\"}";
                ("LiveDNS: 403", Some("GET"), answer(403, said, None))
            }
            10 if !patch => ("LiveDNS: 400 to a write", Some("PUT"), answer(400, "{\"code\":400}", None)),
            _ => ("LiveDNS: write cut before the answer", Some("PATCH"), sim::Fault::CutAfter),
        };
        self.count(what);
        let (after, times) = (self.rng.u32(..4), self.rng.u32(1..=2));
        let (method, path) = (method.map(str::to_owned), String::new());
        self.controls.gandi.fail(sim::FaultRule { method, path, after, times, fault });
    }

    fn gust_at_a_ca(&mut self) {
        let problem = |status, kind: &str, after: Option<&str>| ca::Fault::Problem {
            status,
            kind: kind.to_owned(),
            detail: "this is the soak".to_owned(),
            retry_after: after.map(str::to_owned),
        };
        let garbage = ca::Fault::Answer {
            status: 200,
            content_type: "application/json".to_owned(),
            body: "{\"status\": \"vali".to_owned(),
            retry_after: None,
        };
        let (what, method, path, fault) = match self.rng.u8(..12) {
            0 => ("ACME: 503, a page", None, "", ca::Fault::page(503)),
            1 => ("ACME: 502, a page", None, "", ca::Fault::page(502)),
            2 => ("ACME: 429 with Retry-After", Some("POST"), "", problem(429, "rateLimited", Some("1"))),
            3 => ("ACME: 500 serverInternal", None, "", problem(500, "serverInternal", None)),
            4 => ("ACME: badNonce", Some("POST"), "", problem(400, "badNonce", None)),
            5 => ("ACME: connection cut before the request", None, "", ca::Fault::CutBefore),
            6 => ("ACME: connection cut before the answer", None, "", ca::Fault::CutAfter),
            7 => ("ACME: answer late", None, "", ca::Fault::Late(self.rng.u64(300..2500))),
            8 => ("ACME: answer truncated", Some("POST"), "", garbage),
            9 => ("ACME: answer to finalize lost", Some("POST"), "/finalize", ca::Fault::CutAfter),
            10 => {
                ("ACME: certificate not found", Some("POST"), "/certificate", problem(404, "malformed", None))
            }
            _ => ("ACME: answer to newOrder lost", Some("POST"), "/order", ca::Fault::CutAfter),
        };
        self.count(what);
        let (after, times) = (self.rng.u32(..4), self.rng.u32(1..=2));
        let rule =
            ca::FaultRule { method: method.map(str::to_owned), path: path.to_owned(), after, times, fault };
        self.some_ca().fail(rule);
    }

    fn some_ca(&mut self) -> ca::Control {
        if self.rng.u8(..5) == 0 { self.controls.strict.clone() } else { self.controls.kind.clone() }
    }

    fn spell(&mut self, what: &'static str, end: impl FnOnce(&Controls) + Send + 'static) {
        self.count(what);
        let length = Duration::from_millis(self.rng.u64(50..700));
        self.spells.push((Instant::now() + length, Box::new(end)));
    }

    fn spell_at_gandi(&mut self) {
        let server = self.rng.usize(..NAME_SERVERS);
        match self.rng.u8(..5) {
            0 => {
                world::let_tokens_work(&self.controls.gandi, false);
                let end = |controls: &Controls| world::let_tokens_work(&controls.gandi, true);
                self.spell("Gandi: tokens refused for a while", end);
            }
            1 => {
                self.controls.gandi.set_down(server, true);
                self.spell("DNS: a name server down", move |controls| controls.gandi.set_down(server, false));
            }
            2 => {
                self.controls.gandi.set_flapping(server, true);
                let end = move |controls: &Controls| controls.gandi.set_flapping(server, false);
                self.spell("DNS: a name server with old answers", end);
            }
            3 => {
                self.controls.gandi.set_publication_delay(server, Duration::from_secs(4));
                let end = move |controls: &Controls| {
                    controls.gandi.set_publication_delay(server, Duration::ZERO);
                };
                self.spell("DNS: publication late", end);
            }
            _ => {
                self.controls.gandi.set_latency(Duration::from_millis(300));
                let end = |controls: &Controls| controls.gandi.set_latency(Duration::ZERO);
                self.spell("LiveDNS: slow", end);
            }
        }
    }

    fn spell_at_a_ca(&mut self) {
        let ca = self.some_ca();
        let own = ca.clone();
        match self.rng.u8(..6) {
            0 => {
                ca.change(|behaviour| behaviour.finalize = Finalize::Fails("serverInternal".to_owned()));
                let end = move |_: &Controls| own.change(|behaviour| behaviour.finalize = Finalize::AtOnce);
                self.spell("ACME: orders invalid", end);
            }
            1 | 2 => {
                let way =
                    pick(&mut self.rng, &[NewOrder::RateLimited, NewOrder::ServerInternal, NewOrder::Paused]);
                ca.change(|behaviour| behaviour.new_order = way);
                let end = move |_: &Controls| own.change(|behaviour| behaviour.new_order = NewOrder::Accept);
                self.spell("ACME: newOrder refused", end);
            }
            3 => {
                let wrong = pick(&mut self.rng, &[WrongCertificate::OtherKey, WrongCertificate::MissingName]);
                ca.change(|behaviour| behaviour.wrong_certificate = Some(wrong));
                let end = move |_: &Controls| own.change(|behaviour| behaviour.wrong_certificate = None);
                self.spell("ACME: wrong certificates", end);
            }
            4 => {
                let name = format!("www.{}", plan::zone(self.rng.usize(..plan::ZONES)));
                ca.change(|behaviour| behaviour.rejected = vec![name]);
                let end = move |_: &Controls| own.change(|behaviour| behaviour.rejected.clear());
                self.spell("ACME: a name rejected", end);
            }
            _ => {
                ca.set_latency(Duration::from_millis(300));
                self.spell("ACME: slow", move |_| own.set_latency(Duration::ZERO));
            }
        }
    }
}

fn pick<T: Clone>(rng: &mut fastrand::Rng, of: &[T]) -> T {
    of[rng.usize(..of.len())].clone()
}
