//! What the help of each command teaches beside its options. A new command needs a row here.

use super::Lesson;

/// The lesson of a command, by its words (`dns add`; nothing for livecert itself).
pub(super) fn lesson(command: &str) -> Option<&'static Lesson> {
    LESSONS.iter().find(|lesson| lesson.command == command)
}

const SOURCES: &str = "\
A secret parameter takes the place where the secret is: prompt, env:VAR, file:PATH, cmd:COMMAND,
systemd-cred:NAME or keyring:SERVICE/USER. `livecert plugin show gandi` explains the parameters.";

/// What scripts are told by the exit status, where it is more than done or failed.
const SOON: &str =
    "Exit status: 0 all is well, 4 something needs a person soon, 1 it failed, 2 the words were wrong.";
const PARTLY: &str = "Exit status: 0 done, or nothing was due; 3 some succeeded and some failed; 1 all failed; 2 the words were wrong.";

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        command: "",
        examples: &[
            (
                "A certificate with a wildcard; the token is in a file that only its owner can read",
                "livecert issue example.com '*.example.com' --plugin gandi --accept-tos \\\n    \
                 --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat --contact you@example.com",
            ),
            ("Renew what is due; meant to run daily", "livecert renew"),
            ("What is there, and until when", "livecert list"),
        ],
        notes: &[
            "Exit status: 0 done, or nothing was due; 1 it failed; 2 the words or input were wrong and nothing was done;\n\
             3 some certificates succeeded and some failed; 4 something needs a person soon (check, status, token check).",
        ],
    },
    Lesson {
        command: "issue",
        examples: &[
            (
                "A certificate with a wildcard; everything is remembered for renewals",
                "livecert issue example.com '*.example.com' --plugin gandi --accept-tos \\\n    \
                 --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat --contact you@example.com",
            ),
            (
                "A rehearsal at the staging server; the token is in the variable GANDI_PAT",
                "livecert issue example.com --plugin gandi --accept-tos --dry-run",
            ),
            (
                "Reload nginx whenever there is a new certificate, and see that it is served",
                "livecert issue www.example.com --plugin gandi --accept-tos \\\n    \
                 --deploy-hook 'systemctl reload nginx' --verify-served www.example.com:443",
            ),
            (
                "Without DNS: the web server of this host shows the proof",
                "livecert issue www.example.com --plugin webroot --plugin-arg WRPath=/var/www/html --accept-tos",
            ),
        ],
        notes: &[SOURCES],
    },
    Lesson {
        command: "renew",
        examples: &[
            ("All that are due; this is what the timer runs", "livecert renew"),
            ("One of them, due or not", "livecert renew example.com --force"),
            ("Whether the next renewals would go well, at the staging server", "livecert renew --dry-run"),
        ],
        notes: &[PARTLY],
    },
    Lesson {
        command: "apply",
        examples: &[
            ("What would be done, and why; nobody is asked", "livecert apply --plan"),
            ("Do it", "livecert apply"),
            ("This one alone", "livecert apply shop.example.com"),
        ],
        notes: &[
            "A certificate that is missing is issued; one that is declared otherwise is issued anew, once; where the\n\
             certificate itself does not change (hooks, owner, credential), only the settings are stored. One that is not in\n\
             the file any more is moved to archive/ in the state folder. Certificates that were made by hand, and are not in\n\
             the file, are never touched. What is due is left to `livecert renew`.",
            PARTLY,
        ],
    },
    Lesson {
        command: "config check",
        examples: &[
            ("All mistakes, with their lines", "livecert config check"),
            ("In a file that is not in use yet", "livecert config check new.toml"),
        ],
        notes: &["Exit status: 0 no mistake, 2 there is one."],
    },
    Lesson {
        command: "config schema",
        examples: &[("For an editor", "livecert config schema > livecert.schema.json")],
        notes: &[
            "As the first line of the file, for editors with Taplo or Even Better TOML:\n  #:schema ./livecert.schema.json",
        ],
    },
    Lesson {
        command: "check",
        examples: &[
            (
                "What would keep this from being issued",
                "livecert check example.com '*.example.com' --plugin gandi",
            ),
            (
                "And whether the token may really write",
                "livecert check example.com --plugin gandi --write-probe",
            ),
        ],
        notes: &[SOON],
    },
    Lesson {
        command: "plan",
        examples: &[(
            "Every request and every change in DNS, without one of them",
            "livecert plan example.com --plugin gandi",
        )],
        notes: &[],
    },
    Lesson {
        command: "list",
        examples: &[
            ("The most urgent ones first", "livecert list"),
            (
                "For a script: the names of all that are due",
                "livecert list --json | jq -r '.certificates[].name'",
            ),
        ],
        notes: &[
            "The bar is the share of its life that a certificate has left; where it has come to the mark, it is due.",
        ],
    },
    Lesson {
        command: "limits",
        examples: &[
            ("What is used at all servers, and when more may come", "livecert limits"),
            ("At one of them", "livecert limits --server LE_PROD"),
        ],
        notes: &[
            "Counted is what this state folder has asked for; other clients' certificates for the same domain are not known.",
        ],
    },
    Lesson {
        command: "status",
        examples: &[
            ("What needs a person, also that the timer is gone", "livecert status --max-age 26h --grace 26h"),
            (
                "A page for the web server, and numbers for Prometheus",
                "livecert status --html /srv/www/certificates.html --prometheus /var/lib/node/livecert.prom",
            ),
        ],
        notes: &[SOON],
    },
    Lesson {
        command: "show",
        examples: &[("Everything about a certificate", "livecert show example.com")],
        notes: &[],
    },
    Lesson {
        command: "files",
        examples: &[(
            "For a configuration: where the chain is",
            "livecert files example.com --json | jq -r .fullchain",
        )],
        notes: &["The paths stay the same at renewals, and what they name is always complete and matches."],
    },
    Lesson {
        command: "rollback",
        examples: &[
            ("Back to the generation before", "livecert rollback example.com"),
            ("To the third one, which `livecert show` lists", "livecert rollback example.com --to 3"),
        ],
        notes: &[],
    },
    Lesson {
        command: "import",
        examples: &[
            (
                "What would be taken over, and what cannot be",
                "livecert import certbot /etc/letsencrypt --plan",
            ),
            ("One certificate of acme.sh", "livecert import acme.sh ~/.acme.sh --cert example.com"),
            (
                "All of lego's, with another way to the token",
                "livecert import lego ~/.lego --plugin gandi --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat",
            ),
        ],
        notes: &[
            "Nothing of the other client is changed, and no server is asked. What is in the store already stays as it is.",
            PARTLY,
        ],
    },
    Lesson {
        command: "set",
        examples: &[
            ("Let a group read the files", "livecert set example.com --group ssl-cert"),
            ("Write PKCS#12 files too", "livecert set example.com --pfx-password file:/etc/livecert/pfx"),
            ("Another token", "livecert set example.com --plugin-arg GandiPAT=file:/etc/livecert/new.pat"),
            (
                "One more token, for the zones of another organisation",
                "livecert set example.com --plugin-arg shop:GandiPAT=file:/etc/livecert/shop.pat --zone example.org=shop",
            ),
        ],
        notes: &[
            "What concerns files is done at once: they are written anew, with the same key and certificate. \"\" removes\n\
             what is stored.",
        ],
    },
    Lesson {
        command: "remove",
        examples: &[
            ("Forget it; its files go too", "livecert remove example.com"),
            ("Revoke it first, and do not ask", "livecert remove example.com --revoke --force"),
        ],
        notes: &[],
    },
    Lesson {
        command: "dns add",
        examples: &[(
            "What a hook of another ACME client runs",
            "livecert dns add _acme-challenge.example.com \"$CERTBOT_VALIDATION\"",
        )],
        notes: &[
            "The token is looked for in GANDI_PAT and GANDI_PAT_FILE, unless --plugin-arg names its place.",
        ],
    },
    Lesson {
        command: "dns remove",
        examples: &[(
            "Exactly this value, and nothing else",
            "livecert dns remove _acme-challenge.example.com \"$CERTBOT_VALIDATION\"",
        )],
        notes: &[],
    },
    Lesson {
        command: "dns sweep",
        examples: &[
            ("What a killed run left; the next run would do so too", "livecert dns sweep"),
            ("And what another client has left for a day", "livecert dns sweep --older-than 1d"),
        ],
        notes: &[],
    },
    Lesson {
        command: "token check",
        examples: &[
            ("Those of all certificates", "livecert token check"),
            (
                "A new one, before it is used",
                "livecert token check --plugin-arg GandiPAT=file:/etc/livecert/new.pat",
            ),
        ],
        notes: &[SOON],
    },
    Lesson {
        command: "token renew",
        examples: &[("The tokens of all certificates, in their places", "livecert token renew")],
        notes: &[PARTLY],
    },
    Lesson {
        command: "timer install",
        examples: &[
            ("Renew every four hours", "livecert timer install"),
            (
                "With a token that systemd keeps",
                "livecert timer install --credential gandi=/etc/livecert/gandi.pat",
            ),
        ],
        notes: &[],
    },
    Lesson {
        command: "timer remove",
        examples: &[("Renew by hand again", "livecert timer remove")],
        notes: &[],
    },
    Lesson {
        command: "timer show",
        examples: &[("How the units stand, and when the next run is", "livecert timer show")],
        notes: &[],
    },
    Lesson {
        command: "secret rotate",
        examples: &[
            ("A new sealing key", "livecert secret rotate"),
            ("And in another place", "livecert secret rotate --to systemd-cred:livecert"),
        ],
        notes: &[],
    },
    Lesson {
        command: "revoke",
        examples: &[
            ("Its key is known to others", "livecert revoke example.com --reason keyCompromise"),
            (
                "Without any account, by the certificate's own key",
                "livecert revoke --cert-file cert.pem --key-file privkey.pem --server LE_PROD",
            ),
        ],
        notes: &[],
    },
    Lesson { command: "server list", examples: &[("The short codes", "livecert server list")], notes: &[] },
    Lesson {
        command: "server add",
        examples: &[
            (
                "The CA of your company, with a short name",
                "livecert server add https://ca.example.com/acme/directory --name work",
            ),
            (
                "Without a look at its directory",
                "livecert server add https://ca.example.com/acme/directory --offline",
            ),
        ],
        notes: &[],
    },
    Lesson {
        command: "server use",
        examples: &[("For new certificates from now on", "livecert server use ZEROSSL_PROD")],
        notes: &[],
    },
    Lesson {
        command: "server update",
        examples: &[
            ("Another name", "livecert server update work --name office"),
            (
                "A private CA's limits: five of the same names in a week",
                "livecert server update work --limits set=5/7d",
            ),
        ],
        notes: &[],
    },
    Lesson {
        command: "server remove",
        examples: &[(
            "Forget it, and end its accounts there",
            "livecert server remove work --deactivate-accounts",
        )],
        notes: &[],
    },
    Lesson {
        command: "server show",
        examples: &[("What a server offers", "livecert server show --server LE_STAGE")],
        notes: &[],
    },
    Lesson {
        command: "server profiles",
        examples: &[("Which kinds of certificates it has", "livecert server profiles --server LE_PROD")],
        notes: &[],
    },
    Lesson {
        command: "account list",
        examples: &[("All in the store", "livecert account list")],
        notes: &[],
    },
    Lesson {
        command: "account show",
        examples: &[("As the server sees it", "livecert account show --server LE_PROD")],
        notes: &[],
    },
    Lesson {
        command: "account new",
        examples: &[
            ("An account", "livecert account new --server LE_PROD --accept-tos --contact you@example.com"),
            (
                "Bound to one that you have with the CA",
                "livecert account new --server ZEROSSL_PROD --accept-tos --eab-kid ID --eab-hmac-key prompt",
            ),
            (
                "The one that this key has already",
                "livecert account new --key-file account.pem --only-existing",
            ),
        ],
        notes: &[],
    },
    Lesson {
        command: "account update",
        examples: &[
            ("Another address", "livecert account update --contact you@example.org"),
            ("The server's terms have changed", "livecert account update --accept-tos"),
        ],
        notes: &[],
    },
    Lesson {
        command: "account use",
        examples: &[("The one for new certificates at its server", "livecert account use work")],
        notes: &[],
    },
    Lesson {
        command: "account remove",
        examples: &[("Forget it, and end it at the server", "livecert account remove work --deactivate")],
        notes: &[],
    },
    Lesson {
        command: "account rollover",
        examples: &[("Another key", "livecert account rollover --account-key-type ec-384")],
        notes: &[],
    },
    Lesson {
        command: "account export",
        examples: &[(
            "The private key, for another client",
            "livecert account export --output-file account.pem",
        )],
        notes: &[],
    },
    Lesson {
        command: "account deactivate",
        examples: &[("For good", "livecert account deactivate --server LE_STAGE")],
        notes: &[],
    },
    Lesson {
        command: "authz new",
        examples: &[(
            "Prove a name before there is an order",
            "livecert authz new example.com --server SSLCOM_ECC",
        )],
        notes: &[],
    },
    Lesson {
        command: "authz list",
        examples: &[("How one stands", "livecert authz list https://acme.example/authz/1")],
        notes: &[],
    },
    Lesson {
        command: "authz deactivate",
        examples: &[("Give one up", "livecert authz deactivate https://acme.example/authz/1")],
        notes: &[],
    },
    Lesson { command: "order list", examples: &[("All that are open", "livecert order list")], notes: &[] },
    Lesson {
        command: "order show",
        examples: &[("How it stands, and what is to be done", "livecert order show example.com")],
        notes: &[],
    },
    Lesson {
        command: "order new",
        examples: &[(
            "An order whose proofs a person puts there",
            "livecert order new example.com --plugin manual --accept-tos",
        )],
        notes: &[],
    },
    Lesson {
        command: "order solve",
        examples: &[("The records are there: let the CA look", "livecert order solve example.com")],
        notes: &[],
    },
    Lesson {
        command: "order finalize",
        examples: &[("Ask for the certificate", "livecert order finalize example.com")],
        notes: &[],
    },
    Lesson {
        command: "order download",
        examples: &[("Put it into place", "livecert order download example.com")],
        notes: &[],
    },
    Lesson {
        command: "order remove",
        examples: &[("Give it up", "livecert order remove example.com")],
        notes: &[],
    },
    Lesson {
        command: "challenge respond",
        examples: &[(
            "Tell the CA that the proof is there",
            "livecert challenge respond https://acme.example/chall/1",
        )],
        notes: &[],
    },
    Lesson {
        command: "challenge publish",
        examples: &[(
            "Show a proof, without ACME",
            "livecert challenge publish example.com TOKEN --plugin gandi",
        )],
        notes: &[],
    },
    Lesson {
        command: "challenge unpublish",
        examples: &[("Take it away again", "livecert challenge unpublish example.com TOKEN --plugin gandi")],
        notes: &[],
    },
    Lesson {
        command: "challenge listen",
        examples: &[(
            "Show the proofs of an open order at this host",
            "livecert challenge listen example.com",
        )],
        notes: &[],
    },
    Lesson {
        command: "plugin list",
        examples: &[("What can publish proofs", "livecert plugin list")],
        notes: &[],
    },
    Lesson {
        command: "plugin show",
        examples: &[("Parameters and guide", "livecert plugin show gandi")],
        notes: &[],
    },
    Lesson {
        command: "plugin args",
        examples: &[("What is stored for a certificate", "livecert plugin args example.com")],
        notes: &[],
    },
    Lesson {
        command: "challenge key-auth",
        examples: &[("What a TXT record has to hold", "livecert challenge key-auth TOKEN --dns")],
        notes: &[],
    },
    Lesson {
        command: "challenge account-label",
        examples: &[(
            "The name below which this account proves",
            "livecert challenge account-label --server LE_STAGE",
        )],
        notes: &[],
    },
    Lesson {
        command: "persist publish",
        examples: &[(
            "Once, on a host that has a token; afterwards no host needs one",
            "livecert persist publish example.com --allow-wildcard --accept-tos --until 2027-06-30",
        )],
        notes: &[],
    },
    Lesson {
        command: "persist unpublish",
        examples: &[("Take the right back", "livecert persist unpublish example.com")],
        notes: &[],
    },
    Lesson {
        command: "persist show",
        examples: &[("Whose accounts may have certificates", "livecert persist show example.com")],
        notes: &[],
    },
    Lesson {
        command: "explain",
        examples: &[
            ("What stands behind an error", "livecert explain gandi-forbidden"),
            ("All kinds", "livecert explain"),
        ],
        notes: &[],
    },
    Lesson {
        command: "completions",
        examples: &[
            ("For all users of bash", "livecert completions bash > /etc/bash_completion.d/livecert"),
            ("For zsh", "livecert completions zsh > /usr/local/share/zsh/site-functions/_livecert"),
            ("For fish", "livecert completions fish > ~/.config/fish/completions/livecert.fish"),
            ("For PowerShell", "livecert completions powershell >> $PROFILE"),
        ],
        notes: &[
            "The script asks the program itself, so it need not be written again when livecert or the store changes.",
        ],
    },
    Lesson {
        command: "man",
        examples: &[
            ("Read one", "livecert man dns add | man -l -"),
            ("Write all of them, one file each", "livecert man --dir /usr/local/share/man/man1"),
        ],
        notes: &[],
    },
];
