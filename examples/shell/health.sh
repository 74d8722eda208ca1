#!/bin/sh
# Record the servo's health as CSV: health.sh >health.csv
# The time, °C, V, mA, %: a line for each change, at least one a minute. A number says after how many lines to end.
set -eu
device=${DEVICE:-plate-resort/demo}
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"

messages=$(mktemp -d)/messages
mkfifo "$messages"
mosquitto_sub $broker -q 1 ${1:+-C "$1"} -t "$device/health" >"$messages" &
sub=$!
trap 'kill -9 $sub 2>/dev/null || :; rm -r "$(dirname "$messages")"' EXIT
trap 'exit 1' INT TERM

jq -r --unbuffered '[.updated_at, .temperature, .voltage, .current, .load] | @csv' <"$messages" &
if ! wait $sub; then
	echo "the broker ${BROKER:-localhost}:${PORT:-1883} cannot be reached" >&2
	exit 1
fi
wait
