# lib.sh: shared by scenario tests (source it: . t/lib.sh, from the root of the tree). TAP, free ports, waiting, a site of its own.
# Every test gets a fresh folder in $T, removed at exit together with every process recorded by `own PID`.
B=${CRADLE_BUILD:-$PWD/build/asan}
PATH="$B:$PATH:/usr/sbin:/sbin"
export PATH
T=$(mktemp -d)
chmod 755 "$T"
tap_count=0
tap_bad=0
owned=

ok() { # status name: ok $? "it works"
    tap_count=$((tap_count + 1))
    if [ "$1" = 0 ]; then echo "ok $tap_count - $2"; else echo "not ok $tap_count - $2"; tap_bad=1; fi
}
is() { # got want name
    [ "$1" = "$2" ]; ok $? "$3"
    [ "$1" = "$2" ] || printf '# got:  %s\n# want: %s\n' "$1" "$2"
}
has() { # text pattern name: the text contains the (grep -E) pattern
    printf '%s\n' "$1" | grep -qE -- "$2"; ok $? "$3"
    printf '%s\n' "$1" | grep -qE -- "$2" || printf '%s\n' "$1" | head -n 20 | sed 's/^/# /'
}
own() { owned="$owned $1"; }
finish() { echo "1..$tap_count"; exit $tap_bad; }
cleanup() {
    for p in $owned; do kill "$p" 2>/dev/null; done
    for p in $owned; do
        i=0
        while kill -0 "$p" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
        kill -9 "$p" 2>/dev/null
    done
    [ -n "${CRADLE_KEEP:-}" ] || rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
need() { # command package: a missing tool fails, it never skips
    command -v "$1" >/dev/null || { ok 1 "$1 is installed (Debian package $2)"; finish; }
}
wait_for() { # seconds command...: polls until the command succeeds
    limit=$(($(date +%s) + $1)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$limit" ] || return 1
        sleep 0.05
    done
}
free_ports() { # prints a base such that base .. base+9 are free on loopback
    for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        base=$((20000 + ($(od -An -N2 -tu2 /dev/urandom) % 1200) * 10))
        taken=$(ss -Hltn | awk '{ n = split($4, a, ":"); print a[n] }' | awk -v b=$base '$1 >= b && $1 < b + 10' | wc -l)
        [ "$taken" = 0 ] && { echo $base; return 0; }
    done
    return 1
}
agent_conf() { # UID: UID.conf, as an agent needs it that enrolls through the station st
    mkdir -p "$T/$1"
    cat >"$T/$1.conf" <<END
uid = $1
state_dir = $T/$1/state
est_url = $HTTPS
ca_file = $SITE/ca/bundle.pem
enroll_cert = $T/st/st.pem
enroll_key = $T/st/st.key
backoff_base_ms = 50
backoff_cap_ms = 200
END
}
under_strace() { # the release build: strace and the sanitizers' leak check exclude each other
    need strace strace
    B=$PWD/build/release
    PATH="$B:$PATH"
}
site_init() { # makes the site $SITE on free ports; sets SITE BASE HTTPS HTTP ADMIN (curl options of the admin)
    SITE=$T/site
    BASE=$(free_ports)
    (umask 077; printf 'correct horse battery staple\n' >"$T/pass")
    cradle init "$SITE" --name test --org "Example Maker" --port-base "$BASE" --passphrase-file "$T/pass" "$@" >"$T/init.log" 2>&1 || { sed 's/^/# /' "$T/init.log"; return 1; }
    HTTPS=https://localhost:$BASE
    HTTP=http://localhost:$((BASE + 1))
    ADMIN="--cacert $SITE/ca/bundle.pem --cert $SITE/operators/admin.pem --key $SITE/operators/admin.key"
    CRADLE_SITE=$SITE
    export CRADLE_SITE
}
site_ready() { curl -sf -m 5 --cacert "$SITE/ca/bundle.pem" "$HTTPS/healthz" | jq -ne 'input | .core and .query >= 1'; }
site_start() { # starts cradled for $SITE and waits until it answers
    cradled "$SITE" 2>>"$T/cradled.log" &
    CRADLED=$!
    own $CRADLED
    wait_for 60 site_ready || { tail -n 20 "$T/cradled.log" | sed 's/^/# /'; return 1; }
}
site_stop() { kill "$CRADLED" && wait_for 20 sh -c "! kill -0 $CRADLED"; wait "$CRADLED" 2>/dev/null; }
api() { curl -s -m 30 $ADMIN -H 'Content-Type: application/json' "$@"; } # [curl options] URL: as the admin
key() { # NAME [openssl genpkey options]: NAME.key
    name=$1; shift
    [ $# -gt 0 ] || set -- -algorithm EC -pkeyopt ec_paramgen_curve:P-256
    openssl genpkey "$@" -out "$name.key" 2>/dev/null
}
csr() { # NAME SUBJECT [openssl req options]: NAME.csr of NAME.key, as EST takes it
    name=$1 subject=$2; shift 2
    openssl req -new -key "$name.key" -subj "$subject" -outform DER "$@" 2>/dev/null | openssl base64 >"$name.csr"
}
