//! What is sent, and in which order, when TXT values are added and removed.

use serde_json::json;

use crate::error::{Error, NetworkKind};
use crate::script::{
    Answer, CNAME, CREATED, EXISTS, NO_RECORD, NO_ZONE, RRSET, Script, answer, rrset, stored,
};
use crate::zone::Zone;
use crate::{AddOutcome, Client, RemoveOutcome};

const NAME: &str = "_a.example.com";

async fn add(client: &Client) -> Result<AddOutcome, Error> {
    let zone = Zone::at("example.com");
    client.add_txt(&zone, NAME, &["ours".to_owned()]).await.map(|added| added.outcome)
}

async fn remove(client: &Client) -> Result<RemoveOutcome, Error> {
    let zone = Zone::at("example.com");
    client.remove_txt(&zone, NAME, &["ours".to_owned()]).await.map(|removed| removed.outcome)
}

fn body(ttl: u32, values: &[&str]) -> serde_json::Value {
    json!({"rrset_ttl": ttl, "rrset_values": values})
}

/// A script in which a method alone is about the rrset.
fn script(steps: Vec<(&str, Answer)>) -> (Client, Script) {
    let full = |what: &str| if what.contains(' ') { what.to_owned() } else { format!("{what} {RRSET}") };
    Script::client(steps.into_iter().map(|(what, answer)| (full(what), answer)).collect())
}

#[tokio::test(start_paused = true)]
async fn a_new_rrset_takes_one_request_and_two_to_remove() {
    let (client, played) = script(vec![
        ("POST", answer(201, CREATED)),
        ("GET", rrset(&["\"ours\""])),
        ("DELETE", answer(204, "")),
    ]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Created);
    assert_eq!(remove(&client).await.unwrap(), RemoveOutcome::RrsetDeleted);
    assert_eq!(played.end(), [body(300, &["\"ours\""])]);
}

#[tokio::test(start_paused = true)]
async fn values_of_others_are_sent_back_as_read_with_their_ttl_and_name() {
    let theirs = r#""a \"b\"" "c""#;
    let (client, played) = script(vec![
        ("POST", answer(409, EXISTS)),
        ("GET", stored("_A", &[theirs, "bare"])),
        ("PUT /domains/example.com/records/_A/TXT", answer(201, CREATED)),
        ("GET", stored("_A", &[theirs, "bare", "\"ours\""])),
        ("GET", stored("_A", &[theirs, "bare", "\"ours\""])),
        ("PUT /domains/example.com/records/_A/TXT", answer(201, CREATED)),
        ("GET", stored("_A", &[theirs, "bare"])),
    ]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Merged);
    assert_eq!(remove(&client).await.unwrap(), RemoveOutcome::Kept(2));
    assert_eq!(played.end()[1..], [body(7200, &[theirs, "bare", "\"ours\""]), body(7200, &[theirs, "bare"])]);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_not_written() {
    let (client, played) = script(vec![("POST", answer(409, EXISTS)), ("GET", rrset(&["\"x\"", "ours"]))]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::AlreadyThere);
    played.end();
}

#[tokio::test(start_paused = true)]
async fn a_200_to_a_creation_is_believed_after_a_read() {
    let (client, played) = script(vec![("POST", answer(200, "{}")), ("GET", rrset(&["\"ours\""]))]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::AlreadyThere);
    played.end();
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_put_off_is_made_anew_from_a_new_read() {
    for put_off in [
        Answer::Reply(429, String::new(), Some("20")),
        Answer::Reply(503, String::new(), Some("20")),
        answer(500, "{}"),
        answer(502, "<html>"),
        Answer::None(NetworkKind::Connect),
        Answer::None(NetworkKind::Timeout),
        Answer::None(NetworkKind::Lost),
    ] {
        let (client, played) = script(vec![
            ("POST", answer(409, EXISTS)),
            ("GET", rrset(&["\"x\""])),
            ("PUT", put_off.clone()),
            ("GET", rrset(&["\"x\"", "\"came meanwhile\""])),
            ("PUT", answer(201, CREATED)),
            ("GET", rrset(&["\"x\"", "\"came meanwhile\"", "\"ours\""])),
            // The removal: nothing but ours at first, and then there is.
            ("GET", rrset(&["\"ours\""])),
            ("DELETE", put_off),
            ("GET", rrset(&["\"ours\"", "\"came meanwhile\""])),
            ("PUT", answer(201, CREATED)),
            ("GET", rrset(&["\"came meanwhile\""])),
        ]);
        assert_eq!(add(&client).await.unwrap(), AddOutcome::Merged);
        assert_eq!(remove(&client).await.unwrap(), RemoveOutcome::Kept(1));
        let bodies = played.end();
        assert_eq!(bodies[2], body(7200, &["\"x\"", "\"came meanwhile\"", "\"ours\""]));
        assert_eq!(bodies[3], body(7200, &["\"came meanwhile\""]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_of_unknown_fate_is_read_and_one_that_was_not_made_is_made_again() {
    let (client, played) = script(vec![
        ("POST", answer(500, "{}")),
        ("GET", rrset(&["\"ours\""])),
        ("POST", Answer::None(NetworkKind::Lost)),
        ("GET", answer(404, NO_RECORD)),
        ("POST", answer(201, CREATED)),
        ("POST", Answer::Reply(429, String::new(), None)),
        ("POST", answer(201, CREATED)),
    ]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Created);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Created);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Created);
    played.end();
}

#[tokio::test(start_paused = true)]
async fn ours_is_put_back_when_another_writer_overwrites_it_and_nothing_else_is() {
    let (client, played) = script(vec![
        ("POST", answer(409, EXISTS)),
        ("GET", rrset(&["\"x\"", "\"y\""])),
        ("PUT", answer(201, CREATED)),
        ("GET", rrset(&["\"theirs\""])),
        ("PUT", answer(201, CREATED)),
        ("GET", rrset(&["\"theirs\"", "\"ours\""])),
    ]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Merged);
    // Nobody can tell whether x and y were dropped or taken away by their owners: they are not ours to bring back.
    assert_eq!(played.end()[2], body(7200, &["\"theirs\"", "\"ours\""]));
}

#[tokio::test(start_paused = true)]
async fn a_value_that_its_owner_took_away_after_our_write_is_not_brought_back() {
    let (client, played) = script(vec![
        ("POST", answer(409, EXISTS)),
        ("GET", rrset(&["\"x\""])),
        ("PUT", answer(201, CREATED)),
        ("GET", rrset(&["\"ours\""])),
    ]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Merged);
    played.end();
}

#[tokio::test(start_paused = true)]
async fn what_its_owner_took_away_after_our_first_patch_is_not_brought_back() {
    for taken in ["the value", "the rrset"] {
        let after = if taken == "the value" { rrset(&["\"ours\""]) } else { answer(404, NO_RECORD) };
        let mut steps = vec![
            ("POST", answer(409, EXISTS)),
            ("GET", rrset(&["\"theirs\""])),
            // Another value of others has come in the place of the first one, meanwhile.
            ("PATCH", rrset(&["\"another's\"", "\"ours\""])),
            ("GET", after),
        ];
        if taken == "the rrset" {
            steps.push(("POST", answer(201, CREATED)));
        }
        // A removal that leaves theirs, and then they go too.
        steps.extend([
            ("GET", rrset(&["\"theirs\"", "\"ours\""])),
            ("PATCH", rrset(&["\"theirs\""])),
            ("GET", answer(404, NO_RECORD)),
        ]);
        let (client, played) = script(steps);
        client.patch().unfit.store(false, std::sync::atomic::Ordering::Relaxed);
        add(&client).await.unwrap();
        // As at the first use of another process.
        client.patch().proven.store(false, std::sync::atomic::Ordering::Relaxed);
        remove(&client).await.unwrap();
        let bodies = played.end();
        assert!(bodies.iter().all(|body| !body.to_string().contains("theirs")), "{taken}: {bodies:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_rrset_that_was_deleted_after_our_write_is_created_and_not_replaced() {
    let (client, played) = script(vec![
        ("POST", answer(409, EXISTS)),
        ("GET", rrset(&["\"x\""])),
        ("PUT", answer(201, CREATED)),
        ("GET", answer(404, NO_RECORD)),
        ("POST", answer(201, CREATED)),
    ]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Created);
    assert_eq!(played.end()[2], body(300, &["\"ours\""]));
}

#[tokio::test(start_paused = true)]
async fn a_writer_who_never_gives_in_is_an_error_of_its_own() {
    let mut steps = vec![("POST", answer(409, EXISTS)), ("GET", rrset(&["\"x\""]))];
    for _ in 0..8 {
        steps.extend([("PUT", answer(201, CREATED)), ("GET", rrset(&["\"x\""]))]);
    }
    let (client, played) = script(steps);
    assert!(matches!(add(&client).await, Err(Error::LostUpdate { rounds: 8, .. })));
    played.end();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_for_good_is_not_taken_for_another_writer() {
    let mut steps = vec![("POST", answer(409, EXISTS)), ("GET", rrset(&["\"x\""]))];
    for _ in 0..40 {
        steps.extend([("PUT", answer(500, "{}")), ("GET", rrset(&["\"x\""]))]);
    }
    let (client, _) = script(steps);
    assert!(matches!(add(&client).await, Err(Error::Server { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_cname_in_the_way_is_named_with_gandis_words() {
    let cname =
        r#"{"rrset_name":"_a","rrset_type":"CNAME","rrset_ttl":300,"rrset_values":["b.example.org."]}"#;
    let read = format!("GET {CNAME}");
    for status in [409, 400] {
        let mut steps = vec![("POST", answer(status, EXISTS))];
        if status == 409 {
            steps.push(("GET", answer(404, NO_RECORD)));
        }
        steps.push((read.as_str(), answer(200, cname)));
        let (client, played) = script(steps);
        match add(&client).await {
            Err(Error::Conflict { name, cname, refusal }) => {
                assert_eq!((name.as_str(), cname.as_deref()), ("_a", Some("b.example.org.")));
                assert_eq!(refusal.message.as_deref(), Some("Record exists"));
                assert_eq!(refusal.status, status);
            }
            other => panic!("{other:?}"),
        }
        played.end();
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_with_nothing_to_see_ends_with_gandis_words() {
    let read = format!("GET {CNAME}");
    let mut steps = Vec::new();
    for _ in 0..9 {
        steps.extend([
            ("POST", answer(409, EXISTS)),
            ("GET", answer(404, NO_RECORD)),
            (read.as_str(), answer(404, NO_RECORD)),
        ]);
    }
    let (client, _) = script(steps);
    match add(&client).await {
        Err(Error::Conflict { cname: None, refusal, .. }) => {
            assert_eq!(refusal.message.as_deref(), Some("Record exists"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_while_reading_never_means_that_nothing_is_there() {
    for status in [400, 401, 403, 410] {
        let (client, played) = script(vec![("POST", answer(409, EXISTS)), ("GET", answer(status, "{}"))]);
        assert!(add(&client).await.is_err());
        played.end();
        let (client, played) = script(vec![("GET", answer(status, "{}"))]);
        assert!(remove(&client).await.is_err());
        played.end();
    }
    let (client, _) = script(vec![("GET", answer(404, NO_ZONE))]);
    assert!(matches!(remove(&client).await, Err(Error::ZoneNotVisible { .. })));
    for odd in ["<html>", "{}", "[]", r#"{"rrset_name":"_a","rrset_type":"TXT","rrset_ttl":1}"#] {
        let (client, _) = script(vec![("GET", answer(200, odd))]);
        assert!(matches!(remove(&client).await, Err(Error::Malformed { .. })), "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_rrset_is_not_acted_on() {
    for (name, kind) in [("www", "TXT"), ("@", "TXT"), ("_a", "A")] {
        let odd = json!({"rrset_name": name, "rrset_type": kind, "rrset_ttl": 300, "rrset_values": ["ours"]});
        let (client, played) = script(vec![("GET", answer(200, &odd.to_string()))]);
        assert!(matches!(remove(&client).await, Err(Error::Malformed { .. })), "{name} {kind}");
        played.end();
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_finds_nothing_of_ours_writes_nothing() {
    for there in [answer(404, NO_RECORD), rrset(&["\"OURS\""]), rrset(&[])] {
        let (client, played) = script(vec![("GET", there)]);
        assert_eq!(remove(&client).await.unwrap(), RemoveOutcome::NothingThere);
        played.end();
    }
}

#[tokio::test(start_paused = true)]
async fn an_rrset_that_was_left_without_values_is_used() {
    let (client, played) = script(vec![
        ("POST", answer(409, EXISTS)),
        ("GET", rrset(&[])),
        ("PUT", answer(201, CREATED)),
        ("GET", rrset(&["\"ours\""])),
    ]);
    assert_eq!(add(&client).await.unwrap(), AddOutcome::Created);
    assert_eq!(played.end()[1], body(300, &["\"ours\""]));
}

#[tokio::test(start_paused = true)]
async fn what_another_writer_brings_back_is_removed_again() {
    let (client, played) = script(vec![
        ("GET", rrset(&["\"ours\"", "\"x\""])),
        ("PUT", answer(201, CREATED)),
        ("GET", rrset(&["\"ours\"", "\"x\"", "\"y\""])),
        ("PUT", answer(201, CREATED)),
        ("GET", rrset(&["\"x\"", "\"y\""])),
    ]);
    assert_eq!(remove(&client).await.unwrap(), RemoveOutcome::Kept(2));
    assert_eq!(played.end(), [body(7200, &["\"x\""]), body(7200, &["\"x\"", "\"y\""])]);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_of_what_is_gone_is_done() {
    let (client, played) = script(vec![
        ("GET", rrset(&["\"ours\""])),
        ("DELETE", answer(404, NO_RECORD)),
        ("GET", rrset(&["\"ours\""])),
        ("DELETE", Answer::None(NetworkKind::Lost)),
        ("GET", answer(404, NO_RECORD)),
    ]);
    assert_eq!(remove(&client).await.unwrap(), RemoveOutcome::RrsetDeleted);
    assert_eq!(remove(&client).await.unwrap(), RemoveOutcome::RrsetDeleted);
    played.end();
}

#[tokio::test(start_paused = true)]
async fn a_2xx_that_says_error_is_an_error() {
    let refused =
        r#"{"status":"error","errors":[{"location":"body","name":"rrset_values","description":"no"}]}"#;
    let read = format!("GET {CNAME}");
    let (client, played) =
        script(vec![("POST", answer(201, refused)), (read.as_str(), answer(404, NO_RECORD))]);
    assert!(matches!(add(&client).await, Err(Error::Invalid { .. })));
    played.end();
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_budget_is_told_at_once() {
    let (client, _) = script(vec![("GET", Answer::Reply(429, String::new(), Some("3600")))]);
    let begun = tokio::time::Instant::now();
    assert!(matches!(remove(&client).await, Err(Error::RateLimited { retry_at: Some(_), .. })));
    assert!(begun.elapsed().as_secs() < 1);
}

#[tokio::test(start_paused = true)]
async fn two_tasks_take_turns_at_one_rrset() {
    let (client, played) = script(vec![
        ("POST", answer(409, EXISTS)),
        ("GET", rrset(&["\"x\""])),
        ("PUT", answer(201, CREATED)),
        ("GET", rrset(&["\"x\"", "\"ours\""])),
        ("POST", answer(409, EXISTS)),
        ("GET", rrset(&["\"x\"", "\"ours\""])),
    ]);
    let (one, two) = tokio::join!(add(&client), add(&client));
    assert_eq!((one.unwrap(), two.unwrap()), (AddOutcome::Merged, AddOutcome::AlreadyThere));
    played.end();
}
