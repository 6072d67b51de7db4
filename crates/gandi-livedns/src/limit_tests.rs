//! What a client does when the requests of a minute are used up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::exchange::{Call, Exchange, Exchanged, Reply};
use crate::script::{CREATED, facts};
use crate::zone::Zone;
use crate::{Client, Options};

/// A LiveDNS of which others have used up the limit, in a minute of which refusals count, too.
#[derive(Clone, Default)]
struct UsedUp {
    times: Arc<Mutex<VecDeque<Instant>>>,
    refused: Arc<AtomicU32>,
}

impl Exchange for UsedUp {
    fn exchange<'a>(&'a self, call: &'a Call) -> Exchanged<'a> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let now = Instant::now();
            let mut times = self.times.lock().unwrap();
            times.retain(|time| now - *time < Duration::from_secs(60));
            times.push_back(now);
            let (status, body) = if times.len() > 1000 { (429, "") } else { (201, CREATED) };
            self.refused.fetch_add(u32::from(status == 429), Relaxed);
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(call.method, Method::POST);
            Ok(Reply { status, retry_after: None, body: body.into(), multiplexed: true })
        })
    }
}

#[tokio::test(start_paused = true)]
async fn many_names_wait_for_a_limit_as_one() {
    let service = UsedUp::default();
    let begun = Instant::now();
    *service.times.lock().unwrap() = std::iter::repeat_n(begun, 1000).collect();
    let client = Client::with_exchange(Box::new(service.clone()), facts(), Options::default());
    let mut names = JoinSet::new();
    for index in 0..20 {
        let client = client.clone();
        names.spawn(async move {
            let name = format!("_a{index}.example.com");
            client.add_txt(&Zone::at("example.com"), &name, &["ours".to_owned()]).await
        });
    }
    let added = names.join_all().await;
    assert!(added.iter().all(Result::is_ok), "{added:?}");
    assert!(begun.elapsed() >= Duration::from_secs(60));
    // The 20 that were under way, and those that asked for all.
    let refused = service.refused.load(Relaxed);
    assert!((21..40).contains(&refused), "{refused}");
}
