//! `livecert order list|show|new|solve|finalize|download|remove`.

use clap::Subcommand;
use jiff::Timestamp;
use livecert::certificate::{
    CertificateError, GivenUp, NewOrderReport, OpenName, OpenOrder, OrderStanding, SettingsAfter,
    StepOutcome, StepReport, ToShow, window,
};
use livecert::store::{CertName, Store};
use serde_json::{Value, json};

use super::issue;
use super::view::{GenerationView, distance, moment};
use crate::arguments::{Cert, Globals};
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status, table};

const EXAMPLES: &str = "\
Examples:
  livecert order new example.com '*.example.com' --plugin manual --accept-tos
  livecert order show example.com          (days later: how it stands, and what is to be shown)
  livecert order solve example.com && livecert order finalize example.com && livecert order download example.com

`livecert issue` takes all steps in one go, and goes on with an order that is open.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum Order {
    /// List all open orders, as their servers have them now
    List,
    /// Show a certificate's open order: how far it is, and what its names want shown
    Show(Cert),
    /// Store the settings, make key and order, print what each name wants shown, and end
    #[command(after_help = EXAMPLES)]
    New(Box<issue::Issue>),
    /// Have the names proved: show the proofs, wait until all see them, answer, take them away
    Solve(Cert),
    /// Send the certificate request of an order whose names are proved
    Finalize(Cert),
    /// Download the certificate, check it, put it in place and run its hooks
    Download(Cert),
    /// Give the open order up; the certificate in place stays
    Remove(Cert),
}

pub(super) fn run(words: Order, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    match words {
        Order::List => list(globals, output),
        Order::Show(words) => show(&words, globals, output),
        Order::New(words) => new(*words, globals, output),
        Order::Solve(words) => step(&words, Word::Solve, globals, output),
        Order::Finalize(words) => step(&words, Word::Finalize, globals, output),
        Order::Download(words) => step(&words, Word::Download, globals, output),
        Order::Remove(words) => remove(&words, globals, output),
    }
}

fn cert_name(words: &Cert) -> Result<CertName, CertificateError> {
    words.cert.parse().map_err(CertificateError::CertName)
}

fn list(globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let orders = context::block_on(async { Ok(context::service(globals)?.open_orders().await?) })?;
    let now = Timestamp::now();
    let all: Vec<_> = orders.iter().map(order_document).collect();
    output.show(&json!({"schema": 1, "orders": all}), || {
        if orders.is_empty() {
            return "There are no open orders; `livecert order new` makes one.\n".to_owned();
        }
        let head = ["CERT", "STATUS", "EXPIRES", "AGE", "NEXT"].map(str::to_owned).to_vec();
        let row = |order: &OpenOrder| {
            let expires = order.expires.map(|at| format!("{} ({})", moment(at), distance(at, now)));
            let next = order.next_command().unwrap_or_default();
            let age = age(order.made, now);
            vec![order.cert.to_string(), order.standing.to_string(), expires.unwrap_or_default(), age, next]
        };
        let mut text = table(&std::iter::once(head).chain(orders.iter().map(row)).collect::<Vec<_>>());
        for order in &orders {
            if let OrderStanding::Unknown(reason) = &order.standing {
                text.push_str(&format!("{}: {reason}\n", order.cert));
            }
        }
        text
    });
    Ok(Status::Done)
}

/// How long ago something was, in its largest unit.
fn age(made: Timestamp, now: Timestamp) -> String {
    match now.duration_since(made).as_mins() {
        ..1 => "now".to_owned(),
        mins @ 1..120 => format!("{mins} min"),
        mins @ 120..2880 => format!("{} h", mins / 60),
        mins => format!("{} days", mins / 1440),
    }
}

fn show(words: &Cert, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let cert = cert_name(words)?;
    let open = context::block_on(async { Ok(context::service(globals)?.open_order(&cert).await?) })?;
    output.show(
        &json!({"schema": 1, "name": cert.as_str(), "order": open.as_ref().map(order_document)}),
        || match &open {
            Some(order) => order_text(order),
            None => format!("{cert} has no open order.\n"),
        },
    );
    Ok(Status::Done)
}

fn new(words: issue::Issue, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    if words.dry_run.twin(globals)?.is_some() {
        return Err(Failure::wrong("an order is no rehearsal: `livecert issue --dry-run` is one"));
    }
    let request = issue::request(words, globals)?;
    let report = context::block_on(async { Ok(context::service(globals)?.new_order(&request).await?) })?;
    let (result, head, order) = match &report {
        NewOrderReport::Made(order) => ("made", format!("Made an order for {}.\n", order.cert), Some(order)),
        NewOrderReport::Open(order) => {
            let head = format!("Nothing to do: {} has an order for that already.\n", order.cert);
            ("open", head, Some(order))
        }
        NewOrderReport::NotDue(cert, at) => {
            let head = format!(
                "Nothing to do: the certificate {cert} is what you ask for, and is due {} ({}).\n\
                 Use --force for an order all the same.\n",
                distance(*at, Timestamp::now()),
                moment(*at)
            );
            ("not-due", head, None)
        }
        _ => ("other", String::new(), None),
    };
    let document = json!({"schema": 1, "result": result, "order": order.map(order_document)});
    output.show(&document, || head + &order.map(order_text).unwrap_or_default());
    Ok(Status::Done)
}

#[derive(Clone, Copy)]
enum Word {
    Solve,
    Finalize,
    Download,
}

impl Word {
    /// What was done, and what had been done before.
    fn said(self) -> (&'static str, &'static str) {
        match self {
            Word::Solve => ("The names are proved", "Nothing to do: its names are proved already"),
            Word::Finalize => ("The certificate is made", "Nothing to do: it is finalized already"),
            Word::Download => ("The certificate is in place", "Nothing to do"),
        }
    }
}

fn step(words: &Cert, word: Word, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let cert = cert_name(words)?;
    let report = context::block_on(async {
        let service = context::service(globals)?;
        Ok(match word {
            Word::Solve => service.solve_order(&cert).await?,
            Word::Finalize => service.finalize_order(&cert).await?,
            Word::Download => service.download_order(&cert).await?,
        })
    })?;
    let store = context::store(globals)?;
    output.show(&step_document(&report, &store), || step_text(&report, word));
    Ok(Status::Done)
}

fn step_document(report: &StepReport, store: &Store) -> Value {
    let view = |generation| GenerationView::new(generation, window(store, &report.cert, generation).as_ref());
    json!({
        "schema": 1,
        "name": report.cert.as_str(),
        "result": if report.outcome == StepOutcome::Done { "done" } else { "already" },
        "order": report.order.as_ref().map(order_document),
        "certificate": report.generation.as_ref().map(view),
        "leftovers": issue::leftovers(&report.leftovers),
    })
}

fn step_text(report: &StepReport, word: Word) -> String {
    let cert = &report.cert;
    let (done, already) = word.said();
    match (&report.order, &report.generation, report.outcome) {
        (None, Some(generation), StepOutcome::Already) => format!(
            "Nothing to do: {cert} has no open order, and generation {} is in place, valid until {}.\n",
            generation.number,
            moment(generation.info.not_after)
        ),
        (None, Some(generation), _) if matches!(word, Word::Download) => {
            let files = generation.files().into_iter();
            let files = files.map(|(what, path)| format!("  {what:<13} {}\n", path.display()));
            let (number, end) = (generation.number, moment(generation.info.not_after));
            format!("{done}: {cert}, generation {number}, valid until {end}.\n") + &files.collect::<String>()
        }
        (order, _, outcome) => {
            let said = if outcome == StepOutcome::Done { done } else { already };
            let next = order.as_ref().and_then(OpenOrder::next_command);
            let next = next.map(|next| format!("  next: {next}\n")).unwrap_or_default();
            let standing = order.as_ref().map(|order| format!(" (the order is {})", order.standing));
            format!("{cert}: {said}{}.\n{next}", standing.unwrap_or_default())
        }
    }
}

fn remove(words: &Cert, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    let cert = cert_name(words)?;
    let done = context::block_on(async { Ok(context::service(globals)?.remove_order(&cert).await?) })?;
    let settings = match done.settings {
        SettingsAfter::Restored => "restored",
        SettingsAfter::Forgotten => "forgotten",
        _ => "kept",
    };
    let document = json!({
        "schema": 1,
        "name": done.cert.as_str(),
        "result": if done.url.is_some() { "removed" } else { "none" },
        "order": done.url,
        "deactivated_authorizations": done.deactivated,
        "settings": settings,
    });
    output.show(&document, || removed_text(&done));
    Ok(Status::Done)
}

fn removed_text(done: &GivenUp) -> String {
    let cert = &done.cert;
    if done.url.is_none() {
        return format!("Nothing to do: {cert} has no open order.\n");
    }
    let pending = match done.deactivated {
        Some(0) => "none of its authorizations was pending".to_owned(),
        Some(1) => "its pending authorization is deactivated".to_owned(),
        Some(number) => format!("its {number} pending authorizations are deactivated"),
        None => "its authorizations may be pending until they end by themselves".to_owned(),
    };
    let settings = match done.settings {
        SettingsAfter::Restored => "\nThe settings from before the order are stored again.",
        SettingsAfter::Forgotten => "\nThere is no certificate, and nothing is left of its settings.",
        _ => "\nThe stored settings stay; a renewal uses them.",
    };
    format!("Gave the order of {cert} up: {pending}.{settings}\n")
}

/// An open order as `--json` shows it.
fn order_document(order: &OpenOrder) -> Value {
    let error = match &order.standing {
        OrderStanding::Unknown(reason) => Some(reason),
        _ => None,
    };
    json!({
        "name": order.cert.as_str(),
        "server": order.server,
        "url": order.url,
        "names": order.names,
        "made": order.made,
        "step_by_step": order.kept,
        "status": order.standing.word(),
        "expires": order.expires,
        "problem": order.problem,
        "error": error,
        "authorizations": order.authorizations.iter().map(name_document).collect::<Vec<_>>(),
        "next": order.next_command(),
    })
}

fn name_document(one: &OpenName) -> Value {
    let show = one.to_show.as_ref().map(|show| match show {
        ToShow::Txt { name, at, value } => json!({
            "kind": "txt",
            "fqdn": at.as_ref().unwrap_or(name),
            "looked_at": name,
            "value": value,
        }),
        ToShow::File { url, content } => json!({"kind": "file", "url": url, "content": content}),
        ToShow::Certificate { host } => json!({"kind": "tls-alpn", "host": host}),
        ToShow::Standing { at } => json!({"kind": "standing", "fqdn": at}),
        _ => json!({"kind": "other"}),
    });
    json!({
        "name": one.name,
        "url": one.url,
        "status": one.status,
        "expires": one.expires,
        "challenge": one.challenge,
        "challenge_url": one.challenge_url,
        "show": show,
        "problem": one.problem,
    })
}

fn order_text(order: &OpenOrder) -> String {
    let now = Timestamp::now();
    let mut text = format!("Order {} ({})\n", order.url, order.standing);
    let mut line = |what: &str, value: &str| text.push_str(&format!("  {what:<9} {value}\n"));
    line("names", &order.names.join(", "));
    line("server", &order.server);
    line("made", &moment(order.made));
    if let Some(at) = order.expires {
        line("expires", &format!("{} ({})", moment(at), distance(at, now)));
    }
    if let Some(problem) = &order.problem {
        line("problem", problem);
    }
    if let OrderStanding::Unknown(reason) = &order.standing {
        line("error", reason);
    }
    for one in &order.authorizations {
        let by = one.challenge.as_ref().map(|challenge| format!(" by {challenge}")).unwrap_or_default();
        text.push_str(&format!("  {}: {}{by}\n", one.name, one.status));
        text.push_str(&one.problem.as_ref().map(|why| format!("    {why}\n")).unwrap_or_default());
    }
    text.push_str(&shown_text(order));
    if let Some(next) = order.next_command() {
        text.push_str(&format!("  next: {next}\n"));
    }
    text
}

/// What has to be shown: TXT records as a zone file has them, files by their URLs.
fn shown_text(order: &OpenOrder) -> String {
    let shows = || order.authorizations.iter().filter_map(|one| one.to_show.as_ref());
    let mut records = Vec::new();
    let mut others = String::new();
    for show in shows() {
        match show {
            ToShow::Txt { name, at, value } => {
                records.push((format!("{}.", at.as_ref().unwrap_or(name)), value));
            }
            ToShow::File { url, content } => others.push_str(&format!("{url}\n    {content}\n")),
            ToShow::Certificate { host } => {
                others
                    .push_str(&format!("{host} shows a certificate for acme-tls/1: `order solve` does it\n"));
            }
            ToShow::Standing { at } => others.push_str(&format!("{at} stands already\n")),
            _ => {}
        }
    }
    if records.is_empty() && others.is_empty() {
        return String::new();
    }
    let width = records.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let records = records.iter().map(|(name, value)| format!("{name:<width$} 300 IN TXT \"{value}\"\n"));
    format!("\nTo be shown:\n\n{}{others}\n", records.collect::<String>())
}
