//! What is wrong with the proof of a name.

use livecert::challenge::ChallengeError;
use livecert::dns::AuthorityError;

use super::plugin;

pub(super) fn challenge(error: &ChallengeError) -> Option<String> {
    Some(match error {
        ChallengeError::Resolver(_) => "name a resolver with --resolver ADDR".to_owned(),
        ChallengeError::Authority { source: AuthorityError::NoZone { .. }, .. } => {
            "check the spelling, and that the domain is registered and its name servers are set".to_owned()
        }
        ChallengeError::Authority { source: AuthorityError::Loop { .. }, .. } => "mend the CNAME records".to_owned(),
        ChallengeError::Authority { source, .. } if source.is_silence() => {
            "see that this machine has a network. Where it lets no DNS out, name a resolver that is asked over HTTPS: \
             --resolver https://…"
                .to_owned()
        }
        ChallengeError::Authority { .. } => {
            "look with `dig +trace`; if this machine's resolver is not to be trusted, name another with --resolver ADDR".to_owned()
        }
        ChallengeError::Propagation(_) => {
            "if the DNS service is only slow, give a longer --propagation-timeout; if a server never shows the record, the zone \
             is not delegated to that service, or somebody else removes the value"
                .to_owned()
        }
        ChallengeError::NoWriter { zone, .. } => format!(
            "give what is for it: --plugin-arg LABEL:KEY=SOURCE with --zone {zone}=LABEL; what was given for other zones is not \
             tried there"
        ),
        ChallengeError::TwoWriters { .. } => {
            "give both names the same plugin, or the zone one credential: --zone ZONE=LABEL".to_owned()
        }
        ChallengeError::Alias { name, alias, .. } => format!(
            "make it: {name}. CNAME {alias}. If it is there for the world, and this machine sees another DNS, name a public \
             resolver with --resolver"
        ),
        ChallengeError::Plugin(error) | ChallengeError::Prepare { source: error, .. } => {
            return plugin::hint(error);
        }
        _ => return None,
    })
}
