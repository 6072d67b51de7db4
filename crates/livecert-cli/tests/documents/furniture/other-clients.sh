#!/bin/sh
# Folders as certbot, lego, acme.sh and Posh-ACME leave them: the first two by the clients themselves, the others in their
# form, from a certificate that was made elsewhere.
set -eu

cat > /usr/local/bin/hook <<'END'
#!/bin/sh
export LIVECERT_HOME=/var/lib/hook GANDI_PAT_FILE=/etc/livecert/gandi.pat
case $1 in
    present) exec livecert dns add "$2" "$3" ;;
    cleanup) exec livecert dns remove "$2" "$3" ;;
    add) exec livecert dns add "_acme-challenge.$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION" ;;
    *) exec livecert dns remove "_acme-challenge.$CERTBOT_DOMAIN" "$CERTBOT_VALIDATION" ;;
esac
END
chmod 755 /usr/local/bin/hook
certbot certonly --non-interactive --agree-tos --register-unsafely-without-email --manual \
    --preferred-challenges dns --manual-auth-hook 'hook add' --manual-cleanup-hook 'hook remove' -d example.com
pat=$(cat /etc/livecert/gandi.pat)
# As if the plugin for Gandi, which Debian does not have, had done it.
echo "dns_gandi_token = $pat" > /etc/letsencrypt/gandi.ini
chmod 600 /etc/letsencrypt/gandi.ini
sed -i -e '/^manual_/d; /^pref_challs/d' \
    -e 's,^authenticator = .*,authenticator = dns-gandi\ndns_gandi_credentials = /etc/letsencrypt/gandi.ini,' \
    /etc/letsencrypt/renewal/example.com.conf
(cd ~ && EXEC_PATH=/usr/local/bin/hook lego --accept-tos --email you@example.com --dns exec --dns.disable-cp --domains example.org run)

export LIVECERT_HOME=/var/lib/first
livecert issue example.net --plugin gandi --accept-tos --plugin-arg GandiPAT=file:/etc/livecert/gandi.pat
files=$LIVECERT_HOME/certs/example.net/current
account=$(livecert account show --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["url"])')
directory=https://acme-v02.api.letsencrypt.org/directory

mkdir -p ~/.acme.sh/ca/acme-v02.api.letsencrypt.org/directory ~/.acme.sh/example.net_ecc
cd ~/.acme.sh
(openssl ecparam -name prime256v1; livecert account export | openssl ec) \
    > ca/acme-v02.api.letsencrypt.org/directory/account.key
echo '{"status":"valid"}' > ca/acme-v02.api.letsencrypt.org/directory/account.json
echo "ACCOUNT_URL='$account'" > ca/acme-v02.api.letsencrypt.org/directory/ca.conf
echo "SAVED_GANDI_LIVEDNS_TOKEN='$pat'" > account.conf
cat > example.net_ecc/example.net.conf <<END
Le_Domain='example.net'
Le_Alt='no'
Le_Webroot='dns_gandi_livedns'
Le_API='$directory'
Le_Keylength='ec-256'
END
cp "$files/privkey.pem" example.net_ecc/example.net.key
cp "$files/cert.pem" example.net_ecc/example.net.cer
cp "$files/chain.pem" example.net_ecc/ca.cer
cp "$files/fullchain.pem" example.net_ecc/fullchain.cer

order=~/.config/Posh-ACME/LE_PROD/1/example.net
mkdir -p "$order"
cd ~/.config/Posh-ACME
echo "$directory" > current-server.txt
echo '{"location": "'"$directory"'", "DisableARI": false}' > LE_PROD/dir.json
livecert account export | openssl ec -text -noout | python3 -c '
import base64, json, sys
text = sys.stdin.read()
def part(begin, end):
    return bytes.fromhex("".join(text.split(begin)[1].split(end)[0].split()).replace(":", ""))
def word(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
secret, point = part("priv:", "pub:")[-32:], part("pub:", "ASN1")
key = {"kty": "EC", "crv": "P-256", "d": word(secret), "x": word(point[1:33]), "y": word(point[33:])}
print(json.dumps({"status": "valid", "contact": None, "location": sys.argv[1], "alg": "ES256", "key": key,
                  "KeyLength": "ec-256", "sskey": None}))' "$account" > LE_PROD/1/acct.json
cat > "$order/order.json" <<'END'
{"status": "valid", "MainDomain": "example.net", "SANs": [], "KeyLength": "ec-256", "CertExpires": "2031-01-01T00:00:00Z",
 "Plugin": ["Gandi"], "DnsSleep": 120, "ValidationTimeout": 60, "AlwaysNewKey": false, "LifetimeDays": 0}
END
python3 -c '
import json, sys
value = sys.argv[1].encode("utf-16-le").hex()
print(json.dumps({"GandiPAT": {"origType": "securestring", "value": value}}))' "$pat" > "$order/pluginargs.json"
cp "$files/privkey.pem" "$order/cert.key"
cp "$files/cert.pem" "$order/cert.cer"
cp "$files/chain.pem" "$order/chain0.cer"
cp "$files/chain.pem" "$order/chain.cer"
