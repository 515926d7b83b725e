#!/bin/sh
# layers.sh: a folder of src/ includes only from the folders that its layer allows, and no file breaks the house rules
# that a machine can see. Prints TAP.
cd "$(dirname "$0")/.." || exit 1
n=0; bad=0
allow() { # folder, allowed folders
    for f in src/"$1"/*.[ch]; do
        [ -e "$f" ] || continue
        sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$f" | sort -u | while read -r inc; do
            case " $1 $2 " in *" $inc "*) ;; *) echo "$f includes from $inc/, which $1 may not" ;; esac
        done
    done
}
layers=$(
    allow base ""
    allow crypt "base"
    allow token "base crypt"
    allow wire "base crypt"
    allow store "base"
    allow net "base crypt wire"
    allow core "base crypt wire store"
    allow role "base crypt token wire store core"
    allow cli "base crypt token wire net snap"
    allow dev "cradle"
    allow agent "base crypt token wire net dev cradle"
    allow gate "base net agent cradle"
    allow snap "base crypt wire cradle"
    allow edge "base crypt wire snap net cradle"
    allow plugin "base crypt wire snap cradle"
)
# include/cradle is the public face: every folder may use it
layers=$(printf '%s\n' "$layers" | grep -v 'includes from cradle/' | grep .)
report() { # name, findings
    n=$((n + 1))
    if [ -z "$2" ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; printf '%s\n' "$2" | sed 's/^/# /'; bad=1; fi
}
report "layers: every include is allowed" "$layers"
report "no unbounded string functions" "$(grep -nE '\b(strcpy|strcat|sprintf|gets|strtok)\(' -r src include)"
report "malloc only in base/mem (the device library and the rest use none of their own)" "$(grep -nE '\b(malloc|calloc|realloc)\(' -r src | grep -v '^src/base/mem\.')"
report "signer links neither store nor core" "$(grep -nE '#include "(store|core)/' src/role/signer*.[ch] 2>/dev/null)"
report "no typedef of structs" "$(grep -nE '^typedef struct' -r src include)"
long_functions() { # lines at most, folders: a function begins at the last line in column 0 before its "{", and ends with "}" in column 0
    most=$1; shift
    find "$@" -name '*.[ch]' -exec awk -v most="$most" '
        FNR == 1 { head = 0; begin = 0 }
        /^[A-Za-z_].*[^;]$/ { head = FNR; name = $0 }
        /^\{/ { begin = head }
        /^\}/ {
            if (begin && FNR - begin + 1 > most) { sub(/\(.*/, "", name); print FILENAME ":" begin ": " name " has " (FNR - begin + 1) " lines" }
            begin = 0
        }' {} +
}
report "functions of 60 lines or less in the product" "$(long_functions 60 src include)"
report "functions of 80 lines or less in tests and benchmarks" "$(long_functions 80 t bench)"
report "files of 500 lines or less" "$(find src include t bench -name '*.[ch]' -exec wc -l {} + | awk '$2 != "total" && $1 > 500 {print $2 ": " $1 " lines"}')"
echo "1..$n"
exit $bad
