#!/bin/sh
# topic.sh: one decision of the broker's plugin about a topic: publish, subscription, refusal, and a set of eight templates of which the last fits.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=topic
for i in $(rounds 5); do
    j=$("$BB/topic_decide") || die "topic_decide"
    for s in publish subscribe refuse eight; do sampled $s ${s}_ns "$j"; done
done
row "topic decision: publish, line with two templates" ns publish 1000
row "topic decision: subscription" ns subscribe 1000
row "topic decision: refusal" ns refuse 1000
row "topic decision: eight templates that differ at their end" ns eight 1000
