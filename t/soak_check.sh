#!/bin/sh
# soak_check.sh: judges a soak (t/scenario/soak_short.sh) by what others wrote down: the evidence export, the load client's log, the revoker's
# answers, the kills, and samples of whether the way from server to broker host was whole. Shares nothing with the service.
# usage: soak_check.sh EXPORT LOAD REVOKED KILLS SAMPLES BOUND_MS
#   REVOKED  UID SENT_US ANSWERED_US RESULT        KILLS  MS PART        SAMPLES  MS 1|0 (MS: when the look began)
# A device is revoked at the time in its event. Its deadline: BOUND_MS during which nothing on the way was killed and every sample was good.
# Prints a line "VIOLATION …" for each finding, then figures. Exit code 1: there is a finding.
t=$(mktemp -d)
trap 'rm -rf "$t"' EXIT
jq -r 'def ms: (sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601) * 1000 + (capture("\\.(?<n>[0-9]{3})Z$").n | tonumber);
    select(.payload) | .payload | fromjson
    | select((.kind == "presence" and .online == false) or .kind == "cut" or .kind == "refused" or (.kind == "device-state" and .to == "revoked"))
    | [.kind, .device // .uid // "-", (if .kind == "cut" then .cut_at elif .kind == "refused" then .first_at elif .kind == "presence" then .seen_at else .at end | ms), .reason // "-", .count // 1] | @tsv' \
    "$1" >"$t/events" || exit 2
awk -v bound="$6" '
function bad(text) { print "VIOLATION " text; found++ }
function near(list, n, at, before, after,   i) { # was something of the list done from before ms before to after ms after at?
    for (i = 1; i <= n; i++) if (list[i] >= at - before && list[i] <= at + after) return 1
    return 0
}
function deadline(at,   i, k, clean) { # the first sample by which the way was whole for bound ms since at
    clean = at; k = 1
    for (i = 1; i <= n_samples; i++) {
        while (k <= n_way && way[k] <= s_at[i]) { if (way[k] + 200 > clean) clean = way[k] + 200; k++ }
        if (s_at[i] < clean) continue
        if (!s_ok[i]) { clean = s_at[i] + 1; continue }
        if (s_at[i] - clean >= bound) return s_at[i]
    }
    return 1e15
}
FILENAME ~ /events$/ && $1 == "device-state" { if (!($2 in revoked)) revoked[$2] = $3; next }
FILENAME ~ /events$/ && $1 == "presence" { ends[$2]++; next }
FILENAME ~ /events$/ && $1 == "cut" { cuts[$2]++; n_cuts++; if (!($2 in cut_at) || $3 < cut_at[$2]) cut_at[$2] = $3; next }
FILENAME ~ /events$/ { refusals[$2] += $5; why[$2] = why[$2] " " $4; next }
FILENAME == ARGV[2] { if ($4 == "ok") acked[$1] = $3 / 1000; next }
FILENAME == ARGV[3] { if ($2 == "broker") broker[++n_broker] = $1; else way[++n_way] = $1
                      if ($2 == "broker" || $2 == "edge") teller[++n_teller] = $1; next }
FILENAME == ARGV[4] { s_at[++n_samples] = $1; s_ok[n_samples] = $2; next }
{ # the load client
    at = $1 / 1000; u = $3
    if ($2 == "up") { live[u] = 1; logins++; if (u in revoked && at > revoked[u]) { let_in[u] = at; if (at - revoked[u] > latest) latest = at - revoked[u] } }
    if ($2 == "refused") refused[u]++
    if ($2 == "down") {
        live[u] = 0
        if (u in revoked && at >= revoked[u] - 50) { if (!(u in ended)) ended[u] = at }
        else if ($4 != "left" && !near(broker, n_broker, at, 5000, 50)) bad(u " lost its session at " at " (" $4 "), and the broker had not been killed")
    }
}
END {
    for (u in acked) if (!(u in revoked)) bad(u ": the revocation was acknowledged and is not in the evidence")
    for (u in revoked) {
        n_revoked++
        if (live[u]) bad(u " is revoked and has a live session")
        if (u in let_in && let_in[u] > deadline(revoked[u])) bad(u " was let in " let_in[u] - revoked[u] " ms after its revocation, past its deadline")
        if (u in ended) {
            n_ended++
            if (cuts[u]) { told_cut++; d = ended[u] - revoked[u]; if (d > slowest) slowest = d }
            else if (refusals[u]) told_refused++
            else if (ends[u]) told_end++
            else bad(u " was put out at " ended[u] " and nothing in the evidence says so")
            if (!cuts[u] && !near(teller, n_teller, ended[u], 3000, 1500)) bad(u " was put out at " ended[u] ", no part that tells was killed, and there is no cut in the evidence")
        }
    }
    for (u in cut_at) if (!(u in revoked) || cut_at[u] < revoked[u] - 1000) bad(u " was cut before it was revoked")
    for (u in live) if (!(u in revoked) && refused[u]) bad(u " is innocent and was refused " refused[u] " times:" why[u])
    printf "%d logins, %d kills on the way and %d of the broker; %d devices revoked, %d of them in session: %d with a cut, %d others with a refusal, %d with the end of their session\n",
        logins, n_way, n_broker, n_revoked, n_ended, told_cut, told_refused, told_end
    printf "longest from revocation to closed socket %d ms, to the last login let in %d ms (parts away included)\n", slowest, latest
    exit found > 0
}' "$t/events" "$3" "$4" "$5" "$2"
