//! Certificates: their chains, their renewal, what they can be asked to hold, and their end.

use serde_json::Value;

use crate::context::{Context, Issued, Obstacle, Verdict, failed, not_offered};
use crate::server::Server;

pub(crate) fn preferred_chain(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], &[])?;
    let links = context.gate.exchanges().into_iter().flat_map(|exchange| exchange.links);
    if links.filter(|link| link.contains("alternate")).count() == 0 {
        return not_offered("it sends no `Link` with `rel=\"alternate\"` with a certificate");
    }
    let roots = context.server.roots(&context.bench.testbed)?;
    for root in roots.iter().rev() {
        let issued = context.issue(&[&name], &["--force", "--preferred-chain", &common_name(root)?])?;
        issued.trusted(std::slice::from_ref(root), std::slice::from_ref(&name))?;
    }
    Ok(())
}

fn common_name(pem: &str) -> Result<String, Obstacle> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|error| wrong(&error))?;
    let certificate = pem.parse_x509().map_err(|error| wrong(&error))?;
    let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    name.map_or_else(|| failed("a root without a name"), |name| Ok(name.to_owned()))
}

fn wrong(error: &dyn std::fmt::Display) -> Obstacle {
    Obstacle::Failed(error.to_string())
}

/// An authorization before there is an order, which the order then finds.
pub(crate) fn pre_authorization(context: &Context<'_>) -> Verdict {
    context.offered("/newAuthz")?;
    let name = format!("www.{}", context.zone);
    context.succeed(["account".to_owned(), "new".to_owned()].iter().chain(&context.server_words()))?;
    let made = context.document(&["authz", "new", &name, "--server", &context.directory]);
    let made = made.or_else(|obstacle| match context.gate.exchanges().last() {
        Some(exchange) if exchange.status == 404 => {
            not_offered("the directory has `newAuthz`, and there is nothing: 404")
        }
        _ => Err(obstacle),
    })?;
    let Some(url) = made["authorizations"][0]["url"].as_str() else { return failed("no authorization") };
    let listed = context.document(&["authz", "list", url, "--server", &context.directory])?;
    if listed["authorizations"][0]["name"] != name.as_str() {
        return failed(format!("the authorization is for something else: {listed}"));
    }
    context.issue(&[&name], &[])?;
    let ordered = context.authorizations();
    if ordered.iter().any(|authorization| authorization == url) {
        Ok(())
    } else {
        failed("the order has another authorization")
    }
}

/// An authorization that is given up, and has to be proved again.
pub(crate) fn authorization_given_up(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], &[])?;
    let Some(url) = context.authorizations().pop() else { return failed("no authorization") };
    let status = |document: Value| document["authorizations"][0]["status"].clone();
    let words = |verb| ["authz", verb, &url, "--server", &context.directory].map(str::to_owned);
    if status(context.document(&words("list").each_ref().map(String::as_str))?) != "valid" {
        return failed("the authorization is not valid");
    }
    let given_up = match context.document(&words("deactivate").each_ref().map(String::as_str)) {
        Ok(document) => status(document),
        Err(obstacle) => {
            return match context.refusal() {
                Some(refusal) => not_offered(refusal),
                None => Err(obstacle),
            };
        }
    };
    if given_up != "deactivated" {
        return not_offered(format!("it answers with an authorization that is {given_up}"));
    }
    context.issue(&[&name], &["--force"])?;
    if context.authorizations().last() == Some(&url) { failed("it was used again") } else { Ok(()) }
}

/// The window is fetched and kept, and the renewal says what it replaces (RFC 9773).
pub(crate) fn renewal_information(context: &Context<'_>) -> Verdict {
    context.offered("/renewalInfo")?;
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], &[])?;
    let shown = context.document(&["renew", &name]).and_then(|_| context.document(&["show", &name]))?;
    let window = |exchange: &testbed::Exchange| {
        exchange.document.as_ref().is_some_and(|document| document["suggestedWindow"]["start"].is_string())
    };
    if !context.gate.exchanges().iter().any(window) {
        return failed("no window was fetched");
    }
    if !mentions(&shown, "renewal_window") {
        return failed("`show` does not tell the window");
    }
    context.succeed(["renew", &name, "--force"])?;
    let replaces = context.sent("").into_iter().any(|payload| payload["replaces"].is_string());
    if replaces { Ok(()) } else { failed("the order does not say what it replaces") }
}

fn mentions(document: &Value, word: &str) -> bool {
    match document {
        Value::Object(members) => {
            members.iter().any(|(name, value)| (name == word && !value.is_null()) || mentions(value, word))
        }
        _ => false,
    }
}

pub(crate) fn profiles(context: &Context<'_>) -> Verdict {
    let offered = context.offered("/meta/profiles")?;
    let Some(profile) = offered.as_object().and_then(|profiles| profiles.keys().next()) else {
        return not_offered("the directory's `meta.profiles` is empty");
    };
    let listed = context.succeed(["server", "profiles", "--server", &context.directory])?;
    if !listed.stdout.contains(profile.as_str()) {
        return failed("`server profiles` does not list it");
    }
    let name = format!("www.{}", context.zone);
    if context.issue(&[&name], &["--profile", "no-such-profile"]).is_ok() {
        return failed("an unknown profile was accepted");
    }
    let ordered = |payload: &Value| payload["identifiers"].is_array();
    if context.sent("").iter().any(ordered) {
        return failed("an unknown profile was found out by an order only");
    }
    context.issue(&[&name], &["--profile", profile])?;
    let asked = context.sent("").into_iter().any(|payload| payload["profile"] == profile.as_str());
    if asked { Ok(()) } else { failed("the order does not name the profile") }
}

/// OCSP must-staple (RFC 7633).
pub(crate) fn must_staple(context: &Context<'_>) -> Verdict {
    let issued = context.issue(&[&format!("www.{}", context.zone)], &["--must-staple"])?;
    let there = issued.look(|certificate| {
        certificate.extensions().iter().any(|extension| extension.oid.to_id_string() == "1.3.6.1.5.5.7.1.24")
    })?;
    if there { Ok(()) } else { not_offered("its certificate lacks the extension that the request asked for") }
}

/// `notAfter` in the order.
pub(crate) fn lifetime(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    let issued = context.issue(&[&name], &["--lifetime-days", "1"]).or_else(|obstacle| {
        match (context.sent("").iter().any(|payload| payload["notAfter"].is_string()), context.refusal()) {
            (true, Some(words)) => not_offered(words),
            _ => Err(obstacle),
        }
    })?;
    if !context.sent("").iter().any(|payload| payload["notAfter"].is_string()) {
        return failed("the order does not say it");
    }
    let seconds = issued.look(|certificate| {
        let validity = certificate.validity();
        validity.not_after.timestamp() - validity.not_before.timestamp()
    })?;
    // Servers begin some minutes in the past, for clocks that are behind.
    let day = 86_400;
    if (day - 7200..=day + 7200).contains(&seconds) {
        Ok(())
    } else {
        not_offered(format!("it takes the order, and gives {} days", seconds / day))
    }
}

/// A reason and its number (RFC 5280 §5.3.1).
const SUPERSEDED: (&str, u8) = ("superseded", 4);

pub(crate) fn revocation_by_account(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    let issued = context.issue(&[&name], &[])?;
    context.succeed(["revoke", &name, "--reason", SUPERSEDED.0])?;
    revoked(context, &issued)
}

/// By somebody who has the certificate and its key, and no account.
pub(crate) fn revocation_by_key(context: &Context<'_>) -> Verdict {
    let issued = context.issue(&[&format!("www.{}", context.zone)], &[])?;
    let stranger = Context::new(context.bench, context.server, "stranger")?;
    let file = |name: &str| issued.folder.join(name).display().to_string();
    let (certificate, key) = (file("cert.pem"), file("privkey.pem"));
    let words = ["revoke", "--cert-file", &certificate, "--key-file", &key, "--reason", SUPERSEDED.0];
    if let Err(obstacle) = stranger.succeed(words.into_iter().chain(["--server", &stranger.directory])) {
        // RFC 8555 §7.6 has the server look at the certificate's key; one that looks among its accounts cannot do this.
        return match stranger.refusal() {
            Some(words) if words.contains("accountDoesNotExist") => not_offered(words),
            _ => Err(obstacle),
        };
    }
    if stranger.sent("").iter().any(|payload| payload["termsOfServiceAgreed"].is_boolean()) {
        return failed("an account was made for it");
    }
    revoked(&stranger, &issued)
}

/// The server took the request with its reason, and, where it can be asked, holds the certificate for revoked.
fn revoked(context: &Context<'_>, issued: &Issued) -> Verdict {
    let asked = |exchange: &testbed::Exchange| {
        exchange.payload.as_ref().is_some_and(|payload| payload["certificate"].is_string())
    };
    match context.gate.exchanges().iter().rfind(|exchange| asked(exchange)) {
        None => return failed("the server was not asked"),
        Some(exchange) if exchange.status != 200 => {
            return failed(exchange.problem().unwrap_or_else(|| format!("status {}", exchange.status)));
        }
        Some(exchange)
            if exchange.payload.as_ref().is_none_or(|payload| payload["reason"] != SUPERSEDED.1) =>
        {
            return failed("the reason was not sent");
        }
        Some(_) => {}
    }
    if let Server::Pebble(pebble) = context.server {
        let serial = issued.look(|certificate| certificate.serial.to_str_radix(16))?;
        let url = format!("{}/cert-status-by-serial/{serial}", pebble.management());
        let status: Value = serde_json::from_str(&context.bench.testbed.fetch(&url)?)?;
        if status["Status"] != "Revoked" {
            return failed(format!("Pebble says: {status}"));
        }
    }
    Ok(())
}
