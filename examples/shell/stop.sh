#!/bin/sh
# Emergency stop, and wait until the torque is off: stop.sh
# Exits with 0 when it is, and with 1 and the reason when it is not, or when nobody says so.
# The power switch is the real emergency stop. To go on: mosquitto_pub -t plate-resort/demo/reset/set -m PRESS
set -eu
device=${DEVICE:-plate-resort/demo}
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"
id=shell-$(date +%s)-$$

answers=$(mktemp -d)/answers
mkfifo "$answers"
mosquitto_sub $broker -q 1 -W 10 -F '%t %p' -t "$device/operation" -t "$device/availability" >"$answers" &
sub=$!
trap 'kill -9 $sub 2>/dev/null || :; rm -r "$(dirname "$answers")"' EXIT
trap 'exit 1' INT TERM

stop() {
	jq -n --arg id "$id" '{$id}' | mosquitto_pub $broker -q 1 -t "$device/stop/set" -s
}
stop 2>/dev/null || : # at once, whatever else there is to hear

while read -r topic payload; do
	case $topic:$payload in
	*/availability:*) # it is the last of the subscriptions: no answer is missed from here on
		stop # again, as the answer may have been: the same id is the same stop, and is answered again
		[ "$payload" = online ] && continue
		echo "the device is offline: nothing says that its torque is off" >&2
		exit 1
		;;
	esac
	[ "$(printf %s "$payload" | jq -r .id)" = "$id" ] || continue
	case $(printf %s "$payload" | jq -r .state) in
	queued | running | retrying) ;;
	completed)
		echo "stopped, torque off"
		exit 0
		;;
	*)
		printf %s "$payload" | jq -r '"\(.state): \(.error.message)"' >&2
		exit 1
		;;
	esac
done <"$answers"
status=0
wait $sub || status=$?
if [ $status -ne 27 ]; then # 27 is its timeout
	echo "the broker ${BROKER:-localhost}:${PORT:-1883} cannot be reached" >&2
	exit 1
fi
echo "no answer within 10 s: nothing says that the torque is off" >&2
exit 1
