#!/bin/sh
# rollout.sh: a wave of a rollout that takes all devices: how long the engine is busy with a piece of it, how long a device that polls meanwhile waits, and
# how long the whole takes. In process: no network, no signer.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=rollout
N=$(few 1000000 20000)
for i in $(rounds 1); do
    j=$("$BB/rollout_fill" "$N") || die "rollout_fill"
    for k in batch_p50_ms batch_p99_ms batch_max_ms poll_p50_ms poll_p99_ms poll_max_ms whole_s; do sampled $k $k "$j"; done
done
row "a wave of $N devices is filled: a batch, median" ms batch_p50_ms ""
row "a batch, p99" ms batch_p99_ms 50
row "a batch, the longest" ms batch_max_ms ""
row "a device that polls meanwhile: until its answer, median" ms poll_p50_ms ""
row "until its answer, p99" ms poll_p99_ms 100
row "until its answer, the longest" ms poll_max_ms ""
row "the whole wave" s whole_s ""
