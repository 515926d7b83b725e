#!/bin/sh
# docs_tables.sh: what the documents list is what the code has: reason codes, events, exit codes, packages, and where links lead.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
for what in reasons events lint; do
    sh t/def_table.sh $what >"$T/table"
    sed -n "/^<!-- made by t\/def_table.sh $what/,/^<!-- end of table/p" docs/$what.md | sed '1d;$d' >"$T/documented"
    [ "$(wc -l <"$T/table")" -gt 20 ]; ok $? "the code makes a table of $what"
    diff "$T/table" "$T/documented" >"$T/diff"; ok $? "docs/$what.md holds it (t/def_table.sh $what)"
    sed 's/^/# /' "$T/diff"
done
is "$(grep -c '^ERR(' src/base/err.def)" "$(($(sh t/def_table.sh reasons | wc -l) - 2))" "every reason code is in the table"
is "$(sh t/def_table.sh reasons | grep -cvE '^\|.*\| ([1-5][0-9][0-9]|HTTP) \| ([0-7]|exit code) \|$')" 1 "each with a status and an exit code"
is "$(grep -c '^EVENT(' src/wire/event.def)" "$(($(sh t/def_table.sh events | wc -l) - 2))" "every kind of event is in the table"

# exit codes of the classes are those that page, manual and help name
codes=$(sed -n '/^int err_exit/,/^}/s/.*return \([0-9]\);.*/\1/p' src/base/err.c | sort -u)
is "$(sed -n 's/^| \([0-7]\) |.*/\1/p' docs/reasons.md | sort -u)" "$codes" "docs/reasons.md explains every exit code"
is "$(cradle --man cradle | sed -n '/EXIT STATUS/,/SEE ALSO/s/^\.It \([0-7]\)$/\1/p')" "$codes" "cradle(1) too"

# packages
sed -n 's/^\(run\|build\|test\|node\|bench\)="\(.*\)"$/\2/p' tools/packages.sh | tr ' ' '\n' | sort >"$T/packages"
sed -n '/^| package |/,/^$/p' README.md | sed '1,2d' | cut -d'|' -f2 | tr ',' '\n' | tr -d ' `' | grep . | sort >"$T/readme"
diff "$T/packages" "$T/readme" >"$T/diff"; ok $? "README names exactly the packages of tools/packages.sh"
sed 's/^/# /' "$T/diff"

# links
for page in README.md SECURITY.md docs/*.md; do
    dir=$(dirname "$page")
    for link in $(grep -oE '\]\([^)#: ]+' "$page" | cut -c3-); do [ "$link" = https ] || [ -e "$dir/$link" ] || echo "$page: $link"; done
    for path in $(grep -oE '`(docs|src|t|tools|include|bench)/[A-Za-z0-9_./-]+`' "$page" | tr -d '`'); do [ -e "${path%/}" ] || echo "$page: $path"; done
done >"$T/dead"
is "$(cat "$T/dead")" "" "every link and path in the documents leads somewhere"
finish
