#!/bin/sh
# Adds or removes a TXT value at Gandi, for uacme (METHOD TYPE IDENT TOKEN AUTH) and dehydrated (ACTION IDENT TOKEN AUTH).
set -eu
case "$1" in
    begin) [ "$2" = dns-01 ] || exit 1; action=add; ident=$3; value=$5 ;;
    done | failed) action=remove; ident=$3; value=$5 ;;
    deploy_challenge) action=add; ident=$2; value=$4 ;;
    clean_challenge) action=remove; ident=$2; value=$4 ;;
    *) exit 0 ;;
esac
for zone in $(echo "$ZONES" | tr , ' '); do
    case "$ident" in
        "$zone") name=_acme-challenge; break ;;
        *."$zone") name=_acme-challenge.${ident%."$zone"}; break ;;
    esac
done
url=https://api.gandi.net/v5/livedns/domains/$zone/records/$name/TXT
gandi() {
    echo "header = \"Authorization: Bearer $GANDI_PAT\"" | curl --silent --config - --header 'Content-Type: application/json' "$@"
}
old=$(gandi "$url" | jq -c '.rrset_values // []')
if [ "$action" = add ]; then
    new=$(echo "$old" | jq -c --arg value "\"$value\"" '. + [$value]')
else
    new=$(echo "$old" | jq -c --arg value "\"$value\"" '. - [$value]')
fi
if [ "$new" = '[]' ]; then
    gandi --fail --request DELETE "$url"
else
    gandi --fail --request PUT --data "{\"rrset_values\": $new, \"rrset_ttl\": 300}" "$url"
fi
