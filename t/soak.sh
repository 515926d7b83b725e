#!/bin/sh
# soak.sh: the long run of t/scenario/soak_short.sh, outside ./check: kill -9 of every part at random under load for MINUTES (10), one
# revocation a second, the bound one second. usage: t/soak.sh [MINUTES]
cd "$(dirname "$0")/.." || exit 1
exec sh t/scenario/soak_short.sh $((${1:-10} * 60)) 250 1000
