//! The plugin `gandi`: TXT records through Gandi's LiveDNS API. How records are changed without harm to others is in
//! the crate `gandi-livedns`; here are its parameters and the way from records to rrsets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gandi_livedns::{
    Client, Credential, Error, NEEDED_SCOPE, Options, RemoveOutcome, SharingId, TokenInfo, Ttl, Zone,
};
use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::group::{Group, at_once, group, side_by_side};
use super::together::{Kind, Together};
use super::{
    ArgumentError, Arguments, Connected, CredentialEnd, CredentialLife, CredentialReport, CredentialState,
    EnvironmentCredential, Need, Parameter, ParameterKind, Pending, Plugin, PluginError, PluginInfo,
    ProofKind, RenewedCredential, Surroundings, Survey, TxtRecord, Withdrawn,
};
use crate::store::Lock;

const PAT: &str = "GandiPAT";
const TOKEN: &str = "GandiToken";
const TOKEN_INSECURE: &str = "GandiTokenInsecure";
const BASE_URL: &str = "GandiApiBaseUrl";
const SHARING_ID: &str = "GandiSharingId";
const TTL: &str = "GandiTTL";
const RETRY: &str = "GandiRetryTime";
const EXPIRES: &str = "GandiExpires";
const REQUESTS: &str = "GandiRequestsPerMinute";

/// Longer than this a renewal should fail, and be tried again by the next run.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// Names that are changed at a time where one connection takes many requests. Without that, as many connections as
/// [`side_by_side`] opens.
const AT_ONCE: usize = 32;

/// What the names of LiveDNS's servers end in.
const OWN_SERVERS: &str = ".gandi.net";

/// How long other processes may take for their turns at one name.
const TURN: Duration = Duration::from_secs(120);

const GUIDE: &str = "\
A personal access token is all that Gandi has to give you. In a browser:

1. Sign in at account.gandi.net, open 'Authentication options', and in 'Developer access' follow the
   link to your personal access tokens; 'Create a token'.
2. Take the organisation that owns the domains: a token is for one organisation.
3. Name it after the machine that will have it, so that you know later which one to replace.
4. Let it live long enough: livecert warns 30 days before its end, and `livecert token renew` asks
   for the next one.
5. Limit it to the domains that get certificates here.
6. Tick 'Manage domain name technical configurations'. Gandi ticks 'See and renew domain names' with
   it. Nothing else is needed.
7. Create it, and copy it at once: Gandi shows it only this time.

Put it into a file that its user alone can read, and name that file:

    install -m 600 /dev/null /etc/livecert/gandi.pat
    editor /etc/livecert/gandi.pat
    livecert issue example.com '*.example.com' --plugin gandi \\
        --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat --accept-tos
    livecert token check

A legacy API key, for as long as Gandi takes it, is given with GandiToken instead. It never ends,
and it may do all that its owner may do.
";

pub(super) static INFO: PluginInfo = PluginInfo {
    name: "gandi",
    summary: "writes the TXT records through Gandi's LiveDNS API",
    proofs: &[ProofKind::Txt],
    guide: GUIDE,
    parameters: &[
        Parameter::new(
            PAT,
            ParameterKind::Secret,
            "personal access token, with 'Manage domain name technical configurations'",
        )
        .needed(Need::Credential),
        Parameter::new(TOKEN, ParameterKind::Secret, "legacy API key").needed(Need::Credential),
        Parameter::new(
            TOKEN_INSECURE,
            ParameterKind::Insecure { instead: TOKEN },
            "legacy API key in clear (deprecated: every user of the machine can read arguments)",
        )
        .needed(Need::Credential),
        Parameter::new(
            TTL,
            ParameterKind::Number { of: "seconds", least: 300, most: 2_592_000 },
            "TTL of new records [default: 300]",
        ),
        Parameter::new(SHARING_ID, ParameterKind::Plain, "organisation (UUID), where the token sees several"),
        Parameter::new(
            RETRY,
            ParameterKind::Duration { longest: LONGEST_RETRY },
            "how long one change goes on when Gandi is busy or broken [default: 60s]",
        ),
        Parameter::new(
            EXPIRES,
            ParameterKind::Plain,
            "day on which the credential ends (YYYY-MM-DD), where Gandi cannot be asked",
        ),
        Parameter::new(
            REQUESTS,
            ParameterKind::Number { of: "requests", least: 60, most: 1_000_000 },
            "requests a minute at most, where hosts behind one address share Gandi's 1000 [default: 950]",
        ),
        Parameter::new(BASE_URL, ParameterKind::Plain, "base URL of the API, for the sandbox and for tests"),
    ],
    environment: &[
        EnvironmentCredential { variable: "GANDI_PAT", parameter: PAT },
        EnvironmentCredential { variable: "GANDI_TOKEN", parameter: TOKEN },
    ],
    sweeps: true,
    alone: false,
    shared: true,
    connect,
};

fn connect(arguments: &Arguments, surroundings: &Surroundings) -> Result<Connected, ArgumentError> {
    let credential = credential(arguments)?;
    let mut options = options(arguments)?;
    options.pace = Some(surroundings.locks.join("gandi.pace"));
    let client = Client::new(surroundings.http.clone(), credential, options)
        .map_err(|error| ArgumentError::Invalid { parameter: BASE_URL, reason: error.to_string() })?;
    let expires = expires(arguments)?;
    let is_token = arguments.secret(PAT).is_some();
    Ok(Connected::Dns(Arc::new(Gandi {
        client,
        locks: surroundings.locks.clone(),
        is_token,
        expires,
        life: OnceCell::new(),
        changes: Together::default(),
    })))
}

/// The end of the day that was given, in UTC.
fn expires(arguments: &Arguments) -> Result<Option<Timestamp>, ArgumentError> {
    let Some(text) = arguments.plain(EXPIRES) else { return Ok(None) };
    let end = text.parse::<jiff::civil::Date>().and_then(|day| day.tomorrow());
    let end = end.and_then(|day| jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)));
    let reason = format!("'{text}' is not a day such as 2027-01-31");
    end.map(Some).map_err(|_| ArgumentError::Invalid { parameter: EXPIRES, reason })
}

fn credential(arguments: &Arguments) -> Result<Credential, ArgumentError> {
    let made = if let Some(token) = arguments.secret(PAT) {
        (PAT, Credential::new_personal_access_token(token))
    } else if let Some(key) = arguments.secret(TOKEN) {
        (TOKEN, Credential::new_api_key(key))
    } else if let Some(key) = arguments.secret(TOKEN_INSECURE) {
        (TOKEN_INSECURE, Credential::new_api_key(key))
    } else {
        let variables = Vec::new();
        return Err(ArgumentError::NoCredential { plugin: INFO.name, parameter: PAT, variables });
    };
    let (parameter, credential) = made;
    credential.map_err(|error| ArgumentError::Invalid { parameter, reason: error.to_string() })
}

fn options(arguments: &Arguments) -> Result<Options, ArgumentError> {
    let invalid = |parameter, reason: String| ArgumentError::Invalid { parameter, reason };
    let mut options = Options::default();
    if let Some(url) = arguments.plain(BASE_URL) {
        options.base_url =
            url.parse().map_err(|error: url::ParseError| invalid(BASE_URL, error.to_string()))?;
    }
    if let Some(id) = arguments.plain(SHARING_ID) {
        let id: SharingId =
            id.parse().map_err(|error: gandi_livedns::Error| invalid(SHARING_ID, error.to_string()))?;
        options.sharing_id = Some(id);
    }
    if let Some(time) = arguments.duration(RETRY) {
        options.retry_budget = time;
    }
    if let Some(requests) = arguments.number(REQUESTS) {
        options.requests_per_minute = u32::try_from(requests).unwrap_or(u32::MAX);
    }
    if let Some(seconds) = arguments.number(TTL) {
        let ttl = u32::try_from(seconds).ok().and_then(|seconds| Ttl::from_seconds(seconds).ok());
        options.ttl = ttl.ok_or_else(|| invalid(TTL, format!("LiveDNS takes no TTL of {seconds} s")))?;
    }
    Ok(options)
}

struct Gandi {
    client: Client,
    locks: PathBuf,
    /// The credential is a personal access token, and no API key.
    is_token: bool,
    /// When the credential ends, as its owner says.
    expires: Option<Timestamp>,
    /// When the token ends, as Gandi has said.
    life: OnceCell<CredentialLife>,
    /// What a removal did; nothing for an addition.
    changes: Together<Option<RemoveOutcome>>,
}

fn error(group: &Group<'_>, source: gandi_livedns::Error) -> PluginError {
    PluginError::Gandi { fqdn: group.fqdn.to_owned(), source }
}

impl Gandi {
    async fn zone(&self, group: &Group<'_>) -> Result<Zone, PluginError> {
        self.client.find_zone(group.fqdn, group.apex).await.map_err(|source| error(group, source))
    }

    /// Awaits all of them, as many at a time as one connection takes.
    async fn together<T>(&self, work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
        match self.client.is_multiplexed() {
            true => at_once(AT_ONCE, work).await,
            false => side_by_side(work).await,
        }
    }

    /// The turn at one name among the processes of this machine: LiveDNS has no compare-and-swap, so two of them that
    /// read and write at the same time would drop each other's values.
    async fn turn(&self, group: &Group<'_>) -> Result<Lock, PluginError> {
        group.turn(&self.locks, group.fqdn, TURN).await
    }

    async fn add(&self, group: &Group<'_>) -> Result<(), PluginError> {
        let zone = self.zone(group).await?;
        let add = async |values: &[String]| {
            let _turn = self.turn(group).await?;
            let added = self.client.add_txt(&zone, group.fqdn, values).await;
            let added = added.map_err(|source| error(group, source))?;
            let values = values.len();
            tracing::info!(name = group.fqdn, zone = zone.fqdn(), values, ?added, "published");
            Ok(None)
        };
        self.changes.change(group.fqdn, Kind::Add, group.values(), add).await.map(drop)
    }

    async fn remove(&self, group: &Group<'_>) -> Result<Option<RemoveOutcome>, PluginError> {
        let zone = self.zone(group).await?;
        let remove = async |values: &[String]| {
            let _turn = self.turn(group).await?;
            let removed = self.client.remove_txt(&zone, group.fqdn, values).await;
            let removed = removed.map_err(|source| error(group, source))?;
            let values = values.len();
            tracing::info!(name = group.fqdn, zone = zone.fqdn(), values, ?removed, "withdrawn");
            Ok(Some(removed.outcome))
        };
        self.changes.change(group.fqdn, Kind::Remove, group.values(), remove).await
    }
}

impl Gandi {
    async fn survey_group(&self, group: &Group<'_>) -> Result<Survey, PluginError> {
        let failed = |source| error(group, source);
        let zone = self.zone(group).await?;
        let name = zone.relative(group.fqdn).map_err(failed)?;
        let kind = gandi_livedns::RecordType::TXT;
        let (rrset, servers) =
            tokio::join!(self.client.rrset(&zone, &name, &kind), self.client.name_servers(&zone));
        let there = rrset.map_err(failed)?.map(|rrset| (rrset.rrset_ttl, rrset.rrset_values));
        // Nice to have: not every account may see it.
        let name_servers = servers.unwrap_or_default();
        Ok(Survey { fqdn: group.fqdn.to_owned(), zone: zone.fqdn().to_owned(), name_servers, there })
    }

    fn kind(&self) -> &'static str {
        if self.is_token { "personal access token" } else { "API key" }
    }

    /// What the token says, and whether the credential works: the token service first, and if that says nothing good,
    /// LiveDNS itself.
    async fn ask(&self) -> (TokenInfo, CredentialState) {
        if self.is_token {
            match self.client.token_info().await {
                Ok(info) => return (info, CredentialState::Valid),
                Err(error) => tracing::info!(%error, "the token service does not tell"),
            }
        }
        let state = match self.client.check_access().await {
            Ok(()) => CredentialState::Valid,
            Err(error @ (Error::Unauthorized { .. } | Error::Forbidden { .. })) => {
                CredentialState::Refused(PluginError::Credential(error))
            }
            Err(error) => CredentialState::Unknown(PluginError::Credential(error)),
        };
        (TokenInfo::default(), state)
    }
}

impl Plugin for Gandi {
    fn survey<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<Vec<Survey>, PluginError>> {
        Box::pin(async move {
            let groups = group(records);
            side_by_side(groups.iter().map(|group| self.survey_group(group))).await.into_iter().collect()
        })
    }

    fn credential<'a>(&'a self, names: &'a [String]) -> Pending<'a, Option<CredentialReport>> {
        Box::pin(async move {
            let (info, state) = self.ask().await;
            let find = |name: &'a String| async move {
                let found = self.client.find_zone(name, None).await;
                found.err().map(|source| (name.clone(), PluginError::Gandi { fqdn: name.clone(), source }))
            };
            let uncovered = if matches!(state, CredentialState::Valid) {
                side_by_side(names.iter().map(find)).await.into_iter().flatten().collect()
            } else {
                Vec::new()
            };
            let lacks = !info.scopes.is_empty() && !info.scopes.iter().any(|scope| scope == NEEDED_SCOPE);
            Some(CredentialReport {
                kind: self.kind(),
                state,
                name: info.name,
                expires: info.expires.or(self.expires),
                permissions: info.scopes,
                lacks: if lacks { vec![NEEDED_SCOPE] } else { Vec::new() },
                domains: info.entities,
                uncovered,
            })
        })
    }

    fn credential_end(&self) -> Pending<'_, CredentialLife> {
        Box::pin(async move {
            let kind = self.kind();
            if let Some(at) = self.expires {
                return CredentialLife::Ends(CredentialEnd { kind, name: None, at });
            }
            if !self.is_token {
                return CredentialLife::Endless;
            }
            // All certificates with this token want to know, and one answer is for all of them.
            let asked = self.life.get_or_try_init(|| async {
                Ok::<_, gandi_livedns::Error>(match self.client.token_info().await? {
                    TokenInfo { expires: Some(at), name, .. } => {
                        CredentialLife::Ends(CredentialEnd { kind, name, at })
                    }
                    _ => CredentialLife::Endless,
                })
            });
            asked.await.cloned().unwrap_or_else(|error| {
                tracing::info!(%error, "the token service does not tell when the token ends");
                CredentialLife::Unknown
            })
        })
    }

    fn renew_credential(&self) -> Pending<'_, Result<RenewedCredential, PluginError>> {
        Box::pin(async move {
            if !self.is_token {
                return Err(PluginError::NotRenewable);
            }
            let new = self.client.renew_token().await.map_err(PluginError::Credential)?;
            Ok(RenewedCredential { parameter: PAT, secret: new.secret, expires: new.expires })
        })
    }

    fn prepare<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let groups = group(records);
            // The first one opens the connection, which the others may share.
            let Some((first, others)) = groups.split_first() else { return Ok(()) };
            self.zone(first).await?;
            let zones = others.iter().map(|group| self.zone(group));
            self.together(zones).await.into_iter().try_for_each(|zone| zone.map(drop))
        })
    }

    fn strangers<'a>(
        &'a self,
        record: &'a TxtRecord,
        seen: &'a [String],
    ) -> Pending<'a, Option<Vec<String>>> {
        Box::pin(async move {
            // Nearly always they are Gandi's, and nothing has to be asked.
            if seen.iter().any(|name| name.ends_with(OWN_SERVERS)) {
                return None;
            }
            let zone = self.client.find_zone(&record.fqdn, record.apex.as_deref()).await.ok()?;
            // Where LiveDNS has another zone, the name is delegated away from it.
            let same = record.apex.as_deref().is_none_or(|apex| apex == zone.fqdn());
            if !same {
                return None;
            }
            self.client.name_servers(&zone).await.ok()
        })
    }

    fn publish<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        Box::pin(async move {
            let groups = group(records);
            // Every write is seen through to its end, also when another one failed: a request that is cut off
            // halfway may still take effect, after the clean-up has looked.
            self.together(groups.iter().map(|group| self.add(group))).await.into_iter().collect()
        })
    }

    fn keep<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        // An addition of values that are there already writes nothing.
        self.publish(records)
    }

    fn withdraw<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Withdrawn> {
        Box::pin(async move {
            let groups = group(records);
            let removed = self.together(groups.iter().map(|group| self.remove(group))).await;
            let mut withdrawn = Withdrawn::default();
            for (group, removed) in groups.iter().zip(removed) {
                match removed {
                    Ok(Some(RemoveOutcome::Kept(_))) => {
                        withdrawn.shared.extend(group.records.iter().map(|&record| record.clone()));
                    }
                    Ok(_) => {}
                    Err(error) => withdrawn.leftovers.extend(group.leftovers(error)),
                }
            }
            withdrawn
        })
    }
}
