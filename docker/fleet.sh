#!/bin/sh
# The fleet's controller: a member of the Ray cluster that offers nothing itself, since a Ray driver
# needs a Ray node on its own machine.  RAY_HEAD is the head's host:port; arguments go to the fleet.
set -eu
case " $* " in
*" --help "*) exec trimtab fleet --ray-address auto "$@" ;;
esac
ray start --address="${RAY_HEAD:-ray-head:6379}" --num-cpus=0 --num-gpus=0 \
    --disable-usage-stats >&2
exec trimtab fleet --ray-address auto "$@"
