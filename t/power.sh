# power.sh: the power fails at a file operation: a program is killed in the n-th call of a kind ($kinds), by strace. Source after lib.sh; takes the release build.
under_strace
power_calls() { # FOLDER PROGRAM…: runs it to its end; prints for each kind "KIND FIRST LAST", the calls that touch the folder: to be killed before the first is one case
    folder=$1; shift
    strace -f -y -o "$T/calls" -e trace="$(echo $kinds | tr ' ' ,)" "$@" >>"$T/agent.log" 2>&1
    for kind in $kinds; do
        awk -v call="$kind(" -v folder="$folder" 'NR == 1 { main = $1 } $1 == main && index($2, call) == 1 { n++; if (index($0, folder)) { last = n; first = first ? first : n } }
            END { if (first) print "'"$kind"'", first, last }' "$T/calls"
    done
}
killed_at() { # KIND N PROGRAM…: 0: it was killed there; 1: it ended before
    kind=$1 nth=$2; shift 2
    strace -f -o /dev/null -e trace="$kind" -e inject="$kind":signal=KILL:when="$nth" "$@" >>"$T/agent.log" 2>&1
    [ $? = 137 ]
}
