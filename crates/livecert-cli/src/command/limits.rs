//! `livecert limits`.

use clap::Args;
use jiff::Timestamp;
use livecert::certificate::{LimitKind, Limits, ServerLimits, Use, limits};
use serde_json::{Value, json};

use super::view::{distance, moment};
use crate::arguments::Globals;
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

#[derive(Debug, Args)]
pub(crate) struct LimitsWords {
    /// Only this ACME server [default: all that something was asked of]
    #[arg(long, value_name = "CODE|URL")]
    server: Option<String>,
}

pub(super) fn run(words: &LimitsWords, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let server = words.server.as_deref().map(|server| context::server(Some(server), globals)).transpose()?;
    let now = Timestamp::now();
    let all = limits(&context::store(globals)?, server.as_ref(), now)?;
    let servers: Vec<_> = all.iter().map(document).collect();
    output.show(&json!({"schema": 1, "servers": servers}), || text(&all, now));
    Ok(Status::Done)
}

/// The limits in words; none where none are known.
pub(super) fn known(limits: &Limits) -> Option<String> {
    (!limits.is_none()).then(|| limits.to_string())
}

fn document(server: &ServerLimits) -> Value {
    let one = |used: &Use| {
        let limit = server.limits.of(used.kind);
        json!({
            "limit": used.kind.word(),
            "account": used.account,
            "about": (!used.about.is_empty()).then_some(&used.about),
            "used": used.used,
            "allowed": limit.map(|limit| limit.count()),
            "period": limit.map(|limit| limit.period().as_secs()),
            "left": used.fill.map(|fill| fill.left),
            "next": used.fill.and_then(|fill| fill.next),
            "full": used.fill.and_then(|fill| fill.full),
        })
    };
    let holds = server.holds.iter().map(|(cert, hold)| {
        json!({"name": cert.as_ref().map(ToString::to_string), "until": hold.until, "words": hold.words})
    });
    json!({
        "url": server.url.as_str(),
        "code": server.url.code().unwrap_or_default(),
        "limits": known(&server.limits),
        "uses": server.uses.iter().map(one).collect::<Vec<_>>(),
        "holds": holds.collect::<Vec<_>>(),
    })
}

fn text(all: &[ServerLimits], now: Timestamp) -> String {
    if all.is_empty() {
        return "Nothing was asked of any ACME server yet.\n".to_owned();
    }
    let texts: Vec<String> = all.iter().map(|server| server_text(server, now)).collect();
    texts.join("\n")
}

fn server_text(server: &ServerLimits, now: Timestamp) -> String {
    let about = known(&server.limits).unwrap_or_else(|| "its limits are not known".to_owned());
    let mut text = format!("{} ({about})\n", server.url);
    for (cert, hold) in &server.holds {
        let what = cert.as_ref().map_or_else(|| "anything".to_owned(), ToString::to_string);
        let until = moment(hold.until);
        text.push_str(&format!("does not want to be asked for {what} before {until}: {}\n", hold.words));
    }
    if server.uses.is_empty() {
        return text + "nothing of them is used\n";
    }
    let mut rows = vec![["LIMIT", "OF", "USED", "LEFT", "NEXT"].map(str::to_owned).to_vec()];
    rows.extend(server.uses.iter().map(|used| row(server, used, now)));
    text + &table(&rows)
}

fn row(server: &ServerLimits, used: &Use, now: Timestamp) -> Vec<String> {
    let what = match used.kind {
        LimitKind::Orders => "new orders",
        LimitKind::Domain => "new certificates of a domain",
        LimitKind::Set => "certificates for the same names",
        _ => "failed validations",
    };
    let mut of = used.about.clone();
    if let Some(account) = &used.account {
        of = if of.is_empty() { account.clone() } else { format!("{of}, {account}") };
    }
    let Some((limit, fill)) = server.limits.of(used.kind).zip(used.fill) else {
        let (used, unknown) = (format!("{} in 7 days", used.used), "?".to_owned());
        return vec![what.to_owned(), of, used, unknown, String::new()];
    };
    let next = match fill.next {
        Some(next) if next.duration_since(now).as_hours() > 0 => {
            format!("{} ({})", moment(next), distance(next, now))
        }
        Some(next) => moment(next),
        None => "now".to_owned(),
    };
    vec![what.to_owned(), of, format!("{} of {limit}", used.used), fill.left.to_string(), next]
}
