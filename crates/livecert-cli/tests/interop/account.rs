//! Accounts: bound to another one, with a new key, deactivated.

use crate::context::{Context, Verdict, failed, not_offered};

pub(crate) fn external(context: &Context<'_>) -> Verdict {
    let Some((server, account)) = context.bench.kind.start_demanding(&context.bench.testbed)? else {
        return not_offered("its configuration knows no external accounts");
    };
    let context = Context::new(context.bench, &server, "external-account")?;
    let name = format!("www.{}", context.zone);
    if context.issue(&[&name], &[]).is_ok() {
        return failed("the server demands no external account");
    }
    let key = context.bench.testbed.secret_file("eab.key", &account.hmac_key)?;
    let source = format!("file:{}", key.display());
    context.issue(&[&name], &["--eab-kid", &account.kid, "--eab-hmac-key", &source])?;
    // It is for making the account alone.
    context.issue(&[&name], &["--force"])?;
    Ok(())
}

pub(crate) fn roll_over(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], &[])?;
    let before = context.gate.exchanges().len();
    let outcome = context.run(["account", "rollover", "--server", &context.directory])?;
    // A server that has no such thing says so with an error of its own, or a plain 404, 405 or 501.
    let refusals =
        context.gate.exchanges().into_iter().skip(before).filter_map(|exchange| exchange.problem());
    let declined = refusals.into_iter().find(|words| declines(words));
    // Whatever came of it, the account can be used.
    context.succeed(["account", "show", "--server", &context.directory])?;
    match (outcome.status, declined) {
        (Some(0), _) => {}
        (Some(1), Some(words)) => return not_offered(words),
        (status, _) => return failed(format!("exit status {status:?}: {}", outcome.stderr.trim())),
    }
    // The account is the same, and its new key is good.
    context.issue(&[&name], &["--force"])?;
    let asked = |payload: &serde_json::Value| payload["termsOfServiceAgreed"].is_boolean();
    let made =
        |exchange: &testbed::Exchange| exchange.status < 400 && exchange.payload.as_ref().is_some_and(asked);
    if context.gate.exchanges().iter().filter(|exchange| made(exchange)).count() == 1 {
        Ok(())
    } else {
        failed("a new account was made")
    }
}

fn declines(words: &str) -> bool {
    ["404", "405", "501", "notImplemented", "not implemented", "not supported"]
        .iter()
        .any(|sign| words.contains(sign))
}

/// Its contacts changed, shown, its key taken elsewhere and found again there.
pub(crate) fn upkeep(context: &Context<'_>) -> Verdict {
    let server = ["--server", context.directory.as_str()];
    let contact = ["--accept-tos", "--contact", "somebody@example.com"];
    context.succeed(["account", "new"].iter().chain(&server).chain(&contact))?;
    let contact = ["--contact", "somebody-else@example.com"];
    context.succeed(["account", "update"].iter().chain(&server).chain(&contact))?;
    let shown = context.document(&[["account", "show"], server].concat())?;
    if !shown.to_string().contains("somebody-else@example.com") {
        return failed(format!("the contact was not changed: {shown}"));
    }
    let file = context.bench.testbed.folder().join("account-key.pem").display().to_string();
    context.succeed(["account", "export", "--output-file", &file].iter().chain(&server))?;
    let elsewhere = Context::new(context.bench, context.server, "elsewhere")?;
    let server = ["--server", elsewhere.directory.as_str()];
    let words = ["account", "new", "--only-existing", "--key-file", &file];
    let found = elsewhere.document(&[words.as_slice(), &server].concat())?;
    // The host is the gate's, and each has a port of its own.
    let path = |document: &serde_json::Value| {
        let url = document["url"].as_str().unwrap_or_default().splitn(4, '/').nth(3);
        url.map(str::to_owned)
    };
    match (path(&shown), path(&found)) {
        (Some(here), Some(there)) if here == there => Ok(()),
        (here, there) => failed(format!("another account was found: {there:?} in the place of {here:?}")),
    }
}

pub(crate) fn deactivation(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], &[])?;
    context.succeed(["account", "deactivate", "--server", &context.directory, "--force"])?;
    let deactivated = |exchange: &testbed::Exchange| {
        exchange.document.as_ref().is_some_and(|document| document["status"] == "deactivated")
    };
    if !context.gate.exchanges().iter().any(deactivated) {
        return failed("the server did not say `deactivated`");
    }
    // Renewal goes on, with a new account.
    context.issue(&[&name], &["--force"])?;
    Ok(())
}
