# power.sh: the power fails at a file operation: a program is killed in the n-th call of a kind ($kinds), by strace. Source after lib.sh; takes the release build.
under_strace
# FOLDER PROGRAM…: runs it to its end and prints "KIND:N" for each moment that differs from the one before: between two of them a file of the folder was changed,
# or something was sent. A call that fails, flushes or reads changes neither: to be killed in it is to be killed in the next one.
power_calls() {
    folder=$1; shift
    strace -f -y -o "$T/calls" -e trace="$(echo $kinds | tr ' ' ,),sendto,sendmsg" "$@" >>"$T/agent.log" 2>&1
    awk -v kinds=" $kinds " -v folder="$folder" 'NR == 1 { main = $1; differs = 1 }
        $1 != main || $2 !~ /^[a-z]/ { next }
        { kind = $2; sub(/\(.*/, "", kind); n[kind]++; ours = index($0, folder) > 0 }
        ours && differs && index(kinds, " " kind " ") { print kind ":" n[kind]; differs = 0 }
        kind ~ /^send/ || /<(socket|TCP)[^>]*>/ { differs = 1 }
        ours && !/ = -1 / && kind != "fsync" && (kind != "openat" || /O_CREAT|O_TRUNC/) { differs = 1 }' "$T/calls"
}
killed_at() { # KIND:N PROGRAM…: 0: it was killed there; 1: it ended before
    kind=${1%:*} nth=${1#*:}; shift
    strace -f -o /dev/null -e trace="$kind" -e inject="$kind":signal=KILL:when="$nth" "$@" >>"$T/agent.log" 2>&1
    [ $? = 137 ]
}
