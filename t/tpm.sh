# tpm.sh: TPMs for tests: swtpm behind a resource manager (tpm2-abrmd) on a D-Bus of the test's own. Source after lib.sh.
export ASAN_OPTIONS=detect_leaks=0 # GLib, under the resource manager's client
need swtpm swtpm; need swtpm_setup swtpm-tools; need tpm2-abrmd tpm2-abrmd; need tpm2_getcap tpm2-tools; need dbus-daemon dbus-daemon

tpm_bus() { # NAME: the bus where the TPM's resource manager listens
    DBUS_SYSTEM_BUS_ADDRESS=unix:path=$T/tpm-$1/bus
    export DBUS_SYSTEM_BUS_ADDRESS
}
TPM_TCTI=tabrmd:bus_type=system
TPM2TOOLS_TCTI=$TPM_TCTI
export TPM2TOOLS_TCTI
tpm_answers() { tpm2_getcap properties-fixed >/dev/null 2>&1; }
tpm_start() { # NAME PORT [swtpm_setup options, such as --create-ek-cert]: makes it when it is new, starts it, and is the one in use from now on
    name=$1 port=$2; shift 2
    if [ ! -d "$T/tpm-$name" ]; then
        mkdir -p "$T/tpm-$name"
        [ $# = 0 ] || tpm_made "$name" "$@" || { sed 's/^/# /' "$T/tpm-$name/setup.log"; return 1; }
    fi
    cat >"$T/tpm-$name/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=$T/tpm-$name/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
END
    tpm_bus "$name"
    dbus-daemon --config-file="$T/tpm-$name/bus.conf" --nofork --nopidfile >>"$T/tpm-$name/bus.log" 2>&1 & own $!
    # the control channel follows the data channel's port: where the TCTI looks for it
    swtpm socket --tpm2 --tpmstate dir="$T/tpm-$name" --server type=tcp,port="$port",bindaddr=127.0.0.1 --ctrl type=tcp,port=$((port + 1)),bindaddr=127.0.0.1 \
        --flags not-need-init,startup-clear >>"$T/tpm-$name/swtpm.log" 2>&1 & own $!
    wait_for 20 test -S "$T/tpm-$name/bus" && wait_for 20 sh -c "ss -Hltn | grep -q ':$((port + 1)) '" || return 1
    tpm2-abrmd --allow-root --flush-all --tcti=swtpm:host=127.0.0.1,port="$port" >>"$T/tpm-$name/abrmd.log" 2>&1 & own $!
    wait_for 20 tpm_answers
}
tpm_made() { # NAME OPTIONS: a new TPM as its maker gives it out, with an EK and its certificate; the maker's CA is $T/tpm-ca
    name=$1; shift
    mkdir -p "$T/tpm-ca"
    cat >"$T/tpm-ca/localca.conf" <<END
statedir = $T/tpm-ca
signingkey = $T/tpm-ca/signkey.pem
issuercert = $T/tpm-ca/issuercert.pem
certserial = $T/tpm-ca/certserial
END
    cat >"$T/tpm-ca/options" <<END
--platform-manufacturer Example
--platform-version 1.0
--platform-model Board
END
    cat >"$T/tpm-ca/setup.conf" <<END
create_certs_tool = /usr/bin/swtpm_localca
create_certs_tool_config = $T/tpm-ca/localca.conf
create_certs_tool_options = $T/tpm-ca/options
END
    swtpm_setup --tpm2 --tpmstate "$T/tpm-$name" --createek --config "$T/tpm-ca/setup.conf" --logfile "$T/tpm-$name/setup.log" "$@" >>"$T/tpm-$name/setup.log" 2>&1
}
