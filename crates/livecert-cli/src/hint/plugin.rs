//! The errors of plugins.

use gandi_livedns::{CredentialFacts, CredentialKind, CredentialShape, NetworkKind};
use livecert::plugin::{ALL, AcmeDnsError, PluginError, PluginInfo, UpdateError, WebError};
use livecert::process::ProcessFailure;

/// The names of the plugins that `are` so.
pub(super) fn names(are: impl Fn(&PluginInfo) -> bool) -> String {
    let names: Vec<_> = ALL.iter().filter(|plugin| are(plugin)).map(|plugin| plugin.name).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// What to do next, where there is something to do.
pub(super) fn hint(error: &PluginError) -> Option<String> {
    match error {
        PluginError::Gandi { source, .. } => gandi(source),
        PluginError::Update { source, .. } => update(source),
        PluginError::AcmeDns(error) => Some(acme_dns(error)?.to_owned()),
        PluginError::Exec(error) => Some(match &error.failure {
            ProcessFailure::CannotStart(_) => {
                "see that the file can be executed, and that what its first line names (#!) is there".to_owned()
            }
            ProcessFailure::TooLong(_) => {
                "run it by hand with these words; if it only needs longer, give a longer ExecTimeout".to_owned()
            }
            _ => "run it by hand with these words, as the user that livecert runs as; `livecert plugin show exec` tells \
                  what it has to do"
                .to_owned(),
        }),
        PluginError::Web(WebError::NotThere { .. }) => Some(
            "put it there in time (ManualHttpWait says how long it may take), or take it in steps: `livecert order new`, and \
             `livecert order solve CERT` when it is there. For a host that cannot be seen from here, `livecert challenge \
             respond CERT` asks the CA to look"
                .to_owned(),
        ),
        PluginError::NotConfirmed => Some(
            "`livecert order new` shows what is to be done and ends, and `livecert order solve CERT` goes on when it is done"
                .to_owned(),
        ),
        _ => None,
    }
}

fn acme_dns(error: &AcmeDnsError) -> Option<&'static str> {
    Some(match error {
        AcmeDnsError::NoCname { .. } => {
            "set these records at your DNS service, once, and run the same command again; renewals need nobody then"
        }
        AcmeDnsError::NotRegistered { .. } => {
            "`livecert issue` with the same words registers them, and tells which CNAMEs to set; no order is made before they \
             are there"
        }
        AcmeDnsError::Unknown { .. } => {
            "give the registration that the CNAME is for (ACMERegistration=file:PATH), or remove the CNAME, and livecert \
             registers the name anew"
        }
        AcmeDnsError::TooMany { .. } => "let each name's CNAME lead to a registration of its own",
        AcmeDnsError::Answer { status: 401, .. } => {
            "the server does not know the registration, or not from this address (ACMEAllowFrom): remove the name's entry in \
             plugins/acme-dns.json for a new one"
        }
        AcmeDnsError::Answer { .. } => "see that ACMEServer is the address of its API",
        AcmeDnsError::Unreachable { .. } => {
            "see that ACMEServer is right and the server runs; a private CA's root is trusted with --ca-bundle"
        }
        _ => return None,
    })
}

fn update(error: &UpdateError) -> Option<String> {
    Some(match error {
        UpdateError::NoAddress { .. } => {
            "check the spelling of RFC2136Nameserver; an address does without this machine's DNS".to_owned()
        }
        UpdateError::Unreachable { .. } | UpdateError::Timeout { .. } => {
            "see that RFC2136Nameserver is the zone's primary server, that it runs, and that no firewall stops TCP to its \
             port"
                .to_owned()
        }
        UpdateError::BadKey { key, .. } => format!(
            "see that the server has a key '{key}' with the algorithm in RFC2136TSIGAlgorithm, and that the zone lets it \
             update TXT records (`livecert plugin show rfc2136` shows how)"
        ),
        UpdateError::BadSignature { .. } => {
            "compare the secret, and the algorithm, with what the server has for this key".to_owned()
        }
        UpdateError::NotAuthentic { .. } => {
            "see that RFC2136Nameserver is your server, that it has this key, and that nothing stands between".to_owned()
        }
        UpdateError::BadTime { .. } => "set the clocks of both machines (NTP)".to_owned(),
        UpdateError::NoZone { .. } => {
            "see that RFC2136Nameserver has the zone, and lets this machine ask; or name the zone with RFC2136Zone".to_owned()
        }
        UpdateError::OtherZones { .. } => "add the zone to RFC2136Zone, or leave that out".to_owned(),
        UpdateError::Alias { .. } => {
            "is another --resolver's view of that CNAME out of date? Else remove it from the zone".to_owned()
        }
        UpdateError::Refused { .. } => {
            "let the key update TXT records in the zone (`livecert plugin show rfc2136` shows how); the server's log tells why \
             it said no"
                .to_owned()
        }
        _ => return None,
    })
}

fn gandi(error: &gandi_livedns::Error) -> Option<String> {
    use gandi_livedns::Error;
    Some(match error {
        Error::Unauthorized { facts, .. } => format!(
            "{}{}{}",
            mixed_up(*facts),
            "the credential is mistyped, deleted or expired: make a new one at account.gandi.net (docs/gandi.md shows how)",
            other_host(*facts),
        ),
        Error::Forbidden { facts, denied, .. } => {
            let zone = if denied.is_empty() {
                String::new()
            } else {
                " (or is limited to other domains)".to_owned()
            };
            let sharing =
                if facts.sharing_id_set { "; or GandiSharingId is not needed: leave it out" } else { "" };
            format!(
                "{}the token is mistyped or expired, or lacks 'Manage domain name technical configurations'{zone}{sharing}{}",
                mixed_up(*facts),
                other_host(*facts),
            )
        }
        Error::NoZone { name, facts, .. } => {
            let sharing = if facts.sharing_id_set {
                "the organisation in GandiSharingId is another one"
            } else {
                "it belongs to another organisation (try GandiSharingId)"
            };
            format!(
                "one of these is so: the domain of {name} is not at Gandi, or does not use LiveDNS; the token is limited to other domains; {sharing}{}",
                other_host(*facts)
            )
        }
        Error::ZoneNotVisible { facts, .. } => {
            format!("the zone has gone, or the token may not see it any more{}", other_host(*facts))
        }
        Error::RateLimited { .. } => {
            "wait a minute: Gandi allows 1000 requests a minute from one address".to_owned()
        }
        Error::Network { kind: NetworkKind::Tls, .. } => {
            "if this is a server of your own, name its root certificate with --ca-bundle FILE. If the certificate has expired: \
             see that this machine's clock is right, and that GandiApiBaseUrl, where it is given, names a host that is \
             still in service"
                .to_owned()
        }
        Error::Malformed { .. }
        | Error::Unexpected { .. }
        | Error::Network { kind: NetworkKind::Oversized, .. } => {
            "what answered is not LiveDNS as it is known: see that no proxy stands between, and leave out GandiApiBaseUrl"
                .to_owned()
        }
        Error::Network { .. } => "check the network, then try again; see status.gandi.net".to_owned(),
        Error::Server { .. } => "Gandi has a fault: try again later; see status.gandi.net".to_owned(),
        Error::Conflict { cname: Some(target), .. } => format!(
            "a CNAME to {target} is at that name, where no TXT record can be; is another --resolver's view of it out of date?"
        ),
        Error::OtherCase { stored, .. } => {
            format!(
                "write the name of the record {stored} in lower case at Gandi (letter case has no meaning in DNS)"
            )
        }
        Error::LegacyHost => "leave out GandiApiBaseUrl: the default is the current host".to_owned(),
        _ => return None,
    })
}

/// What may be wrong too where another host than Gandi's current one is asked.
fn other_host(facts: CredentialFacts) -> &'static str {
    if facts.base_url_set {
        "; or GandiApiBaseUrl names a host that does not serve LiveDNS (any more): leave it out"
    } else {
        ""
    }
}

/// A credential that looks like the other kind: said first, because it is the likeliest cause.
fn mixed_up(facts: CredentialFacts) -> &'static str {
    match (facts.kind, facts.shape) {
        (CredentialKind::PersonalAccessToken, CredentialShape::LooksLikeApiKey) => {
            "this looks like an API key given as GandiPAT: give it as GandiToken. Else "
        }
        (CredentialKind::ApiKey, CredentialShape::LooksLikePersonalAccessToken) => {
            "this looks like a personal access token given as GandiToken: give it as GandiPAT. Else "
        }
        _ => "",
    }
}
