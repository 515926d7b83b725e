#!/bin/sh
# rest_docs.sh: the documents say what route.def says: the table in docs/api.md, the paths and methods in docs/openapi.yaml.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
sh t/api_table.sh <src/wire/route.def >"$T/table"
sed -n '/^<!-- made by t\/api_table.sh/,/^<!-- end of table/p' docs/api.md | sed '1d;$d' >"$T/documented"
[ "$(wc -l <"$T/table")" -gt 30 ]; ok $? "route.def makes a table"
diff "$T/table" "$T/documented" >"$T/diff"; ok $? "docs/api.md holds the table that route.def makes (t/api_table.sh)"
sed 's/^/# /' "$T/diff"
sh t/api_table.sh --rows <src/wire/route.def | awk '$2 ~ /^\/api\/v1\// { print $1, $2 }' | sort >"$T/routes"
awk '/^paths:/ { on = 1; next } /^[a-z]/ { on = 0 }
    on && /^  \/.*:$/ { path = $1; sub(/:$/, "", path) }
    on && /^    [a-z]+:$/ { m = $1; sub(/:$/, "", m); print toupper(m), path }' docs/openapi.yaml | sort >"$T/openapi"
diff "$T/routes" "$T/openapi" >"$T/diff"; ok $? "docs/openapi.yaml has exactly the routes of /api/v1"
sed 's/^/# /' "$T/diff"
sed -n 's/.*\$ref: "#\/components\/\([a-z]*\)\/\([A-Za-z]*\)".*/\1 \2/p' docs/openapi.yaml | sort -u >"$T/refs"
awk '/^components:/ { on = 1; next } on && /^  [a-zA-Z]+:$/ { kind = $1; sub(/:$/, "", kind) }
    on && /^    [A-Za-z]+:$/ { name = $1; sub(/:$/, "", name); print kind, name }' docs/openapi.yaml | sort -u >"$T/defs"
is "$(comm -23 "$T/refs" "$T/defs")" "" "every reference in openapi.yaml is defined"
is "$(awk '{ print $2 }' "$T/openapi" | tr '{' '\n' | sed -n 's/}.*//p' | sort -u | tr '\n' ' ')" "id line name serial sha256 uid " "path parameters are the known ones"
for r in 401 403 503; do
    is "$(grep -c "^        \"$r\":" docs/openapi.yaml)" "$(wc -l <"$T/openapi")" "every operation documents $r"
done
finish
