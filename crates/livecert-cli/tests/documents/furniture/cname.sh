#!/bin/sh
# Makes a CNAME in example.com, as somebody does at Gandi: its name in the zone, and where it leads.
set -eu
curl -fsS -X POST https://api.gandi.net/v5/livedns/domains/example.com/records \
    -H "Authorization: Bearer $(cat /etc/livecert/gandi.pat)" -H 'Content-Type: application/json' \
    -d '{"rrset_name": "'"$1"'", "rrset_type": "CNAME", "rrset_values": ["'"$2"'."]}'
