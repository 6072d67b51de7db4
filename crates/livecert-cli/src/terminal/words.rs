//! What happens, in words.

use livecert::certificate::RenewalResult;
use livecert::progress::Event;
use livecert::store::CertName;

use crate::command::view::moment;
use crate::failure::one_line;

/// What somebody has to know, also where the progress is only drawn.
pub(super) fn notice(cert: &CertName, event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Deprecated { parameter, instead } => format!(
            "warning: {parameter} is deprecated and will be removed: every user of this machine can read \
                 arguments. Use --plugin-arg {instead}=file:PATH (or env:, cmd:, prompt) instead.\n"
        ),
        Event::LeftBehind { fqdn, value, reason } => format!(
            "warning: a TXT value of ours could not be removed and may still be there:\n  \
                 {fqdn}. TXT \"{value}\"\n  {reason}\n  It does no harm. The next run removes it, and so does `livecert dns sweep`.\n"
        ),
        Event::CredentialEnds { kind, name, expires, days } => {
            let name = name.map(|name| format!(" '{name}'")).unwrap_or_default();
            let when = match days {
                ..0 => "has ended".to_owned(),
                0 => format!("ENDS TODAY ({expires:.0})"),
                1 => format!("ENDS TOMORROW ({expires:.0})"),
                days => format!("ends in {days} days ({expires:.0})"),
            };
            format!(
                "warning: {cert}: the {kind}{name} {when}. Renewals fail after that. Run `livecert token renew`, or \
                     make a new one at account.gandi.net and write it to the same place.\n"
            )
        }
        Event::CredentialSays { kind, name, permissions, domains } => {
            let name = name.map(|name| format!(" '{name}'")).unwrap_or_default();
            let domains = if domains.is_empty() { "unknown or all".to_owned() } else { domains.join(", ") };
            format!(
                "note: {cert}: the {kind}{name} says of itself: permissions {}; domains {domains}\n",
                permissions.join(", ")
            )
        }
        Event::Doubt { finding } => {
            format!("warning: {cert}: {}: {}\n  next: {}\n", finding.about, finding.what, finding.next)
        }
        Event::Fallback { from, to, reason } => format!(
            "warning: {cert}: {from} cannot give it now: {reason}\n  It is asked for at {to}; the next renewal goes back.\n"
        ),
        Event::AccountReplaced { old, new, todo } => {
            let todo: String = todo.iter().map(|record| format!("  {record}\n")).collect();
            let todo = if todo.is_empty() {
                String::new()
            } else {
                format!(
                    "  These records name the old account, and have to name the new one (`livecert persist publish` writes \
                         standing records, `livecert dns remove` removes old ones):\n{todo}"
                )
            };
            format!(
                "warning: {cert}: the server does not take the account {old} any more; the new one is {new}\n{todo}"
            )
        }
        Event::NoPreferredChain { preferred, offered, used } => format!(
            "warning: {cert}: no chain is from '{preferred}' (they end with: {offered}); the CA's own choice is used, from '{used}'\n"
        ),
        Event::Unreachable { obstacle } => format!(
            "warning: {cert}: {} cannot enter {}, and so not read the files\n  next: chmod {} '{}'\n",
            obstacle.who,
            obstacle.folder.display(),
            obstacle.missing,
            obstacle.folder.display()
        ),
        Event::OrderReplaced { url } => {
            format!("warning: {cert}: the open order {url} is given up; another one takes its place\n")
        }
        Event::OrderUnseen { reason } => format!(
            "warning: {cert}: the step is done, but how the order stands now could not be read: {reason}\n"
        ),
        Event::StillShown { host, reason } => format!(
            "warning: {cert}: what was shown at {host} could not be taken away: {reason}\n  It does no harm.\n"
        ),
        Event::StandingEnds { at, until, days } => format!(
            "warning: {cert}: the standing record at {at} {} ({until:.0}). Renewals fail after that. \
                 Write it anew with `livecert persist publish`.\n",
            if *days < 0 { "has ended".to_owned() } else { format!("ends in {days} days") }
        ),
        Event::Returned { from, to } => format!(
            "warning: {cert}: generation {from} is not in use, so generation {to} is made current again\n"
        ),
        Event::NotReturned { to, reason } => {
            format!("warning: {cert}: generation {to} could not be brought back into use: {reason}\n")
        }
        Event::PostHookFailed { reason } => format!(
            "warning: {cert}: {reason}\n  What the pre hook has stopped may not run. The next run tries it again.\n"
        ),
        Event::RenewalWindow { at, explanation: Some(url) } => format!(
            "note: {cert}: the CA wants it to be renewed, at {at:.0} by our lot; it explains why at {url}\n"
        ),
        _ => return None,
    })
}

/// What happened, in a few words; `None` for what is not told.
pub(super) fn step(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::WaitingForLock { holder } => format!("waiting: {holder} works on it"),
        Event::AccountCreated { url } => format!("made an account: {url}"),
        Event::Resumed { status } => format!("going on with the order of an earlier run ({status})"),
        Event::Chosen { name, challenge } => format!("{name} is proved with {challenge}"),
        Event::Ordered { names, open: 0 } => {
            format!("ordered ({}), already proved", count(*names, "name"))
        }
        Event::Ordered { names, open } => {
            format!("ordered ({}, {} to prove)", count(*names, "name"), open)
        }
        Event::Published { values, took } => {
            format!("{} shown in {:.2} s", count(*values, "proof"), took.as_secs_f64())
        }
        Event::Propagating { ready, all, .. } if ready < all => {
            format!("{ready} of {all} name server addresses show the records")
        }
        Event::Propagated { took } => {
            format!("visible at every name server after {:.2} s", took.as_secs_f64())
        }
        Event::Validated { took } => format!("validated by the CA in {:.2} s", took.as_secs_f64()),
        Event::Stored { generation } => {
            format!("the new certificate is in place (generation {generation})")
        }
        Event::HookBegins { kind, command } => format!("running the {kind} hook: {command}"),
        Event::Verifying { at } => format!("looking whether {at} serves it"),
        Event::Deployed { generation, served: false } => format!("generation {generation} is deployed"),
        Event::Deployed { generation, .. } => format!("generation {generation} is deployed, and served"),
        Event::Rewritten { generation } => {
            format!("its files are written anew (generation {generation})")
        }
        Event::CleaningUp => "removing what was shown".to_owned(),
        Event::Ended { result: RenewalResult::Renewed(issued) } => {
            format!("renewed, valid until {}", moment(issued.generation.info.not_after))
        }
        Event::Ended { result: RenewalResult::Failed(error) } => format!("FAILED: {}", one_line(error)),
        Event::Settled { error: None } => "done".to_owned(),
        Event::Settled { error: Some(error) } => format!("FAILED: {}", one_line(error)),
        _ => return None,
    })
}

/// A number of things, as people say it.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
