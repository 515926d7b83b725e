#!/bin/sh
# leak.sh: t/leak.sh with 2000 logins.
cd "$(dirname "$0")/../.." || exit 1
exec sh t/leak.sh 2000
