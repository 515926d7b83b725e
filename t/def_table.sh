#!/bin/sh
# def_table.sh: tables of the documents, made from the code's own tables, on standard output.
# usage: t/def_table.sh reasons | events | lint   (docs/reasons.md from src/base/err.def and err.c, docs/events.md from src/wire/event.def,
# docs/lint.md from src/crypt/lint.def)
cd "$(dirname "$0")/.." || exit 1

# One definition a line, its string literals joined by tabs: NAME(A, B, "c", "d")  ->  A B <tab> c <tab> d
rows() { # macro file
    awk -v macro="$1" '
    index($0, macro "(") == 1 { text = $0; while (text !~ /"\)$/ && (getline more) > 0) text = text " " more }
    index($0, macro "(") == 1 {
        n = split(text, part, "\"")
        head = part[1]; sub(/^[A-Z]+\(/, "", head); gsub(/[ ,]+/, " ", head)
        out = head
        for (i = 2; i <= n; i += 2) out = out "\t" part[i]
        print out
    }' "$2"
}
# err_http and err_exit of err.c: "http INPUT 400", "exit INPUT 2"
classes() {
    awk '
    /^int err_(http|exit)\(/ { what = $2; sub(/^err_/, "", what); sub(/\(.*/, "", what); n = 0; rest = "" }
    what && /case ERRC_/ { name = $0; sub(/.*ERRC_/, "", name); sub(/:.*/, "", name); waits[++n] = name }
    what && /case ERRC_.*break;/ { for (i = 1; i <= n; i++) rest = rest " " waits[i]; n = 0 }
    what && /return [0-9]+;/ {
        value = $0; sub(/.*return /, "", value); sub(/;.*/, "", value)
        if ($0 ~ /^    return/) n = split(rest, waits, " ")
        for (i = 1; i <= n; i++) print what, waits[i], value
        n = 0
        if ($0 ~ /^    return/) what = ""
    }' src/base/err.c
}

case "${1:-}" in
reasons)
    echo "| reason | means | HTTP | exit code |"
    echo "|---|---|---|---|"
    { classes; rows ERR src/base/err.def; } | awk -F '\t' '
    NF < 2 { split($1, f, " "); value[f[1], f[2]] = f[3]; next }
    { split($1, f, " "); printf "| `%s` | %s | %s | %s |\n", $2, $3, value["http", f[2]], value["exit", f[2]] }'
    ;;
events)
    echo "| kind | means | fields |"
    echo "|---|---|---|"
    rows EVENT src/wire/event.def | awk -F '\t' '{ gsub(/:[a-zA-Z]/, "", $3); gsub(/ /, "`, `", $3); printf "| `%s` | %s | `%s` |\n", $2, $4, $3 }'
    ;;
lint)
    echo "| rule | what must be so | level | of | standard |"
    echo "|---|---|---|---|---|"
    rows LINT src/crypt/lint.def | awk -F '\t' '{ split($1, f, " "); printf "| `%s` | %s | %s | %s | %s |\n", $2, $5, f[2] == "ERROR" ? "error" : "warning", $3, $4 }'
    ;;
*) echo "usage: t/def_table.sh reasons | events | lint" >&2; exit 2 ;;
esac
