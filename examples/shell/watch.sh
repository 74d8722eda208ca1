#!/bin/sh
# Follow all operations of all devices, a line for each change: watch.sh
set -eu
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"

messages=$(mktemp -d)/messages
mkfifo "$messages"
mosquitto_sub $broker -q 1 -t 'plate-resort/+/operation' >"$messages" &
sub=$!
trap 'kill -9 $sub 2>/dev/null || :; rm -r "$(dirname "$messages")"' EXIT
trap 'exit 1' INT TERM

jq -r --unbuffered '[.operation, .parameters.hotel // .parameters.angle // "-", .state, .error.message // "-"] | @tsv' \
	<"$messages" &
if ! wait $sub; then
	echo "the broker ${BROKER:-localhost}:${PORT:-1883} cannot be reached" >&2
	exit 1
fi
