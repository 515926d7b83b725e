#!/bin/sh
# chaos.sh: the long run of t/scenario/chaos_kill.sh: 200 random kill -9 under load, outside ./check. usage: t/chaos.sh [KILLS]
cd "$(dirname "$0")/.." || exit 1
exec sh t/scenario/chaos_kill.sh "${1:-200}"
