#!/bin/sh
# Follow all operations of all devices, a line for each change: watch.sh
set -eu
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"

mosquitto_sub $broker -q 1 -t 'plate-resort/+/operation' |
	jq -r --unbuffered '[.operation, .parameters.hotel // .parameters.angle // "-", .state, .error.message // "-"] | @tsv'
