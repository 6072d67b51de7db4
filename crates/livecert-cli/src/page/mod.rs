//! How everything stands, as one HTML page that needs nothing beside itself: no network, no script, light or dark as the
//! reader likes it, and printable.

mod html;
mod timeline;

use jiff::Timestamp;
use livecert::certificate::{Standing, StatusReport, TroubleKind};

use crate::command::standing::{day, left, state};
use crate::command::view::{distance, moment};
use html::Html;

const STYLE: &str = include_str!("style.css");

/// The page.
pub(crate) fn page(report: &StatusReport, now: Timestamp) -> String {
    let mut html = Html::new();
    html.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Whatever a server has said, nothing is fetched and nothing is run.
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">\n<title>").text(&title(report));
    html.raw("</title>\n<style>\n").raw(STYLE).raw("</style>\n</head>\n<body>\n");
    head(&mut html, report, now);
    problems(&mut html, report);
    if !report.certificates.is_empty() {
        timeline::draw(&mut html, &report.certificates, now);
        certificates(&mut html, &report.certificates, now);
        tokens(&mut html, &report.certificates, now);
    }
    runs(&mut html, report, now);
    html.raw("<footer>Made by livecert ").text(env!("CARGO_PKG_VERSION"));
    html.raw(" from its state folder alone; no server was asked. The page shows one moment: have it made anew by a timer.</footer>\n");
    html.raw("</body>\n</html>\n");
    html.into_string()
}

fn title(report: &StatusReport) -> String {
    match report.troubles.len() {
        0 => "Certificates: all is well".to_owned(),
        1 => "Certificates: 1 thing to look at".to_owned(),
        many => format!("Certificates: {many} things to look at"),
    }
}

fn head(html: &mut Html, report: &StatusReport, now: Timestamp) {
    html.raw("<header>\n<h1>").text(&title(report)).raw("</h1>\n<p>");
    let count = report.certificates.len();
    html.text(&format!("{count} certificate{}", if count == 1 { "" } else { "s" }));
    if let Some((at, cert)) =
        report.certificates.iter().filter_map(|one| Some((one.renew_at?, &one.cert))).min()
    {
        html.text(&format!(
            ", the next renewal {}: ",
            if at <= now { "now".into() } else { distance(at, now) }
        ));
        html.text(&livecert::certificate::readable(cert.as_str()));
    }
    html.raw(". As of ").text(&moment(now)).raw(".</p>\n</header>\n");
}

/// What needs a person, each with its next step.
fn problems(html: &mut Html, report: &StatusReport) {
    if report.troubles.is_empty() {
        return;
    }
    html.raw("<section id=\"problems\">\n<h2>To look at</h2>\n<ul class=\"problems\">\n");
    for trouble in &report.troubles {
        html.raw("<li class=\"").raw(tone(Some(trouble.kind))).raw("\"><strong>").text(trouble.kind.word());
        html.raw("</strong> ");
        if let Some(cert) = &trouble.cert {
            html.raw("<b>").text(&livecert::certificate::readable(cert.as_str())).raw("</b>: ");
        }
        html.text(&trouble.what)
            .raw("<br><span class=\"next\">next: ")
            .text(&trouble.next)
            .raw("</span></li>\n");
    }
    html.raw("</ul>\n</section>\n");
}

/// The class of a line: how bad it is.
fn tone(kind: Option<TroubleKind>) -> &'static str {
    match kind {
        None => "good",
        Some(TroubleKind::Due | TroubleKind::CredentialEnds | TroubleKind::NoRun | TroubleKind::Held) => {
            "soon"
        }
        Some(_) => "bad",
    }
}

/// All certificates, the most urgent first.
fn certificates(html: &mut Html, all: &[Standing], now: Timestamp) {
    html.raw(
        "<section id=\"certificates\">\n<h2>Certificates</h2>\n<div class=\"wide\"><table>\n<thead><tr>",
    );
    html.raw("<th>Name</th><th>Names</th><th class=\"n\">Ends in</th><th>Ends</th><th>Renewal</th>");
    html.raw("<th>State</th><th>Last error</th></tr></thead>\n<tbody>\n");
    for one in all {
        html.raw("<tr class=\"").raw(tone(one.worst)).raw("\"><th scope=\"row\">");
        html.text(&livecert::certificate::readable(one.cert.as_str())).raw("</th><td class=\"names\">");
        for (index, name) in one.names.iter().enumerate() {
            html.raw(if index == 0 { "" } else { "<br>" }).text(&livecert::certificate::readable(name));
        }
        html.raw("</td><td class=\"n\">").text(&one.not_after.map_or_else(String::new, |end| left(end, now)));
        html.raw("</td><td class=\"day\">").text(&one.not_after.map_or_else(String::new, day));
        html.raw("</td><td class=\"day\">");
        html.text(&match one.renew_at {
            Some(at) if at > now => day(at),
            _ => "now".to_owned(),
        });
        html.raw("</td><td class=\"state\">").text(&state(one, now)).raw("</td><td class=\"why\">");
        if let Some(error) = &one.error {
            html.raw("<b>").text(&error.kind).raw("</b> ").text(&error.message);
        }
        html.raw("</td></tr>\n");
    }
    html.raw("</tbody>\n</table></div>\n</section>\n");
}

/// The credentials that have an end, the first to end first. Certificates with the same end share one.
fn tokens(html: &mut Html, all: &[Standing], now: Timestamp) {
    let mut ends: Vec<(Timestamp, &str, Vec<&Standing>)> = Vec::new();
    for one in all {
        let Some(credential) = &one.credential else { continue };
        let key = (credential.ends, credential.kind.as_str());
        match ends.iter_mut().find(|(end, kind, _)| (*end, *kind) == key) {
            Some((_, _, certs)) => certs.push(one),
            None => ends.push((key.0, key.1, vec![one])),
        }
    }
    if ends.is_empty() {
        return;
    }
    ends.sort_by_key(|(end, _, _)| *end);
    html.raw("<section id=\"tokens\">\n<h2>Tokens</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>Credential</th>");
    html.raw("<th class=\"n\">Ends in</th><th>Ends</th><th>Used for</th></tr></thead>\n<tbody>\n");
    for (end, kind, certs) in ends {
        let ends_first = certs.iter().any(|one| one.worst == Some(TroubleKind::CredentialEnds)) || end <= now;
        html.raw("<tr class=\"")
            .raw(if ends_first { "soon" } else { "good" })
            .raw("\"><th scope=\"row\">")
            .text(kind);
        html.raw("</th><td class=\"n\">")
            .text(&left(end, now))
            .raw("</td><td>")
            .text(&day(end))
            .raw("</td><td>");
        let names: Vec<String> =
            certs.iter().map(|one| livecert::certificate::readable(one.cert.as_str())).collect();
        html.text(&names.join(", ")).raw("</td></tr>\n");
    }
    html.raw("</tbody>\n</table></div>\n</section>\n");
}

/// What the last runs did.
fn runs(html: &mut Html, report: &StatusReport, now: Timestamp) {
    html.raw("<section id=\"runs\">\n<h2>Last runs</h2>\n<p>");
    match &report.last_run {
        None => html.raw("No run over all certificates has ended yet."),
        Some(run) => {
            let seconds = run.finished.duration_since(run.began).as_secs();
            html.text(&format!(
                "The last run over all certificates ended {} ({}), after {seconds} s: {} renewed, {} not due, {} failed.",
                distance(run.finished, now),
                moment(run.finished),
                run.renewed,
                run.not_due,
                run.failed
            ))
        }
    };
    html.raw("</p>\n");
    let mut looked: Vec<_> =
        report.certificates.iter().filter_map(|one| Some((one.last_run.as_ref()?, one))).collect();
    looked.sort_by_key(|(run, _)| std::cmp::Reverse(run.at));
    if looked.is_empty() {
        html.raw("</section>\n");
        return;
    }
    html.raw("<div class=\"wide\"><table>\n<thead><tr><th>When</th><th>Certificate</th><th>Result</th><th>Error</th></tr>");
    html.raw("</thead>\n<tbody>\n");
    for (run, one) in looked {
        let class = if matches!(run.result.as_str(), "failed" | "waiting") { "bad" } else { "good" };
        html.raw("<tr class=\"")
            .raw(class)
            .raw("\"><td class=\"day\">")
            .text(&moment(run.at))
            .raw("</td><td>");
        html.text(&livecert::certificate::readable(one.cert.as_str())).raw("</td><td class=\"state\">");
        html.text(&run.result).raw("</td><td class=\"why\">");
        if let Some(kind) = &run.kind {
            html.raw("<b>").text(kind).raw("</b> ");
        }
        html.text(run.error.as_deref().unwrap_or_default()).raw("</td></tr>\n");
    }
    html.raw("</tbody>\n</table></div>\n</section>\n");
}
