#!/usr/bin/env bash
# A study with nothing but curl: create it, then ask, report and tell three times.
#
#   export TRIMTAB_URL=http://127.0.0.1:8787
#   export TRIMTAB_API_KEY=tt_...                  # in credentials.json, after `trimtab up`
#   bash examples/curl.sh
set -euo pipefail

call() { # call METHOD PATH BODY: the answer's body; an error ends the script
    curl --silent --show-error --fail-with-body --request "$1" "$TRIMTAB_URL/v1/$2" \
        --header "Authorization: Bearer $TRIMTAB_API_KEY" \
        --header "Content-Type: application/json" --data "$3"
}
field() { # field NAME: the first value of that name in the JSON on stdin, without quotes
    grep -o "\"$1\": *[^,}]*" | head -n 1 | sed 's/^[^:]*: *//; s/"//g'
}
new_id() { cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen | tr 'A-Z' 'a-z'; }

name="curl-$(date +%s)"
call POST studies '{
    "name": "'"$name"'",
    "space": {"parameters": [{"kind": "float", "name": "x", "low": -5, "high": 5}]},
    "objectives": [{"metric": "loss", "goal": "minimize"}],
    "budget": {"trials": 3}
}' >/dev/null

for _ in 1 2 3; do
    # The lease id is yours to make.  Should an answer get lost, ask again with the same one.
    lease=$(new_id)
    asked=$(call POST "studies/$name/trials:ask" \
        '{"lease_id": "'"$lease"'", "worker": "curl", "wait": 20}')
    trial=$(grep -o '"tr_[0-9A-Za-z]*"' <<<"$asked" | head -n 1 | tr -d '"')
    x=$(field x <<<"$asked")
    loss=$(awk -v x="$x" 'BEGIN { printf "%.9f", (x - 2) ^ 2 }')
    call POST "trials/$trial/measurements" \
        '{"lease_id": "'"$lease"'", "measurements": [{"step": 0, "values": {"loss": '"$loss"'}}]}' \
        >/dev/null
    told=$(call POST "trials/$trial:tell" \
        '{"lease_id": "'"$lease"'", "outcome": {"kind": "completed"}}')
    echo "$trial  x=$x  loss=$loss  $(field state <<<"$told")"
done
curl --silent --fail "$TRIMTAB_URL/v1/studies/$name/best" \
    --header "Authorization: Bearer $TRIMTAB_API_KEY"
echo
