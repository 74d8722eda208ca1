#!/bin/sh
# Where the carousel stands: state.sh
# Prints one line, as "ready: Ready at hotel B, 109.04°", or offline.
set -eu
device=${DEVICE:-plate-resort/demo}
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"

if [ "$(mosquitto_sub $broker -W 5 -C 1 -t "$device/availability")" != online ]; then
	echo offline
	exit 1
fi
mosquitto_sub $broker -W 5 -C 1 -t "$device/state" | jq -r '"\(.status): \(.message), \(.angle)°"'
