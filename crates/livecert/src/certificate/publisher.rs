//! What publishes the proofs of a certificate: plugins, each with its arguments, some of them several times.

use std::collections::{BTreeMap, BTreeSet};

use super::{PerName, PerNameError};
use crate::dns::NamePattern;
use crate::plugin::{self, ArgumentError, ArgumentSource, ArgumentSources, PluginInfo, PublisherName};
use crate::secret::Source;

/// A plugin with its arguments, as it is used for a certificate.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    pub(super) name: PublisherName,
    pub(super) arguments: ArgumentSources,
    /// The zones that it is for; empty for all that no other one of the plugin is for.
    pub(super) zones: Vec<NamePattern>,
}

/// The arguments and zones that are given for what publishes proofs.
#[derive(Debug, Clone, Default)]
pub struct PublisherRequest {
    /// Arguments, by what they are for.
    pub arguments: BTreeMap<PublisherName, ArgumentSources>,
    /// Zones, and what writes in them; `None` takes away what is stored.
    pub zones: Vec<(NamePattern, Option<PublisherName>)>,
}

impl PublisherRequest {
    /// A plugin with these arguments alone.
    pub fn one(plugin: &'static PluginInfo, arguments: ArgumentSources) -> Self {
        let arguments = match arguments.is_empty() {
            true => BTreeMap::new(),
            false => BTreeMap::from([(plugin.into(), arguments)]),
        };
        PublisherRequest { arguments, zones: Vec::new() }
    }

    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        self.arguments.is_empty() && self.zones.is_empty()
    }

    /// The sources of all secrets in it.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.arguments.values().flat_map(BTreeMap::values).filter_map(|argument| match argument {
            ArgumentSource::Secret(source) => Some(source),
            _ => None,
        })
    }

    /// Reads `[WHOSE:]KEY=SOURCE` arguments and `PATTERN=WHOSE` zones. WHOSE is a label, a plugin, or `PLUGIN@LABEL`; it can
    /// be left out where only one of `plugins`, the certificate's, has the parameter. `known` are the publishers that are
    /// there already.
    ///
    /// # Errors
    /// See [`ArgumentError`] and [`PerNameError`]; no message repeats a value.
    pub fn parse(
        plugins: &[PublisherName],
        known: &[PublisherName],
        arguments: &[String],
        zones: &[String],
    ) -> Result<Self, super::CertificateError> {
        let mut split = Vec::new();
        for argument in arguments {
            let (key, value) = argument.split_once('=').ok_or(ArgumentError::NoEquals)?;
            let (whose, key) = key.rsplit_once(':').map_or((None, key), |(whose, key)| (Some(whose), key));
            split.push((whose, key, value));
        }
        let mut splits = Vec::new();
        for zone in zones {
            let (pattern, whose) = zone.split_once('=').ok_or(PerNameError::NoEquals { option: "--zone" })?;
            let wrong = |source| PerNameError::Pattern { option: "--zone", source };
            splits.push((pattern.parse::<NamePattern>().map_err(wrong)?, whose));
        }
        let mut words = Words::new(plugins, known);
        for whose in
            split.iter().filter_map(|(whose, ..)| *whose).chain(splits.iter().map(|(_, whose)| *whose))
        {
            words.learn(whose)?;
        }
        for whose in split.iter().filter_map(|(whose, ..)| *whose) {
            let keys: Vec<_> =
                split.iter().filter(|(other, ..)| *other == Some(whose)).map(|(_, key, _)| *key).collect();
            words.place(whose, &keys)?;
        }
        let mut given = BTreeMap::<PublisherName, Vec<String>>::new();
        for (whose, key, value) in split {
            let name = match whose {
                Some(whose) => words.find(whose)?,
                None => words.owner(&[key])?.into(),
            };
            given.entry(name).or_default().push(format!("{key}={value}"));
        }
        let mut request = PublisherRequest::default();
        for (name, given) in given {
            let sources = plugin::parse_arguments(name.plugin, &given)?;
            request.arguments.insert(name, sources);
        }
        for (pattern, whose) in splits {
            let name = if whose.is_empty() { None } else { Some(words.find(whose)?) };
            let same = |other: &&(NamePattern, Option<PublisherName>)| other.0 == pattern;
            if request.zones.iter().find(same).is_some_and(|(_, other)| *other != name) {
                return Err(PerNameError::Twice { option: "--zone", pattern: pattern.to_string() }.into());
            }
            request.zones.push((pattern, name));
        }
        Ok(request)
    }
}

/// What the words on a command line can mean.
struct Words {
    plugins: Vec<&'static PluginInfo>,
    labels: BTreeMap<String, &'static PluginInfo>,
}

impl Words {
    fn new(plugins: &[PublisherName], known: &[PublisherName]) -> Self {
        let mut words = Words { plugins: Vec::new(), labels: BTreeMap::new() };
        for name in plugins.iter().chain(known) {
            words.add_plugin(name.plugin);
            if let Some(label) = &name.label {
                words.labels.entry(label.clone()).or_insert(name.plugin);
            }
        }
        words
    }

    fn add_plugin(&mut self, plugin: &'static PluginInfo) {
        if self.plugins.iter().all(|other| other.name != plugin.name) {
            self.plugins.push(plugin);
        }
    }

    /// Takes in what `PLUGIN@LABEL` or `PLUGIN` says by itself.
    fn learn(&mut self, whose: &str) -> Result<(), ArgumentError> {
        if whose.contains('@') || plugin::find(whose).is_ok() {
            let name: PublisherName = whose.parse()?;
            self.add_plugin(name.plugin);
            if let Some(label) = name.label {
                self.call(label, name.plugin)?;
            }
        }
        Ok(())
    }

    fn call(&mut self, label: String, plugin: &'static PluginInfo) -> Result<(), ArgumentError> {
        let one = self.labels.entry(label.clone()).or_insert(plugin).name;
        if one != plugin.name {
            return Err(ArgumentError::LabelTwice { label, one, other: plugin.name });
        }
        Ok(())
    }

    /// Finds out which plugin a label is for, by the parameters that are given with it.
    fn place(&mut self, whose: &str, keys: &[&str]) -> Result<(), ArgumentError> {
        if whose.contains('@') || self.labels.contains_key(whose) || plugin::find(whose).is_ok() {
            return Ok(());
        }
        let plugin = self.owner(keys)?;
        PublisherName::labelled(plugin, whose)?;
        self.call(whose.to_owned(), plugin)
    }

    /// The one plugin of the certificate that has all these parameters.
    fn owner(&self, keys: &[&str]) -> Result<&'static PluginInfo, ArgumentError> {
        let has = |plugin: &&&'static PluginInfo| keys.iter().all(|key| plugin.parameter(key).is_some());
        let have: Vec<&'static PluginInfo> = self.plugins.iter().filter(has).copied().collect();
        match (self.plugins.as_slice(), have.as_slice()) {
            ([], _) => Err(ArgumentError::WithoutPlugin),
            // What is wrong with the parameter can be told best by the only plugin that may have it.
            ([only], _) | (_, [only]) => Ok(*only),
            _ => {
                let unknown =
                    keys.iter().find(|key| self.plugins.iter().all(|plugin| plugin.parameter(key).is_none()));
                let name = unknown.or(keys.first()).map(|key| (*key).to_owned()).unwrap_or_default();
                let names =
                    |plugins: &[&'static PluginInfo]| plugins.iter().map(|plugin| plugin.name).collect();
                Err(ArgumentError::Whose { name, plugins: names(&self.plugins), have: names(&have) })
            }
        }
    }

    fn find(&self, whose: &str) -> Result<PublisherName, ArgumentError> {
        if whose.contains('@') || plugin::find(whose).is_ok() {
            return whose.parse();
        }
        let plugin = self.labels.get(whose);
        let plugin = plugin.ok_or_else(|| ArgumentError::UnknownLabel { label: whose.to_owned() })?;
        PublisherName::labelled(plugin, whose)
    }
}

/// The publishers that are asked for, those that are stored, and what is left of both: the new ones take the place of all
/// that is stored, or are set beside it.
pub(super) fn combined(request: &PublisherRequest, stored: &[Publisher], beside: bool) -> Vec<Publisher> {
    let mut all = if beside || request.is_empty() { stored.to_vec() } else { Vec::new() };
    for (name, sources) in &request.arguments {
        let publisher = entry(&mut all, name);
        publisher.arguments = match beside {
            true => plugin::changed_sources(name.plugin, std::mem::take(&mut publisher.arguments), sources),
            false => sources.clone(),
        };
    }
    for (pattern, name) in &request.zones {
        // One zone of a plugin has one that writes in it.
        let same_plugin =
            |other: &Publisher| name.as_ref().is_none_or(|name| other.name.plugin.name == name.plugin.name);
        all.iter_mut()
            .filter(|other| same_plugin(other))
            .for_each(|other| other.zones.retain(|zone| zone != pattern));
        if let Some(name) = name {
            entry(&mut all, name).zones.push(pattern.clone());
        }
    }
    all.iter_mut().for_each(|publisher| publisher.zones.sort());
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn entry<'a>(all: &'a mut Vec<Publisher>, name: &PublisherName) -> &'a mut Publisher {
    let at = match all.iter().position(|publisher| publisher.name == *name) {
        Some(at) => at,
        None => {
            let (arguments, zones) = (ArgumentSources::new(), Vec::new());
            all.push(Publisher { name: name.clone(), arguments, zones });
            all.len() - 1
        }
    };
    &mut all[at]
}

/// The publishers that can be needed by names which are proved by `chosen`. Where nothing else is said about a zone, a plugin
/// that was chosen without a label is used without one; not where all that is known of it are labels with zones, because
/// then whatever it took its credential from was given for nothing.
///
/// # Errors
/// One of them that is of no use, if that is what was asked for; a label of two plugins, or zones for one without.
pub(super) fn used(
    all: Vec<Publisher>,
    chosen: &BTreeSet<&PublisherName>,
    asked: &PublisherRequest,
) -> Result<Vec<Publisher>, ArgumentError> {
    let mut used: Vec<Publisher> = Vec::new();
    for publisher in all {
        let by_zone = PublisherName::from(publisher.name.plugin);
        let is_chosen = chosen.contains(&publisher.name);
        let in_zone = !publisher.zones.is_empty() && chosen.contains(&by_zone);
        let is_asked = asked.arguments.contains_key(&publisher.name)
            || asked.zones.iter().any(|(_, name)| name.as_ref() == Some(&publisher.name));
        if is_chosen || in_zone {
            used.push(publisher);
        } else if is_asked {
            return Err(ArgumentError::Unused { publisher: publisher.name.to_string() });
        }
    }
    for &name in chosen {
        let is_there = used.iter().any(|publisher| publisher.name == *name);
        let by_zone = |publisher: &Publisher| {
            publisher.name.plugin.name == name.plugin.name && !publisher.zones.is_empty()
        };
        if !is_there && (name.label.is_some() || !used.iter().any(by_zone)) {
            entry(&mut used, name);
        }
    }
    used.sort_by(|one, other| one.name.cmp(&other.name));
    for (number, publisher) in used.iter().enumerate() {
        let name = &publisher.name;
        let writes = name.plugin.proofs.contains(&plugin::ProofKind::Txt);
        if !publisher.zones.is_empty() && !writes {
            return Err(ArgumentError::NoZones { publisher: name.to_string() });
        }
        let twin = used[..number].iter().find(|other| name.label.is_some() && other.name.label == name.label);
        if let (Some(twin), Some(label)) = (twin, &name.label) {
            let (label, one, other) = (label.clone(), twin.name.plugin.name, name.plugin.name);
            return Err(ArgumentError::LabelTwice { label, one, other });
        }
    }
    Ok(used)
}

/// The publishers that what is said for names is about.
pub fn publishers_of(plugins: &PerName<Option<PublisherName>>) -> Vec<PublisherName> {
    plugins.values().into_iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::CertificateError;

    fn parse(
        plugins: &[&str],
        arguments: &[&str],
        zones: &[&str],
    ) -> Result<PublisherRequest, CertificateError> {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let plugins: Vec<_> = plugins.iter().map(|name| name.parse().unwrap()).collect();
        PublisherRequest::parse(&plugins, &[], &owned(arguments), &owned(zones))
    }

    fn names(request: &PublisherRequest) -> Vec<String> {
        request.arguments.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn arguments_find_what_they_are_for() {
        let request =
            parse(&["gandi"], &["GandiPAT=env:A", "shop:GandiPAT=env:B"], &["example.org=shop"]).unwrap();
        assert_eq!(names(&request), ["gandi", "gandi@shop"]);
        assert_eq!(request.zones[0].1.as_ref().unwrap().to_string(), "gandi@shop");
        let mixed = ["gandi", "webroot", "rfc2136"];
        let request =
            parse(&mixed, &["WRPath=/www", "a:GandiPAT=env:A", "gandi@b:GandiPAT=env:A"], &[]).unwrap();
        assert_eq!(names(&request), ["gandi@a", "gandi@b", "webroot"]);
        let request = parse(&["webroot", "webroot@b"], &["WRPath=/a", "b:WRPath=/b"], &[]).unwrap();
        assert_eq!(names(&request), ["webroot", "webroot@b"]);
    }

    #[test]
    fn words_that_mean_nothing_or_two_things_are_refused() {
        let error =
            |plugins: &[&str], arguments: &[&str], zones: &[&str]| match parse(plugins, arguments, zones)
                .unwrap_err()
            {
                CertificateError::Argument(error) => error.to_string(),
                error => error.to_string(),
            };
        assert!(error(&[], &["GandiPAT=env:A"], &[]).contains("no plugin"));
        assert!(
            error(&["gandi", "webroot"], &["Nonsense=1"], &[]).contains("none of the plugins gandi, webroot")
        );
        assert!(error(&["gandi"], &["GandiPTA=env:A"], &[]).contains("no parameter 'GandiPTA'"));
        assert!(error(&["gandi"], &[], &["example.org=shop"]).contains("nothing is called 'shop'"));
        assert!(error(&["gandi"], &["a b:GandiPAT=env:A"], &[]).contains("cannot be a label"));
        assert!(
            error(&["gandi"], &["gandi@a:GandiPAT=env:A", "webroot@a:WRPath=/x"], &[]).contains("label for")
        );
        assert!(error(&["gandi"], &["a:GandiPAT=env:A"], &["x.org=a", "x.org=gandi"]).contains("two things"));
        let canary = "canary0123456789";
        for argument in
            [format!("shop:GandiPAT={canary}"), format!("shop:{canary}"), format!("a:b:GandiPAT=x:{canary}")]
        {
            let said = error(&["gandi"], &[&argument], &[]);
            assert!(!said.contains(canary), "{said}");
        }
    }

    #[test]
    fn only_what_can_be_needed_is_used() {
        let request =
            parse(&["gandi"], &["a:GandiPAT=env:A", "b:GandiPAT=env:B"], &["example.org=a"]).unwrap();
        let all = || combined(&request, &[], false);
        let gandi: PublisherName = "gandi".parse().unwrap();
        let b: PublisherName = "gandi@b".parse().unwrap();
        let asked = used(all(), &BTreeSet::from([&gandi]), &request);
        assert!(matches!(asked, Err(ArgumentError::Unused { publisher }) if publisher == "gandi@b"));
        let used = |chosen: &[&PublisherName]| {
            let used = used(all(), &chosen.iter().copied().collect(), &PublisherRequest::default()).unwrap();
            used.iter().map(|publisher| publisher.name.to_string()).collect::<Vec<_>>()
        };
        // None without a label, which would take a token from the environment that was given for nothing.
        assert_eq!(used(&[&gandi]), ["gandi@a"]);
        assert_eq!(used(&[&gandi, &b]), ["gandi@a", "gandi@b"]);
        assert_eq!(used(&[&"webroot".parse().unwrap()]), ["webroot"]);
    }

    #[test]
    fn new_arguments_take_the_place_of_all_or_are_set_beside_them() {
        let old = combined(
            &parse(
                &["gandi"],
                &["GandiPAT=env:A", "GandiTTL=600", "shop:GandiPAT=env:B"],
                &["example.org=shop"],
            )
            .unwrap(),
            &[],
            false,
        );
        let new = parse(&["gandi", "gandi@shop"], &["shop:GandiPAT=env:C"], &["example.net=shop"]).unwrap();
        let beside = combined(&new, &old, true);
        assert_eq!((beside.len(), beside[0].arguments.len(), beside[1].zones.len()), (2, 2, 2));
        let instead = combined(&new, &old, false);
        assert_eq!((instead.len(), instead[0].zones.len()), (1, 1));
        let none = PublisherRequest {
            zones: vec![("example.org".parse().unwrap(), None)],
            ..PublisherRequest::default()
        };
        assert!(combined(&none, &old, true)[1].zones.is_empty());
        assert_eq!(combined(&PublisherRequest::default(), &old, false).len(), 2);
    }
}
