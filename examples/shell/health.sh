#!/bin/sh
# Record the servo's health as CSV: health.sh >health.csv
# The time, °C, V, mA, %: a line for each change, at least one a minute. A number says after how many lines to end.
set -eu
device=${DEVICE:-plate-resort/demo}
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"

mosquitto_sub $broker -q 1 ${1:+-C "$1"} -t "$device/health" |
	jq -r --unbuffered '[.updated_at, .temperature, .voltage, .current, .load] | @csv'
