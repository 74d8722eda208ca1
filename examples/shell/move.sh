#!/bin/sh
# Turn to a hotel, and wait until it is there: move.sh B
# Exits with 0 when it is, and with 1 and the reason when it is not.
set -eu
hotel=${1:?which hotel?}
device=${DEVICE:-plate-resort/demo}
broker="-h ${BROKER:-localhost} -p ${PORT:-1883}"
id=shell-$(date +%s)-$$

answers=$(mktemp -d)/answers
mkfifo "$answers"
mosquitto_sub $broker -q 1 -W 120 -F '%t %p' -t "$device/operation" -t "$device/availability" >"$answers" &
sub=$!
trap 'kill -9 $sub 2>/dev/null || :; rm -r "$(dirname "$answers")"' EXIT
trap 'exit 1' INT TERM

while read -r topic payload; do
	case $topic:$payload in
	*/availability:online) # it is the last of the subscriptions: no answer is missed from here on
		jq -n --arg hotel "$hotel" --arg id "$id" '{$hotel, $id}' |
			mosquitto_pub $broker -q 1 -t "$device/hotel/set" -s
		continue
		;;
	*/availability:*)
		echo "the device is offline" >&2
		exit 1
		;;
	esac
	[ "$(printf %s "$payload" | jq -r .id)" = "$id" ] || continue
	case $(printf %s "$payload" | jq -r .state) in
	queued | running | retrying) ;;
	completed)
		printf %s "$payload" | jq -r '"hotel \(.result.hotel), \(.result.angle)°"'
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
if [ $status -eq 27 ]; then # its timeout
	echo "no end within 120 s" >&2
else
	echo "the broker ${BROKER:-localhost}:${PORT:-1883} cannot be reached" >&2
fi
exit 1
