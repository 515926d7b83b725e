#!/bin/sh
# api_table.sh: the table of routes and roles in docs/api.md, made from src/wire/route.def on standard input.
# usage: t/api_table.sh [--rows] < src/wire/route.def     --rows: "METHOD PATH ROLE,ROLE,…" a line, for tests
awk -v rows="${1:-}" '
function expand(s,   i, n, part, out, name) {
    n = split(s, part, "|")
    for (i = 1; i <= n; i++) {
        name = part[i]; gsub(/[ ()]/, "", name)
        out = out "|" (name in group ? group[name] : name)
    }
    return substr(out, 2)
}
/^#define R_/ { name = $2; sub(/^#define R_[A-Z]+ /, ""); group[name] = expand($0) }
/^ROUTE\(/ {
    line = $0; sub(/^ROUTE\(/, "", line); sub(/\)$/, "", line)
    split(line, f, ",")
    method = f[1]; path = f[2]; gsub(/[ "]/, "", path); roles = expand(f[4])
    nr++; m[nr] = method; p[nr] = path; r[nr] = "|" roles "|"; limit[nr] = f[5] + 0
}
END {
    split("ADMIN OPERATOR STATION AUDITOR EDGE BACKEND DEVICE PUBLIC IDEVID EXPIRED", role, " ")
    if (rows == "--rows") {
        for (i = 1; i <= nr; i++) {
            out = ""
            for (k = 1; k <= 10; k++) if (index(r[i], "|R_" role[k] "|")) out = out "," tolower(role[k])
            print m[i], p[i], substr(out, 2)
        }
        exit
    }
    print "| method | path | admin | operator | station | auditor | edge | backend | device | no certificate | IDevID | expired | body limit |"
    print "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for (i = 1; i <= nr; i++) {
        printf "| %s | `%s` |", m[i], p[i]
        for (k = 1; k <= 10; k++) printf " %s |", index(r[i], "|R_" role[k] "|") || index(r[i], "|R_PUBLIC|") ? "yes" : "-"
        printf " %s |\n", limit[i] ? limit[i] : "-"
    }
}'
