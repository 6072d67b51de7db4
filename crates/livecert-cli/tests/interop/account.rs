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
    let asked = context.gate.exchanges().into_iter().skip(before).any(|exchange| exchange.payload.is_some());
    match context.refusal() {
        // A server that has no such thing says so with an error of its own, or a plain 404, 405 or 501.
        Some(words) if asked && outcome.status == Some(1) && declines(&words) => return not_offered(words),
        _ => context.succeed(["account", "show", "--server", &context.directory])?,
    };
    if outcome.status != Some(0) {
        return failed(format!("exit status {:?}: {}", outcome.status, outcome.stderr.trim()));
    }
    // The account is the same, and its new key is good.
    context.issue(&[&name], &["--force"])?;
    let accounts =
        context.sent("").into_iter().filter(|payload| payload["termsOfServiceAgreed"].is_boolean());
    if accounts.count() == 1 { Ok(()) } else { failed("a new account was made") }
}

fn declines(words: &str) -> bool {
    ["404", "405", "501", "notImplemented", "not implemented", "not supported"]
        .iter()
        .any(|sign| words.contains(sign))
}

pub(crate) fn deactivation(context: &Context<'_>) -> Verdict {
    let name = format!("www.{}", context.zone);
    context.issue(&[&name], &[])?;
    context.succeed(["account", "deactivate", "--server", &context.directory])?;
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
