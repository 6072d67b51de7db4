//! What is wrong at the CA.

use livecert_acme::{ErrorClass, Problem, ProblemKind, TransportError};

pub(super) fn acme(error: &livecert_acme::Error) -> Option<String> {
    use livecert_acme::Error;
    Some(match error {
        Error::Transport { source: TransportError::Tls(_), .. } => {
            "if this is a server of your own, name its root certificate with --ca-bundle FILE; there is no way to go on without".to_owned()
        }
        Error::Transport { source: TransportError::TooLarge, .. } => NO_ACME.to_owned(),
        Error::Transport { .. } => "check the URL, the network and this machine's DNS, then try again; nothing was changed".to_owned(),
        Error::NotADirectory { .. } => "give the URL of the directory, such as https://acme-v02.api.letsencrypt.org/directory".to_owned(),
        Error::RetryLater { problem, .. } => match problem.as_ref().and_then(|problem| problem.is_paused()) {
            Some(url) => format!("the CA has paused this account for these names: open {url}, then use --force"),
            None => "wait until then; trying sooner makes it later. The next runs wait by themselves".to_owned(),
        },
        Error::Unsettled { .. } => {
            "the CA is slow: run it again. What is proved stays proved; a longer --validation-timeout waits longer for a validation".to_owned()
        }
        Error::NotOffered(_) => "`livecert server show` tells what a server offers".to_owned(),
        Error::Problem(problem) => match problem.kind() {
            ProblemKind::RateLimited => "wait until the moment that the CA names".to_owned(),
            ProblemKind::UserActionRequired => changed_terms(problem),
            ProblemKind::RejectedIdentifier => "this CA does not give certificates for that name".to_owned(),
            ProblemKind::Caa => "a CAA record of the domain does not allow this CA: add it there".to_owned(),
            ProblemKind::InvalidContact | ProblemKind::UnsupportedContact => "give another --contact, or none".to_owned(),
            ProblemKind::ServerInternal => out_of_order(),
            _ if error.class() == ErrorClass::AccountGone => {
                "the CA does not know this account any more: the next `livecert issue` or `livecert renew` makes a new one".to_owned()
            }
            _ if problem.detail.as_deref().is_some_and(|words| words.to_ascii_lowercase().contains("notafter")) => {
                "leave out --lifetime-days; `--lifetime-days 0` removes what is stored".to_owned()
            }
            _ => "the CA's words tell what it does not like; if they are of no help, run the same command again, and ask the CA \
                 with the requests that -vv shows"
                .to_owned(),
        },
        Error::Http { status, .. } if *status >= 500 => out_of_order(),
        _ => NO_ACME.to_owned(),
    })
}

/// What answers is not what an ACME server would say.
const NO_ACME: &str = "this is not how ACME servers answer: check the URL of the directory, and what is in between (a proxy, a \
                       portal of the network); -vv shows every request";

fn changed_terms(problem: &Problem) -> String {
    let urls = [problem.terms_of_service.as_deref(), problem.instance.as_deref()];
    let urls: Vec<&str> = urls.into_iter().flatten().collect();
    let urls = if urls.is_empty() { "them at the CA's site".to_owned() } else { urls.join(" and ") };
    format!(
        "the CA's terms have changed: read {urls}, then run `livecert account update --accept-tos`, or give --accept-tos to \
         `livecert issue`"
    )
}

fn out_of_order() -> String {
    "the CA is out of order: run the same command again later, it goes on where it stopped; --server, repeated, names \
     servers to fall back to"
        .to_owned()
}
