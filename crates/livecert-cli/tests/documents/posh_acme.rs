//! `docs/from-posh-acme.md` has every function of Posh-ACME 4.32, and every parameter of each.

use super::root;

/// Functions, and their parameters without those that PowerShell gives to all.
const FUNCTIONS: [(&str, &str); 35] = [
    (
        "Set-PAServer",
        "DirectoryUrl Name NewName SkipCertificateCheck DisableTelemetry UseAltAccountRefresh DisableARI IgnoreContact \
         NoRefresh NoSwitch",
    ),
    ("Get-PAServer", "DirectoryUrl Name List Refresh Quiet"),
    ("Remove-PAServer", "DirectoryUrl Name DeactivateAccounts Force"),
    ("Get-PAProfile", "Profile"),
    (
        "New-PAAccount",
        "Contact KeyLength KeyFile ID Name AcceptTOS OnlyReturnExisting Force ExtAcctKID ExtAcctHMACKey ExtAcctAlgorithm \
         UseAltPluginEncryption",
    ),
    ("Get-PAAccount", "ID Name List Status Contact KeyLength Refresh"),
    (
        "Set-PAAccount",
        "ID Contact NewName UseAltPluginEncryption ResetAltPluginEncryption Deactivate Force KeyRollover KeyLength KeyFile \
         NoSwitch",
    ),
    ("Remove-PAAccount", "ID Deactivate Force"),
    ("Export-PAAccountKey", "ID OutputFile Force"),
    (
        "New-PACertificate",
        "Domain CSRPath Name Contact CertKeyLength AlwaysNewKey AcceptTOS AccountKeyLength DirectoryUrl Plugin PluginArgs \
         LifetimeDays DnsAlias OCSPMustStaple Subject FriendlyName PfxPass PfxPassSecure UseModernPfxEncryption Install \
         UseSerialValidation Force DnsSleep DnsVariant ValidationTimeout PreferredChain Profile",
    ),
    ("Submit-Renewal", "MainDomain Name AllOrders AllAccounts Force NoSkipManualDns PluginArgs"),
    (
        "New-PAOrder",
        "Domain CSRPath KeyFile KeyLength Name Plugin PluginArgs LifetimeDays DnsAlias OCSPMustStaple AlwaysNewKey Subject \
         FriendlyName PfxPass PfxPassSecure UseModernPfxEncryption Install UseSerialValidation DnsSleep DnsVariant \
         ValidationTimeout PreferredChain Force ReplacesCert Profile",
    ),
    ("Get-PAOrder", "MainDomain Name List Refresh"),
    (
        "Set-PAOrder",
        "Plugin PluginArgs LifetimeDays DnsAlias NewName Subject FriendlyName PfxPass PfxPassSecure UseModernPfxEncryption \
         Install OCSPMustStaple DnsSleep DnsVariant ValidationTimeout PreferredChain AlwaysNewKey UseSerialValidation \
         Profile NoSwitch RevokeCert Force",
    ),
    ("Remove-PAOrder", "MainDomain Name RevokeCert Force"),
    ("Submit-ChallengeValidation", "Order"),
    ("Submit-OrderFinalize", "Order"),
    ("Complete-PAOrder", "Order"),
    ("Get-PACertificate", "MainDomain Name List"),
    ("Install-PACertificate", "PACertificate StoreLocation StoreName NotExportable"),
    ("Revoke-PACertificate", "MainDomain Name CertFile KeyFile Reason Force"),
    ("New-PAAuthorization", "Domain Account"),
    ("Get-PAAuthorization", "AuthURLs Account"),
    ("Revoke-PAAuthorization", "AuthURLs Account Force"),
    ("Send-ChallengeAck", "ChallengeUrl Account"),
    ("Get-KeyAuthorization", "Token Account ForDNS"),
    ("Get-DnsAcctLabel", "AccountUri"),
    ("Publish-Challenge", "Domain Account Token Plugin PluginArgs DnsAlias DnsVariant"),
    ("Unpublish-Challenge", "Domain Account Token Plugin PluginArgs DnsAlias DnsVariant"),
    ("Save-Challenge", "Plugin PluginArgs"),
    (
        "Publish-DnsPersistChallenge",
        "Order Domain AccountUri IssuerDomainName Plugin PluginArgs AllowWildcard UseAllDomains PersistUntil",
    ),
    (
        "Unpublish-DnsPersistChallenge",
        "Order Domain AccountUri IssuerDomainName Plugin PluginArgs AllowWildcard UseAllDomains PersistUntil",
    ),
    ("Invoke-HttpChallengeListener", "MainDomain Name ListenerTimeout Port ListenerPrefixes"),
    ("Get-PAPlugin", "Plugin Params Help Guide"),
    ("Get-PAPluginArgs", "MainDomain Name"),
];

#[test]
fn every_function_and_parameter_of_posh_acme_has_its_row() {
    let page = std::fs::read_to_string(root().join("docs/from-posh-acme.md")).expect("the page");
    let mut missing = Vec::new();
    for (function, parameters) in FUNCTIONS {
        let Some((_, section)) = page.split_once(&format!("\n### {function}\n")) else {
            missing.push(function.to_owned());
            continue;
        };
        let section = section.split("\n#").next().unwrap_or_default();
        // The first cell of each row.
        let cells: Vec<&str> =
            section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
        for parameter in parameters.split_whitespace() {
            if !cells.iter().any(|cell| cell.contains(&format!("`-{parameter}`"))) {
                missing.push(format!("{function} -{parameter}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
