//! A model of the API with adversarial writers, and thousands of schedules: nothing of others is lost or changed by us,
//! ours are there when an addition says so, and gone when a removal says so.
//!
//! With PATCH this holds whatever anybody does. Without it one thing cannot be had, and the model shows that it is the
//! only one: a value that came between our last read and our write. What others write from an old read can bring back
//! ours after we removed it; the second look of the journal finds that.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proptest::prelude::*;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::Client;
use crate::credential::{CredentialFacts, CredentialKind, CredentialShape};
use crate::error::{Error, NetworkKind};
use crate::exchange::{Call, Exchange, Exchanged, NoReply, Reply};
use crate::options::Options;
use crate::script::{EXISTS, NO_RECORD};
use crate::txt;
use crate::zone::Zone;

const NAME: &str = "_a.example.com";
/// Schedules for each property.
const SCHEDULES: u32 = 3000;

/// What somebody else does at one moment.
#[derive(Debug, Clone, Copy)]
enum Foreign {
    Nothing,
    /// Adds a value of their own, in one step.
    Add(u8),
    /// Takes away their own value, in one step.
    TakeAway(u8),
    /// Reads the list, to write it later with a value of theirs (as careless clients do).
    Read,
    /// Writes what was read before, with a value more.
    WriteStale(u8),
    /// Deletes the whole rrset (lego).
    DeleteAll,
    /// Overwrites all with one value (certbot's plugin after a failed read).
    Overwrite(u8),
    /// Changes the TTL.
    Retime,
}

/// What the network and the server do with one request.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    LostBefore,
    LostAfter,
    Broken,
    Busy,
}

/// How the server treats what is not known of PATCH.
#[derive(Debug, Clone, Copy)]
enum Patch {
    NotOffered(u16),
    /// Works; the last value leaves an empty rrset, or none.
    Works {
        keeps_empty: bool,
    },
    /// Works, but never takes the last value.
    NotTheLast,
    /// Replaces the whole list: as nasty as it gets.
    Replaces,
    /// Works, and sets the TTL to 10800 s.
    Retimes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Set {
    ttl: u32,
    values: Vec<String>,
}

struct World {
    patch: Patch,
    there: Option<Set>,
    schedule: std::vec::IntoIter<(Foreign, Foreign, Fate)>,
    stale: Option<Vec<String>>,
    /// What each of our clients was last shown.
    shown: Vec<Option<Set>>,
    ours: Vec<String>,
    harm: Vec<String>,
    /// Values that were lost between a read and the write that was made from it.
    unavoidable: usize,
}

fn foreign(number: u8) -> String {
    match number % 4 {
        0 => "\"theirs\"".to_owned(),
        1 => r#""long \"and odd\"" "in two""#.to_owned(),
        2 => "\"Value-of-ours-1\"".to_owned(),
        _ => format!("\"theirs {}\"", number / 4),
    }
}

impl World {
    fn is_ours(&self, value: &str) -> bool {
        self.ours.contains(&txt::unquote(value))
    }

    fn theirs(&self, set: Option<&Set>) -> Vec<String> {
        set.iter().flat_map(|set| &set.values).filter(|value| !self.is_ours(value)).cloned().collect()
    }

    fn set(&mut self, values: Vec<String>) {
        let ttl = self.there.as_ref().map_or(1800, |there| there.ttl);
        self.there = (!values.is_empty()).then_some(Set { ttl, values });
    }

    fn act(&mut self, what: Foreign) {
        let mut values = self.there.clone().map(|there| there.values).unwrap_or_default();
        match what {
            Foreign::Nothing => {}
            Foreign::Add(number) => {
                if !values.contains(&foreign(number)) {
                    values.push(foreign(number));
                    self.set(values);
                }
            }
            Foreign::TakeAway(number) => {
                values.retain(|value| *value != foreign(number));
                self.set(values);
            }
            Foreign::Read => self.stale = Some(values),
            Foreign::WriteStale(number) => {
                if let Some(mut stale) = self.stale.take() {
                    stale.retain(|value| *value != foreign(number));
                    stale.push(foreign(number));
                    self.set(stale);
                }
            }
            Foreign::DeleteAll => self.there = None,
            Foreign::Overwrite(number) => self.set(vec![foreign(number)]),
            Foreign::Retime => {
                if let Some(there) = &mut self.there {
                    there.ttl = 5400;
                }
            }
        }
    }

    fn answer(&mut self, who: usize, call: &Call) -> (u16, String) {
        let body: Value =
            call.body.as_ref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
        let list = |key: &str| -> Vec<String> {
            let values = body[key].as_array().cloned().unwrap_or_default();
            values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
        };
        let ttl = body["rrset_ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok());
        let before = self.there.clone();
        let answer = match (&call.method, &self.there) {
            (&Method::GET, there) => {
                let answer = there.as_ref().map_or((404, NO_RECORD.to_owned()), |there| {
                    (200, json!({"rrset_name": "_a", "rrset_type": "TXT", "rrset_ttl": there.ttl, "rrset_values": there.values}).to_string())
                });
                self.shown[who] = self.there.clone();
                return answer;
            }
            (&Method::POST, None) => {
                self.there = Some(Set { ttl: ttl.unwrap(), values: list("rrset_values") });
                (201, "{}".to_owned())
            }
            (&Method::POST, Some(there)) => {
                return if there.values == list("rrset_values") {
                    (200, "{}".to_owned())
                } else {
                    (409, EXISTS.to_owned())
                };
            }
            (&Method::PUT, _) => {
                self.there = Some(Set { ttl: ttl.unwrap(), values: list("rrset_values") });
                (201, "{}".to_owned())
            }
            (&Method::DELETE, None) => return (404, NO_RECORD.to_owned()),
            (&Method::DELETE, Some(_)) => {
                self.there = None;
                (204, String::new())
            }
            (&Method::PATCH, there) => {
                if let Patch::NotOffered(status) = self.patch {
                    return (status, "{}".to_owned());
                }
                let Some(mut set) = there.clone() else { return (404, NO_RECORD.to_owned()) };
                set.values
                    .retain(|value| !list("remove_rrset_values").iter().any(|gone| txt::same(gone, value)));
                set.values.extend(list("add_rrset_values"));
                set.ttl = ttl.unwrap_or(set.ttl);
                match self.patch {
                    Patch::Replaces => set.values = list("add_rrset_values"),
                    Patch::Retimes => set.ttl = 10_800,
                    Patch::NotTheLast if set.values.is_empty() => return (400, "{}".to_owned()),
                    _ => {}
                }
                let keeps = matches!(self.patch, Patch::Works { keeps_empty: true });
                let shown = json!({"rrset_name": "_a", "rrset_type": "TXT", "rrset_ttl": set.ttl, "rrset_values": set.values});
                self.there = (keeps || !set.values.is_empty()).then_some(set);
                (200, shown.to_string())
            }
            _ => panic!("{}", call.shown()),
        };
        self.judge(who, call, before.as_ref());
        answer
    }

    /// What a write of ours did to others.
    fn judge(&mut self, who: usize, call: &Call, before: Option<&Set>) {
        let (theirs, now) = (self.theirs(before), self.theirs(self.there.as_ref()));
        let shown = self.theirs(self.shown[who].as_ref());
        // What such a server breaks is the server's doing, and mending it is ours.
        if matches!(self.patch, Patch::Replaces | Patch::Retimes) {
            return;
        }
        for value in theirs.iter().filter(|value| !now.contains(value)) {
            if !shown.contains(value) && call.method != Method::PATCH {
                self.unavoidable += 1;
            } else {
                self.harm.push(format!("{} lost {value}", call.method));
            }
        }
        for value in now.iter().filter(|value| !theirs.contains(value)) {
            if !shown.contains(value) {
                self.harm.push(format!("{} invented {value}", call.method));
            }
        }
        let kept: Vec<_> = theirs.iter().filter(|value| now.contains(value)).collect();
        let order: Vec<_> = now.iter().filter(|value| theirs.contains(value)).collect();
        if kept != order && before == self.shown[who].as_ref() {
            self.harm.push(format!("{} reordered", call.method));
        }
        if let (Some(before), Some(now)) = (before, &self.there)
            && before.ttl != now.ttl
            && !theirs.is_empty()
            && self.shown[who].as_ref().is_some_and(|shown| shown.ttl == before.ttl)
        {
            self.harm.push(format!("{} changed the TTL", call.method));
        }
    }
}

#[derive(Clone)]
struct Model {
    world: Arc<Mutex<World>>,
    who: usize,
}

impl Exchange for Model {
    fn exchange<'a>(&'a self, call: &'a Call) -> Exchanged<'a> {
        Box::pin(async move {
            // Another client of ours may get in between too.
            if fastrand::bool() {
                tokio::task::yield_now().await;
            }
            let (after, fate, answer) = {
                let mut world = self.world.lock().unwrap();
                let (before, after, fate) =
                    world.schedule.next().unwrap_or((Foreign::Nothing, Foreign::Nothing, Fate::Answered));
                world.act(before);
                let answer = match fate {
                    Fate::Answered | Fate::LostAfter => world.answer(self.who, call),
                    Fate::LostBefore | Fate::Broken => (500, "<html>".to_owned()),
                    Fate::Busy => (429, String::new()),
                };
                (after, fate, answer)
            };
            tokio::task::yield_now().await;
            self.world.lock().unwrap().act(after);
            if matches!(fate, Fate::LostAfter | Fate::LostBefore) {
                return Err(NoReply { kind: NetworkKind::Lost, permanent: false, source: "modelled".into() });
            }
            let status = StatusCode::from_u16(answer.0).unwrap();
            Ok(Reply { status, retry_after: None, body: Bytes::from(answer.1), multiplexed: false })
        })
    }
}

fn client(world: &Arc<Mutex<World>>, who: usize) -> Client {
    let facts = CredentialFacts {
        kind: CredentialKind::PersonalAccessToken,
        shape: CredentialShape::Unknown,
        sharing_id_set: false,
        base_url_set: false,
    };
    Client::with_exchange(Box::new(Model { world: world.clone(), who }), facts, Options::default())
}

/// One life of a proof at two hosts: added, kept, and removed, while others do what they do.
async fn life(client: Client, world: Arc<Mutex<World>>, ours: Vec<String>) -> Result<(), Error> {
    let zone = Zone::at("example.com");
    // What is added while others wipe and wipe again may give up, with an error; it must not claim success.
    if client.add_txt(&zone, NAME, &ours).await.is_ok() {
        // During the propagation it is looked whether ours are there, and they are put back; the CA is asked after a
        // look that shows them.
        let mut looks = 0;
        loop {
            let kept = client.add_txt(&zone, NAME, &ours).await;
            let mut world = world.lock().unwrap();
            let there = world.there.as_ref().map(|set| set.values.clone()).unwrap_or_default();
            if kept.is_ok() && txt::missing(&there, &ours).is_empty() {
                break;
            }
            // Others have ended, so nothing but our own other clients can be in the way, and they end too.
            looks += u32::from(world.schedule.len() == 0);
            if looks > 20 {
                world.harm.push("ours did not stay visible".to_owned());
                break;
            }
        }
    }
    // Clean-up comes whatever happened, and others have ended by then.
    loop {
        let done = client.remove_txt(&zone, NAME, &ours).await;
        if done.is_ok() && world.lock().unwrap().schedule.len() == 0 {
            return done.map(drop);
        }
    }
}

fn run(
    patch: Patch,
    start: Option<Set>,
    schedule: Vec<(Foreign, Foreign, Fate)>,
    clients: usize,
) -> (Vec<String>, Vec<String>, usize) {
    fastrand::seed(1);
    let ours: Vec<Vec<String>> =
        (0..clients).map(|who| vec![format!("value-of-ours-{who}"), format!("second of {who}")]).collect();
    let world = Arc::new(Mutex::new(World {
        patch,
        there: start,
        schedule: schedule.into_iter(),
        stale: None,
        shown: vec![None; clients],
        ours: ours.concat(),
        harm: Vec::new(),
        unavoidable: 0,
    }));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clients: Vec<_> = (0..clients).map(|who| client(&world, who)).collect();
        for client in &clients {
            client.patch().proven.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        let lives = ours
            .iter()
            .enumerate()
            .map(|(who, ours)| tokio::spawn(life(clients[who].clone(), world.clone(), ours.clone())));
        for life in lives.collect::<Vec<_>>() {
            life.await.unwrap().unwrap();
        }
        // The journal's second look.
        for (client, ours) in clients.iter().zip(&ours) {
            client.remove_txt(&Zone::at("example.com"), NAME, ours).await.unwrap();
        }
    });
    let world = world.lock().unwrap();
    let left = world.there.iter().flat_map(|set| &set.values).filter(|value| world.is_ours(value));
    (world.harm.clone(), left.cloned().collect(), world.unavoidable)
}

fn foreigner() -> impl Strategy<Value = Foreign> {
    prop_oneof![
        4 => Just(Foreign::Nothing),
        3 => any::<u8>().prop_map(Foreign::Add),
        2 => any::<u8>().prop_map(Foreign::TakeAway),
        1 => Just(Foreign::Read),
        1 => any::<u8>().prop_map(Foreign::WriteStale),
        1 => Just(Foreign::DeleteAll),
        1 => any::<u8>().prop_map(Foreign::Overwrite),
        1 => Just(Foreign::Retime),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Answered),
        1 => Just(Fate::LostBefore),
        1 => Just(Fate::LostAfter),
        1 => Just(Fate::Broken),
        1 => Just(Fate::Busy),
    ]
}

fn schedule() -> impl Strategy<Value = Vec<(Foreign, Foreign, Fate)>> {
    prop::collection::vec((foreigner(), foreigner(), fate()), 0..24)
}

fn start() -> impl Strategy<Value = Option<Set>> {
    prop::option::of(prop::collection::btree_set(0u8..12, 1..4).prop_map(|numbers| Set {
        ttl: 7200,
        values:
            numbers.into_iter().map(foreign).collect::<std::collections::BTreeSet<_>>().into_iter().collect(),
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: SCHEDULES, ..ProptestConfig::default() })]

    #[test]
    fn with_patch_nobody_loses_anything(
        (start, schedule, clients) in (start(), schedule(), 1usize..4),
        patch in prop_oneof![
            Just(Patch::Works { keeps_empty: false }),
            Just(Patch::Works { keeps_empty: false }),
            Just(Patch::NotTheLast),
        ],
    ) {
        let (harm, left, unavoidable) = run(patch, start, schedule, clients);
        prop_assert!(harm.is_empty(), "{harm:?}");
        prop_assert!(left.is_empty(), "{left:?}");
        // Where the last value cannot be taken, the rrset is deleted after a read.
        prop_assert!(unavoidable == 0 || matches!(patch, Patch::NotTheLast));
    }

    #[test]
    fn without_patch_only_what_came_between_a_read_and_its_write_can_be_lost(
        (start, schedule, clients) in (start(), schedule(), 1usize..4),
        status in prop_oneof![Just(400u16), Just(403), Just(404), Just(405), Just(501)],
    ) {
        let (harm, left, _) = run(Patch::NotOffered(status), start, schedule, clients);
        prop_assert!(harm.is_empty(), "{harm:?}");
        prop_assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn a_patch_that_does_something_else_is_found_out_mended_and_not_used_again(
        start in start(),
        patch in prop_oneof![
            Just(Patch::Replaces), Just(Patch::Retimes), Just(Patch::Works { keeps_empty: true }),
        ],
    ) {
        let (harm, left, unavoidable) = run(patch, start.clone(), Vec::new(), 1);
        prop_assert!(harm.is_empty() && left.is_empty() && unavoidable == 0, "{harm:?} {left:?}");
        let world = end(patch, start.clone());
        prop_assert_eq!(world, start);
    }
}

/// What is there after one undisturbed life.
fn end(patch: Patch, start: Option<Set>) -> Option<Set> {
    let ours = vec!["value-of-ours-0".to_owned()];
    let world = Arc::new(Mutex::new(World {
        patch,
        there: start,
        schedule: Vec::new().into_iter(),
        stale: None,
        shown: vec![None],
        ours: ours.clone(),
        harm: Vec::new(),
        unavoidable: 0,
    }));
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(life(client(&world, 0), world.clone(), ours)).unwrap();
    let world = world.lock().unwrap();
    world.there.clone()
}
