#!/bin/sh
# attack_host.sh: what a process of the server's host can reach: the roles' memory, descriptors, environment and capabilities, the site's
# files, and what nginx sees of them.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
PATH="$B/t:$PATH"
need openssl openssl; need curl curl; need nginx nginx
site_init || { ok 1 "cradle init"; finish; }

# nginx is a program that looks around first: it runs where nginx would, as nginx would
real=$(command -v nginx)
mkdir -p "$T/own/sbin"
cat >"$T/own/sbin/nginx" <<END
#!/bin/sh
[ "\$1" = -v ] || {
    for f in keys/device.key db/cradle.db offline/root.key operators/admin.key; do head -c 1 "$SITE/\$f" >/dev/null 2>&1 && echo "\$f"; done
    head -c 1 "$SITE/tls/server.key" >/dev/null && echo own-key
    for p in /proc/[0-9]*; do grep -q 'cradled -x' \$p/cmdline 2>/dev/null && head -c 1 \$p/environ >/dev/null 2>&1 && echo "\$p"; done
    env | grep CRADLE_MARK
} >"$SITE/run/nginx/seen" 2>/dev/null
exec $real "\$@"
END
chmod 755 "$T/own" "$T/own/sbin" "$T/own/sbin/nginx"
echo "nginx = $T/own/sbin/nginx" >>"$SITE/cradled.conf"
CRADLE_MARK=do-not-inherit; export CRADLE_MARK
site_start || { ok 1 "cradled starts"; finish; }
unset CRADLE_MARK

kids() { cat /proc/"$1"/task/*/children 2>/dev/null; }
name_of() { tr '\0' ' ' <"/proc/$1/cmdline" | sed 's/^cradled -x //; s/:.*//'; }
seen=$(cat "$SITE/run/nginx/seen")
has "$seen" '^own-key$' "nginx reads its own key"
if grep -q 'no Landlock' "$T/cradled.log"; then
    [ "$(id -u)" != 0 ] || { printf '%s' "$seen" | grep -qE '^(keys|offline|operators)/'; ok $((! $?)) "without Landlock: file permissions keep nginx from the CA keys"; }
else
    printf '%s' "$seen" | grep -qE '^(keys|db|offline|operators)/'; ok $((! $?)) "nginx reaches neither keys nor database nor operators' keys"
fi
printf '%s' "$seen" | grep -q '^/proc'; ok $((! $?)) "nor the memory or environment of a role"
printf '%s' "$seen" | grep -q MARK; ok $((! $?)) "nor the environment of whoever started the service"

# -- every process of the service
roles=$(kids "$CRADLED"); all="$roles"
for p in $roles; do all="$all $(kids "$p")"; done
for p in $roles; do [ "$(name_of "$p")" != signer ] || wait_for 10 grep -q '^Seccomp:.2' "/proc/$p/status"; done
bad=; env=; caps=; open=
for p in $all; do
    st=/proc/$p/status n=$(name_of "$p")
    grep -q '^NoNewPrivs:.1' "$st" || bad="$bad $n"
    case $n in nginx*) ;; *) grep -q '^Seccomp:.2' "$st" || bad="$bad $n" ;; esac
    grep -qE '^CapEff:.0+$' "$st" && grep -qE '^CapAmb:.0+$' "$st" || caps="$caps $n"
    tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | grep -q CRADLE_MARK && env="$env $n"
    case $n in nginx*) ;; *) [ "$(id -u)" != 0 ] || [ "$(stat -c %u "/proc/$p/mem")" = 0 ] || open="$open $n" ;; esac
done
[ "$(printf '%s\n' $all | wc -l)" -ge 6 ]; ok $? "all roles and nginx' workers are looked at"
is "$bad" "" "no_new_privs everywhere, seccomp in every role"
is "$caps" "" "no process keeps a capability"
is "$env" "" "no process inherits the environment of whoever started the service"
is "$open" "" "no role can be traced by another process of its user"

# -- descriptors: a database only in core and query, keys and profiles nowhere
for p in $all; do
    n=$(name_of "$p")
    find "/proc/$p/fd" -maxdepth 1 -type l -printf "$n %l\n" 2>/dev/null
done >"$T/fds"
is "$(grep -E "$SITE/(keys|offline|operators|tls|profiles)" "$T/fds")" "" "no descriptor of a key, of an operator or of a profile stays open"
is "$(grep "$SITE/db" "$T/fds" | cut -d' ' -f1 | sort -u | grep -vE '^(core|query)$')" "" "the database is open in core and query only"

# -- keys in memory: the private numbers of every key, in both byte orders, and as they stand in their files
hex() { od -An -tx1 -v | tr -d ' \n'; }
needles=
for k in "$SITE"/keys/*.key; do
    priv=$(openssl pkey -in "$k" -noout -text | sed -n '/^priv:/,/^pub:/p' | grep '^ ' | tr -d ' :\n' | sed 's/^00//')
    needles="$needles $priv $(printf '%s' "$priv" | sed 's/../& /g' | tr ' ' '\n' | tac | tr -d '\n') $(sed -n 2p "$k" | tr -d '\n' | head -c 60 | hex)"
done
signer=; other=
for p in $CRADLED $all; do
    n=$(name_of "$p") found=$(memscan "$p" $needles)
    case $n in signer) signer=$found ;; *) case $found in 0 | closed) ;; *) other="$other $n:$found" ;; esac ;; esac
done
case $signer in closed) true ;; *) [ "$signer" -ge 4 ] ;; esac; ok $? "the scan finds keys where they are: in the signer ($signer)"
is "$other" "" "and nowhere else"

# -- files
is "$(find "$SITE" -type f -perm /077 \( -path '*/keys/*' -o -path '*/offline/*' -o -path '*/operators/*.key' -o -path '*/tls/*.key' -o -path '*/db/*' \))" "" \
    "no file of keys or database is readable by others"
for d in keys offline operators db run tls log; do [ "$(stat -c %a "$SITE/$d")" = 700 ] || echo "$d"; done >"$T/modes"
is "$(cat "$T/modes")" "" "their folders are closed, the sockets' too"
is "$(find "$SITE" ! -type l -perm /022 ! -type s)" "" "nothing is writable by others"

# -- a stranger's bytes in the log
curl -s -o /dev/null "$HTTP/crl/x%0aerror%20core%20-%20FORGED%1b%5b31m"
curl -s -o /dev/null --cacert "$SITE/ca/bundle.pem" "$HTTPS/log/tile/%1b%5d0;pwn%07%0aFORGED"
curl -s -o /dev/null --cacert "$SITE/ca/bundle.pem" -H 'If-Match: FORGED' "$HTTPS/api/v1/%1b%5b31m%0aFORGED"
curl -s -o /dev/null "$HTTP/healthz"
grep -q '^[^ ]*FORGED\|^error core - FORGED' "$T/cradled.log"; ok $((! $?)) "a path cannot forge a line of the log"
LC_ALL=C grep -q "$(printf '[\001-\010\013-\037]')" "$T/cradled.log"; ok $((! $?)) "nor steer the terminal that shows it"
finish
