//! Settings as a shell reads them: `KEY='value'`, a line for each; of acme.sh, and of files with an environment.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What acme.sh puts around values that a shell could stumble over.
const WRAPPED: (&str, &str) = ("__ACME_BASE64__START_", "__ACME_BASE64__END_");

/// Settings by key.
#[derive(Debug, Default)]
pub(super) struct ShellConf(BTreeMap<String, String>);

impl ShellConf {
    /// Reads settings. A line that is none is passed over, and nothing in a value is ever carried out.
    pub(super) fn parse(text: &str) -> Self {
        let mut all = BTreeMap::new();
        for line in text.lines() {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((key, value)) = line.split_once('=') else { continue };
            let key = key.trim();
            if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                all.insert(key.to_owned(), unwrapped(unquoted(value.trim())));
            }
        }
        ShellConf(all)
    }

    /// A value; none if it is empty, or acme.sh's word for that.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !matches!(*value, "" | "no"))
    }

    /// A value as it stands there.
    pub(super) fn raw(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether it says yes.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.text(key).is_some_and(|value| matches!(value, "1" | "true" | "yes"))
    }
}

fn unquoted(value: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(rest) = value.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or(rest);
        }
    }
    value
}

fn unwrapped(value: &str) -> String {
    let inner = value.strip_prefix(WRAPPED.0).and_then(|value| value.strip_suffix(WRAPPED.1));
    let decoded = inner.and_then(|inner| STANDARD.decode(inner).ok());
    let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map_or_else(|| value.to_owned(), |text| text.trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acme_sh_writes_is_read_and_nothing_is_carried_out() {
        let conf = ShellConf::parse(
            "Le_Domain='example.com'\nLe_Alt='no'\nLe_Keylength=\"ec-256\"\nexport Le_Renew=1 \n#Le_Old='x'\n\
             Le_ReloadCmd='__ACME_BASE64__START_c3lzdGVtY3RsIHJlbG9hZCBuZ2lueA==__ACME_BASE64__END_'\n\
             Le_Broken='__ACME_BASE64__START_%%__ACME_BASE64__END_'\nLe_Evil='$(id)'\n  bad key='v'\n",
        );
        assert_eq!(conf.text("Le_Domain"), Some("example.com"));
        assert_eq!((conf.text("Le_Alt"), conf.raw("Le_Alt")), (None, Some("no")));
        assert_eq!(conf.text("Le_Keylength"), Some("ec-256"));
        assert!(conf.flag("Le_Renew") && !conf.flag("Le_Domain"));
        assert_eq!(conf.text("Le_ReloadCmd"), Some("systemctl reload nginx"));
        assert!(conf.text("Le_Broken").unwrap().starts_with("__ACME"));
        assert_eq!(conf.text("Le_Evil"), Some("$(id)"));
        assert_eq!(conf.0.len(), 7);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "([A-Za-z_=' \"\\n]|__ACME_BASE64__START_|__ACME_BASE64__END_){0,60}") {
            for value in ShellConf::parse(&text).0.values() {
                prop_assert!(!value.contains('\n'));
            }
        }
    }
}
