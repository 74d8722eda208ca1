#!/bin/sh
# Emergency stop, and wait until the torque is off: stop.sh
# The power switch is the real emergency stop. To go on: mosquitto_pub -t plate-resort/demo/reset/set -m PRESS
set -eu
device=${DEVICE:-plate-resort/demo}
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"

mosquitto_pub $broker -q 1 -t "$device/stop/set" -m STOP
for _ in 1 2 3 4 5 6 7 8 9 10; do
	state=$(mosquitto_sub $broker -W 5 -C 1 -t "$device/state")
	if printf %s "$state" | jq -e '.emergency_stop and (.torque | not)' >/dev/null; then
		echo "stopped, torque off"
		exit 0
	fi
	sleep 0.2
done
echo "the device does not say that its torque is off" >&2
exit 1
