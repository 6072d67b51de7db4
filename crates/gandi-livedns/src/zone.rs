//! Which zone a name is in, by asking LiveDNS.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::client::{Client, malformed, parsed};
use crate::error::Error;
use crate::name::{RelativeName, canonical};
use crate::refusal::NotFoundKind;
use crate::retry::Budget;

/// A zone that LiveDNS has, and that the credential may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    fqdn: String,
}

impl Zone {
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn at(fqdn: &str) -> Self {
        Self { fqdn: fqdn.to_owned() }
    }

    /// The apex, lower case, without trailing dot.
    #[must_use]
    pub fn fqdn(&self) -> &str {
        &self.fqdn
    }

    /// The name relative to this zone.
    ///
    /// # Errors
    /// [`Error::NotInZone`], or it is no name at all.
    pub fn relative(&self, fqdn: &str) -> Result<RelativeName, Error> {
        let name = canonical(fqdn)?;
        if name == self.fqdn {
            return Ok(RelativeName::apex());
        }
        let relative = name.strip_suffix(&self.fqdn).and_then(|rest| rest.strip_suffix('.'));
        let outside = || Error::NotInZone { name: name.clone(), zone: self.fqdn.clone() };
        RelativeName::new(relative.ok_or_else(outside)?)
    }
}

impl Client {
    /// The name servers that LiveDNS has for the zone, lower case, without trailing dot.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn name_servers(&self, zone: &Zone) -> Result<Vec<String>, Error> {
        let call = self.call(Method::GET, &["domains", zone.fqdn(), "nameservers"], None)?;
        let reply = self.send(&call, &mut self.budget()).await?;
        let names: Vec<String> = parsed(&call, &reply)?;
        Ok(names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect())
    }
}

/// How long an answer is good for: long enough for all names of a certificate, short enough for a zone that was
/// brought to LiveDNS while a program that renews certificates runs.
const LIFE: Duration = Duration::from_secs(300);

/// What LiveDNS said about a candidate. Errors are never kept.
#[derive(Clone, Debug)]
enum Candidate {
    Zone(Zone),
    NotFound(NotFoundKind),
}

type Cell = Arc<OnceCell<Candidate>>;

/// Answers about candidates. Names that need the same one at the same time wait for one answer.
#[derive(Default)]
pub(crate) struct ZoneCache(Mutex<HashMap<String, (Instant, Cell)>>);

impl ZoneCache {
    fn cell(&self, name: &str) -> Cell {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cells.retain(|_, (since, _)| since.elapsed() < LIFE);
        let new = || (Instant::now(), Cell::default());
        cells.entry(name.to_owned()).or_insert_with(new).1.clone()
    }
}

/// As much of the answer about a zone as shows that it is one.
#[derive(Deserialize)]
struct Described {
    fqdn: String,
}

impl Client {
    /// The zone with this very apex; `None` if LiveDNS does not have it, or not for this credential.
    ///
    /// # Errors
    /// 401 and 403 among others.
    pub async fn zone(&self, fqdn: &str) -> Result<Option<Zone>, Error> {
        let name = canonical(fqdn)?;
        match self.candidate(&name, &mut self.budget()).await {
            Ok(Candidate::Zone(zone)) => Ok(Some(zone)),
            Ok(Candidate::NotFound(_)) => Ok(None),
            Err(Error::Forbidden { refusal, .. }) => {
                let facts = self.facts();
                Err(Error::Forbidden { refusal, denied: vec![name], not_found: Vec::new(), facts })
            }
            Err(error) => Err(error),
        }
    }

    /// The zone that `fqdn` is in.
    ///
    /// `likely_apex` is the zone cut that public DNS shows, where the caller knows it: it is asked first, and if
    /// LiveDNS has it, that is the zone, since a record in any other would not be public. Otherwise LiveDNS is asked
    /// from the longest name (`fqdn` itself) down to two labels; a 404 goes on. A 403 goes on too, because a token
    /// that is limited to some domains may answer so for others, but if nothing is found it is what is reported.
    ///
    /// # Errors
    /// [`Error::NoZone`] with all that was asked; [`Error::Forbidden`]; [`Error::Unauthorized`] at once.
    pub async fn find_zone(&self, fqdn: &str, likely_apex: Option<&str>) -> Result<Zone, Error> {
        let name = canonical(fqdn)?;
        let budget = &mut self.budget();
        let (mut tried, mut denied, mut words) = (Vec::new(), Vec::new(), None);
        for candidate in candidates(&name, likely_apex) {
            match self.candidate(&candidate, budget).await {
                Ok(Candidate::Zone(zone)) => return Ok(zone),
                Ok(Candidate::NotFound(kind)) => tried.push((candidate, kind)),
                Err(Error::Forbidden { refusal, .. }) => {
                    denied.push(candidate);
                    words.get_or_insert(refusal);
                }
                Err(error) => return Err(error),
            }
        }
        let facts = self.facts();
        Err(match words {
            Some(refusal) => Error::Forbidden { refusal, denied, not_found: tried, facts },
            None => Error::NoZone { name, tried, facts },
        })
    }

    async fn candidate(&self, name: &str, budget: &mut Budget) -> Result<Candidate, Error> {
        let cell = self.zones().cell(name);
        // Whoever waits here for another task's answer, and then has its own turn to ask, does not begin a budget of
        // its own: a hundred names of a zone must not wait one after the other for a service that is down.
        let end = (budget.deadline() + self.options().request_timeout).max(budget.limit_deadline());
        let answer = tokio::time::timeout_at(end, cell.get_or_try_init(|| self.ask(name, budget))).await;
        answer.map_err(|_| Error::OutOfTime { zone: name.to_owned() })?.cloned()
    }

    async fn ask(&self, name: &str, budget: &mut Budget) -> Result<Candidate, Error> {
        let call = self.call(Method::GET, &["domains", name], None)?;
        let reply = match self.send(&call, budget).await {
            Err(Error::ZoneNotVisible { kind, .. }) => return Ok(Candidate::NotFound(kind)),
            reply => reply?,
        };
        // A proxy's page is no zone.
        let described: Described = parsed(&call, &reply)?;
        if canonical(&described.fqdn).is_ok_and(|fqdn| fqdn != name) {
            return Err(malformed(&call, &reply.body, "it is about another zone"));
        }
        Ok(Candidate::Zone(Zone { fqdn: name.to_owned() }))
    }
}

/// What is asked for, in this order. A top-level domain alone never is: nobody has it at LiveDNS.
pub(crate) fn candidates(name: &str, likely_apex: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = name;
    while rest.contains('.') {
        all.push(rest.to_owned());
        match rest.split_once('.') {
            Some((_, parent)) => rest = parent,
            None => break,
        }
    }
    let apex = likely_apex.and_then(|apex| canonical(apex).ok());
    if let Some(position) = apex.and_then(|apex| all.iter().position(|candidate| *candidate == apex)) {
        let first = all.remove(position);
        all.insert(0, first);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Answer, NO_ZONE, Script, answer};

    #[test]
    fn candidates_go_from_the_longest_to_two_labels_and_a_hint_goes_first() {
        assert_eq!(
            candidates("_a.www.example.com", None),
            ["_a.www.example.com", "www.example.com", "example.com"]
        );
        assert_eq!(
            candidates("_a.www.example.com", Some("Example.com.")),
            ["example.com", "_a.www.example.com", "www.example.com"]
        );
        assert_eq!(candidates("a.example", Some("other.org")), ["a.example"]);
        assert_eq!(candidates("com", None), Vec::<String>::new());
    }

    #[test]
    fn names_are_relative_to_their_zone() {
        let zone = Zone { fqdn: "example.com".into() };
        assert_eq!(zone.relative("_A.Example.com.").unwrap().as_str(), "_a");
        assert_eq!(zone.relative("example.com").unwrap(), RelativeName::apex());
        assert!(matches!(zone.relative("badexample.com"), Err(Error::NotInZone { .. })));
    }

    const FORBIDDEN: &str = r#"{"object":"HTTPForbidden","cause":"Forbidden","code":403,"message":"denied"}"#;
    const FOUND: &str = r#"{"fqdn":"example.com","automatic_snapshots":true}"#;

    #[tokio::test(start_paused = true)]
    async fn a_walk_goes_on_past_404_and_403() {
        let (client, script) = Script::client(vec![
            ("GET /domains/_a.www.example.com", answer(403, FORBIDDEN)),
            ("GET /domains/www.example.com", answer(404, NO_ZONE)),
            ("GET /domains/example.com", answer(200, FOUND)),
        ]);
        assert_eq!(client.find_zone("_a.www.example.com", None).await.unwrap().fqdn(), "example.com");
        script.end();
    }

    #[tokio::test(start_paused = true)]
    async fn a_walk_without_a_find_tells_all_and_prefers_403() {
        let unknown = r#"{"object":"LocalizedHTTPNotFound","message":"Unknown domain"}"#;
        let (client, script) = Script::client(vec![
            ("GET /domains/_a.example.com", answer(404, NO_ZONE)),
            ("GET /domains/example.com", answer(404, unknown)),
            ("GET /domains/_a.example.org", answer(404, NO_ZONE)),
            ("GET /domains/example.org", answer(403, FORBIDDEN)),
        ]);
        match client.find_zone("_a.example.com", None).await {
            Err(Error::NoZone { tried, .. }) => {
                let kinds = [NotFoundKind::NotFound, NotFoundKind::UnknownDomain];
                assert_eq!(tried.iter().map(|one| one.1).collect::<Vec<_>>(), kinds);
            }
            other => panic!("{other:?}"),
        }
        match client.find_zone("_a.example.org", None).await {
            Err(Error::Forbidden { denied, not_found, refusal, .. }) => {
                assert_eq!(denied, ["example.org"]);
                assert_eq!(not_found, [("_a.example.org".to_owned(), NotFoundKind::NotFound)]);
                assert_eq!(refusal.message.as_deref(), Some("denied"));
            }
            other => panic!("{other:?}"),
        }
        script.end();
    }

    #[tokio::test(start_paused = true)]
    async fn a_401_ends_the_walk_and_is_asked_again_the_next_time() {
        let (client, script) = Script::client(vec![
            ("GET /domains/a.example.com", answer(401, "{}")),
            ("GET /domains/a.example.com", answer(404, NO_ZONE)),
            ("GET /domains/example.com", answer(200, FOUND)),
        ]);
        assert!(matches!(client.find_zone("a.example.com", None).await, Err(Error::Unauthorized { .. })));
        assert!(client.find_zone("a.example.com", None).await.is_ok());
        script.end();
    }

    #[tokio::test(start_paused = true)]
    async fn many_names_at_once_ask_for_one_zone_once() {
        let (client, script) = Script::client(vec![("GET /domains/example.com", answer(200, FOUND))]);
        let apex = Some("example.com");
        let (a, b, c) = tokio::join!(
            client.find_zone("a.example.com", apex),
            client.find_zone("b.example.com", apex),
            client.zone("example.com"),
        );
        assert_eq!((a.unwrap(), b.unwrap()), (Zone::at("example.com"), Zone::at("example.com")));
        assert_eq!(c.unwrap(), Some(Zone::at("example.com")));
        script.end();
    }

    #[tokio::test(start_paused = true)]
    async fn a_403_is_not_kept_and_a_404_not_for_ever() {
        let (client, script) = Script::client(vec![
            ("GET /domains/example.com", answer(403, FORBIDDEN)),
            ("GET /domains/example.com", answer(404, NO_ZONE)),
            ("GET /domains/example.com", answer(200, FOUND)),
        ]);
        assert!(matches!(client.zone("example.com").await, Err(Error::Forbidden { .. })));
        assert_eq!(client.zone("example.com").await.unwrap(), None);
        assert_eq!(client.zone("example.com").await.unwrap(), None);
        tokio::time::advance(LIFE).await;
        assert!(client.zone("example.com").await.unwrap().is_some());
        script.end();
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_of_a_proxy_is_no_zone() {
        for odd in ["<html>Welcome</html>", "{}", "[]", r#"{"fqdn":"example.org"}"#] {
            let (client, script) = Script::client(vec![("GET /domains/example.com", answer(200, odd))]);
            assert!(matches!(client.zone("example.com").await, Err(Error::Malformed { .. })), "{odd}");
            script.end();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_wait_for_a_service_that_is_down_do_not_wait_one_after_the_other() {
        let steps = (0..20).map(|_| ("GET /domains/example.com", Answer::Hang)).collect();
        let (client, _) = Script::client(steps);
        let begun = Instant::now();
        let ask = || client.zone("example.com");
        let answers = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask());
        assert!(answers.0.is_err() && answers.5.is_err());
        assert!(begun.elapsed() <= client.options().retry_budget + client.options().request_timeout);
    }
}
