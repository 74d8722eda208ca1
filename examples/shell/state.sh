#!/bin/sh
# Where the carousel stands: state.sh
# Prints one line, as "ready: Ready at hotel B, 109.04°", or offline.
set -eu
device=${DEVICE:-plate-resort/demo}
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"

status=0
availability=$(mosquitto_sub $broker -W 5 -C 1 -t "$device/availability") || status=$?
if [ $status -ne 0 ] && [ $status -ne 27 ]; then # 27 is its timeout
	echo "the broker ${BROKER:-localhost}:${PORT:-1883} cannot be reached" >&2
	exit 1
fi
if [ "$availability" != online ]; then
	echo offline
	exit 1
fi
mosquitto_sub $broker -W 5 -C 1 -t "$device/state" | jq -r '"\(.status): \(.message), \(.angle)°"'
