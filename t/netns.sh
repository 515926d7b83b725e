#!/bin/sh
# netns.sh: the long run of t/scenario/netns_short.sh, outside ./check: the default staleness policy (alarm after 5 s, logins refused after
# 15 min), the link cut for 1 s, 10 s and 20 min. About 22 minutes, nearly idle. Needs root and /dev/net/tun. usage: t/netns.sh
cd "$(dirname "$0")/.." || exit 1
exec sh t/scenario/netns_short.sh 5 900 1200 10
