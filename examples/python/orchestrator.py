#!/usr/bin/env python3
"""Plate Resort from Python: the functions of the Prefect program's orchestrator, over MQTT.

    from orchestrator import activate_hotel, get_health, wait

    result = activate_hotel("A")                  # turns, and returns when it is there
    print(result["angle"], result["deviation"])   # degrees
    move = activate_hotel("B", wait=False)        # returns when the device has it: the operation's id
    print(get_health()["temperature"])            # °C
    wait(move, timeout=60)                        # seconds

The functions talk to the device that the environment names, with the variables that the device itself has:
PLATE_RESORT_DEVICE_ID, and PLATE_RESORT_MQTT_ with BROKER, BASE_TOPIC, USERNAME, PASSWORD or PASSWORD_FILE,
CA_FILE, CERT_FILE and KEY_FILE. For another one there is the class: PlateResort(device="lab2", broker="tcp://…").

What is not completed is an OperationError, a device or a broker that is not there a ConnectionError. A timeout
(seconds; None is for ever) ends the waiting with a TimeoutError, but not the operation, and neither does Ctrl-C: the
carousel goes on with what it was told, until cancel() or emergency_stop(). The waiting outlasts a restart of the
broker or of the device. It needs Python 3.9 and paho-mqtt 1.6 or 2 (Debian's python3-paho-mqtt will do).
"""
from __future__ import annotations

import argparse
import json
import math
import os
import ssl
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt

RESEND = 2.0  # seconds without an answer after which a command is sent again, with the same id
PATIENCE = 3.0  # seconds in which a broker hands out what it has retained
REACH = 10.0  # seconds in which a broker is to be found for something new
KEPT = 1000  # operations whose end is remembered here, as many as the device remembers
SURE = 500  # others that may come before a device is not asked for an operation any more: it would do it again
OPTIONS = ("wait", "timeout", "id", "expires_at", "timeout_seconds", "retries", "retry_delay_seconds", "tolerance")
TOPICS = {"operation": dict, "queue": list, "state": dict, "history": list, "availability": str}
PORTS = {"tcp": 1883, "ssl": 8883, "ws": 80, "wss": 443}
Outcome = Any  # the result, a dict; or with wait=False the operation's id, a str


class OperationError(Exception):
    """An operation was not completed, but rejected (nothing has moved), failed, cancelled, expired or interrupted.
    It has this state, code and message as the device gives them, and operation: the whole last event."""
    def __init__(self, operation: dict[str, Any]) -> None:
        error = operation.get("error") or {}
        self.operation, self.state = operation, operation["state"]
        self.code, self.message = error.get("code", ""), error.get("message", "")
        super().__init__(f"{operation.get('operation')} {self.state}: {self.message} ({self.code})")


class _Operation:
    """A command, and what is known of it."""
    def __init__(self, name: str, id: str, payload: str | None) -> None:
        self.name, self.id, self.payload = name, id, payload  # payload is None if somebody else has sent it
        self.event: dict[str, Any] | None = None  # the last one
        self.total = 0  # how many operations of the device had ended when it was accepted
        self.sure = False  # the device has it on disk, and neither it nor we were away since it said so
        self.sent = -math.inf  # when last; of what somebody else has sent: since when it is looked for
        self.message: mqtt.MQTTMessageInfo | None = None  # the last one that paho took
        self.begun, self.fresh = time.monotonic(), True  # fresh: the device was not seen online since

    def ended(self) -> bool:
        return self.event is not None and self.event.get("state") not in ("queued", "running", "retrying")


class PlateResort:
    """One device, seen over a broker. It is connected to when it is first used. Threads may share it.

    The methods wait for the end of what they ask for, and return its result. All take timeout, in seconds. The others'
    options are wait=False, to return the operation's id as soon as the device has accepted it, and the fields id,
    expires_at and timeout_seconds; of moves and reboot also retries and retry_delay_seconds."""

    def __init__(self, device: str | None = None, broker: str | None = None) -> None:
        """device is its id, broker a URL, or several with commas between them, of which the first that
        answers is used: tcp, ssl, ws or wss. Without them it is what the environment says."""
        self._device, self._broker, self._topic = device, broker, ""
        self._changed = threading.Condition()  # guards what follows
        self._keeper: threading.Thread | None = None  # keeps the connection; None while closed
        self._client: mqtt.Client | None = None  # while connected
        self._since = 0.0  # when it was connected
        self._problem = "it does not answer"  # why there is no connection
        self._heard: dict[str, Any] = {}  # the last message of each retained topic
        self._operations: list[_Operation] = []  # the newest last

    def __enter__(self) -> PlateResort:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection to the broker. The carousel stays as it is, and so does the motor's connection."""
        with self._changed:
            self._keeper = None
            if self._client is not None:
                self._client.disconnect()

    def activate_hotel(self, hotel: str, precise: bool | None = None, overrides: dict[str, float] | None = None,
                       **options: Any) -> Outcome:
        """Turn until this hotel faces the opening, within tolerance (0.1 to 5 degrees). precise is whether to push
        where friction stops the carousel short; None is as the device is set, True unless somebody has changed that.
        overrides are settings of the pushing, for this move; activate_hotel("A", pulse_max=40) gives one by name.
        The result has hotel, angle and deviation (degrees), stage, duration_seconds, and pulses if there were any."""
        return self._move("hotel", hotel, precise, overrides, options)

    def move_to_angle(self, angle: float, precise: bool | None = None, overrides: dict[str, float] | None = None,
                      **options: Any) -> Outcome:
        """Turn to an angle, 0 or more and less than 360 degrees. Everything else is as of activate_hotel."""
        return self._move("angle", angle, precise, overrides, options)

    def go_home(self, **options: Any) -> Outcome:
        """Turn to 0 degrees."""
        return self._do("home", options)

    def set_speed(self, speed: int, **options: Any) -> Outcome:
        """Set the profile velocity, in 0.229 rpm, from 1. It counts at once, until the device's program ends."""
        return self._do("speed", options, speed=speed)

    def connect(self, device: str | None = None, baudrate: int | None = None, motor_id: int | None = None,
                **options: Any) -> Outcome:
        """Connect the motor after disconnect(), or at another serial port, rate (bits a second) or id (0 to 252), which
        cancels what runs or waits; None is what it has. The device connects its motor by itself when it starts."""
        return self._do("connection", options, state="ON", port=device, baud=baudrate, motor_id=motor_id)

    def disconnect(self, **options: Any) -> Outcome:
        """Release the motor until connect(): a move is cancelled, torque off, the port closed."""
        return self._do("connection", options, state="OFF")

    def reboot(self, wait: float = 0.8, reapply: bool = True, **options: Any) -> Outcome:
        """Reboot the servo in its turn among the moves, which clears its hardware errors. wait is how long that
        takes, in seconds; with reapply the servo gets its settings and its torque again."""
        return self._do("reboot", options, wait_seconds=wait, reapply=reapply)

    def get_position(self, timeout: float | None = None) -> float:
        """Read the motor now: where the carousel stands, 0 or more and less than 360 degrees."""
        return float(self._do("refresh", {"timeout": timeout})["angle"])

    def get_health(self, timeout: float | None = None) -> dict[str, Any]:
        """Read the motor now: temperature (°C), voltage (V), current (mA) or load (%), warnings, and more."""
        return dict(self._do("refresh", {"timeout": timeout})["health"])

    def emergency_stop(self, timeout: float | None = 10) -> Outcome:
        """Torque off at once; nothing moves until reset(). It is sent before anything is waited for. Returns
        when the torque is off, and raises when nobody says so. The power switch is the real emergency stop."""
        return self._do("stop", {"timeout": timeout})

    def reset(self, **options: Any) -> Outcome:
        """Release the emergency stop: torque on, no motion."""
        return self._do("reset", options)

    def cancel(self, id: str = "all", timeout: float | None = None) -> Outcome:
        """Give up one operation, or all, with torque kept. Returns when what ran has come to rest."""
        return self._do("cancel", {"timeout": timeout}, id=id)

    def status(self, timeout: float | None = None) -> dict[str, Any]:
        """What the device says on its topic state: status, message, hotel, hotels, angle (degrees), and more."""
        question = _Operation("status", "", None)
        with self._changed:
            self._follow(question, lambda: self._absence() is None and "state" in self._heard, _deadline(timeout))
            return dict(self._heard["state"])

    def wait(self, operation: str | dict[str, Any], *, timeout: float | None = None,
             poll: float | None = None) -> dict[str, Any]:
        """Wait for the end of an operation, by its id, and return its result; also of one that somebody else has
        sent. What a call has returned that has waited itself is returned as it is. poll, of old, means nothing."""
        if isinstance(operation, dict):
            return operation
        with self._changed:
            known = [other for other in self._operations if other.id == operation]
            last = known[-1] if known else self._track(_Operation("operation", operation, None))
        return self._result(last, _deadline(timeout))

    # How that is done: whoever waits sends, and sends again; the connection is kept by a thread of its own.

    def _move(self, name: str, goal: Any, precise: bool | None, overrides: dict[str, float] | None,
              options: dict[str, Any]) -> Outcome:
        own = {key: options.pop(key) for key in OPTIONS if key in options}
        return self._do(name, own, **{name: goal}, precise=precise, overrides={**(overrides or {}), **options} or None)

    def _do(self, name: str, options: dict[str, Any], **fields: Any) -> Outcome:
        wait, deadline = options.pop("wait", True), _deadline(options.pop("timeout", None))
        fields = {"id": "python-" + uuid.uuid4().hex, **options, **fields}  # first the id, so that any answer has it
        id = str(fields["id"])
        if not (0 < len(id) <= 64 and id.isprintable()):
            raise ValueError(f"an id must have 1 to 64 printable characters, not {id!r}")
        payload = json.dumps({key: value for key, value in fields.items() if value is not None})
        operation = self._track(_Operation(name, "cancel " + id if name == "cancel" else id, payload))
        try:
            self._follow(operation, lambda: operation.event is not None, deadline)
        finally:
            if operation.event is None:  # nobody will ask for it
                with self._changed:
                    self._operations.remove(operation)
        if wait or operation.event and operation.event["state"] == "rejected":
            return self._result(operation, deadline)
        return id

    def _result(self, operation: _Operation, deadline: float) -> dict[str, Any]:
        self._follow(operation, operation.ended, deadline)
        event = operation.event or {}
        if event["state"] != "completed":
            raise OperationError(event)
        return dict(event.get("result") or {})

    def _track(self, operation: _Operation) -> _Operation:
        with self._changed:
            self._operations.append(operation)
            for old in [known for known in self._operations if known.ended()][:-KEPT]:
                self._operations.remove(old)
            for leaf, value in self._heard.items():
                self._note(leaf, value)
        return operation

    def _follow(self, operation: _Operation, done: Callable[[], bool], deadline: float) -> None:
        """Waits until it is done. Sends the command, again and again, while the device may not have it: in the
        beginning, and after the device or we were away. Raises if the device is away in the beginning."""
        self._open()
        with self._changed:
            while not done():
                now, absence = time.monotonic(), self._absence()
                if self._keeper is None:
                    raise ConnectionError("The connection was closed")
                if operation.name == "cancel" and operation.message and (absence or now >= operation.sent + REACH):
                    raise ConnectionError("The cancel has had no answer; the device may have it all the same")
                due = not operation.sure and now >= operation.sent + RESEND
                due = due and not (operation.name == "cancel" and operation.message)  # again, it would cancel others
                if due and self._client is not None and (absence is None or operation.name == "stop"):
                    others = self._total() - operation.total  # -1 between its attempts
                    if operation.event and not -1 <= others < SURE:
                        raise LookupError(f"device {self._device} has accepted operation {operation.id}, but does not "
                                          "show any more what has become of it")
                    if operation.payload is not None:
                        topic = f"{self._topic}/{operation.name}/set"
                        operation.message = self._client.publish(topic, operation.payload, qos=1)
                    elif operation.sent > 0 and not self._heard.get("queue", [])[19:]:  # it shows 20
                        raise LookupError(f"device {self._device} does not know operation {operation.id} (any more)")
                    operation.sent = now
                operation.fresh = operation.fresh and absence is not None
                if absence and operation.fresh and (self._client is not None or now >= operation.begun + REACH):
                    sent = operation.message  # the stop; nothing else is sent before the device is there
                    if sent is None:
                        raise ConnectionError(absence)
                    if sent.rc != 0 or sent.is_published():
                        raise ConnectionError(f"{absence}; the stop was sent, but nothing says that the torque is off")
                if now >= deadline:
                    known = f"it is {operation.event['state']}" if operation.event else "nothing is known of it"
                    raise TimeoutError(f"{operation.name} {operation.id} has not ended in time: {known}"
                                       + (f". {absence}" if absence else ""))
                self._changed.wait(min(deadline - now, RESEND / 4))

    def _absence(self) -> str | None:
        """Why the device is not there; None if it is, and empty as long as that is not clear."""
        if self._client is None:
            return f"There is no connection to the broker: {self._problem}"
        if "availability" in self._heard:
            return None if self._heard["availability"] == "online" else f"Device {self._device} is offline"
        return "" if time.monotonic() < self._since + PATIENCE else (
            f"The broker knows no device {self._device}, or does not let this user see {self._topic}/availability")

    def _open(self) -> None:
        """Begins to connect, unless that has begun."""
        with self._changed:
            if self._keeper is not None:
                return
            self._device = self._device or _setting("DEVICE_ID")
            if not self._device:
                raise ValueError('which device? Set PLATE_RESORT_DEVICE_ID, or use PlateResort(device="lab1")')
            self._topic = f"{_setting('MQTT_BASE_TOPIC', 'plate-resort')}/{self._device}"
            urls = (self._broker or _setting("MQTT_BROKER", "tcp://localhost:1883")).split(",")
            list(map(_make, urls))  # what is wrong with the settings is said here
            self._keeper = threading.Thread(target=self._keep, args=(urls,), daemon=True)
            self._keeper.start()

    def _keep(self, urls: list[str]) -> None:
        """Keeps a connection until it is closed, to the first broker that answers; again after each loss."""
        this = threading.current_thread()
        while self._keeper is this:
            any(self._session(url) for url in urls)
            time.sleep(1)

    def _session(self, url: str) -> bool:
        """One connection, until it is lost or closed; reports whether there was one."""
        over = threading.Event()
        try:
            client, host, port = _make(url)
            client.on_connect, client.on_message = self._on_connect, self._on_message
            client.on_disconnect = lambda *_: over.set()
            client.connect(host, port, keepalive=15)
        except (OSError, ValueError) as error:
            self._problem = f"{url.strip()}: {error}"
            return False
        client.loop_start()
        over.wait()
        with self._changed:
            if self._client is not client:
                return False
            self._client, self._problem = None, "it was lost"
            self._forget()
            self._changed.notify_all()
            return True

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, code: Any, *_: Any) -> None:
        if code != 0:  # it disconnects now
            self._problem = mqtt.connack_string(code)
            return
        # What is retained comes in this order: with the availability, all that the device has said is there.
        client.subscribe([(f"{self._topic}/{leaf}", 1) for leaf in TOPICS])
        with self._changed:
            self._client, self._since = client, time.monotonic()
            self._changed.notify_all()

    def _forget(self) -> None:
        """What was heard may not be so any more: the device or we are away."""
        self._heard = {}
        for operation in self._operations:
            operation.sure, operation.sent = False, -math.inf

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        leaf = message.topic[len(self._topic) + 1:]
        try:
            value = message.payload.decode() if leaf == "availability" else json.loads(message.payload)
        except (ValueError, RecursionError):
            return  # the device has not sent that
        with self._changed:
            if isinstance(value, TOPICS[leaf]):
                if leaf == "availability" and value != "online":
                    self._forget()
                if leaf != "operation":
                    self._heard[leaf] = value
                self._note(leaf, value)
                self._changed.notify_all()

    def _note(self, leaf: str, value: Any) -> None:
        """Takes note of what a message says of our operations."""
        for event in [value] if leaf == "operation" else [value.get("operation")] if leaf == "state" else value:
            if not isinstance(event, dict):
                continue
            id, parameters = event.get("id"), event.get("parameters")
            if event.get("operation") == "cancel" and isinstance(parameters, dict):
                id = "cancel " + str(parameters.get("id"))
            for operation in [known for known in self._operations if known.id == str(id) and not known.ended()]:
                # What is retained, or comes before it is sent, may be an earlier operation with this id, and a
                # rejection be of a later command. But a device that has forgotten what it had accepted, and is asked
                # again, may refuse it now.
                code = (event.get("error") or {}).get("code")
                if operation.event is None:
                    if operation.payload is not None and (leaf != "operation" or operation.message is None):
                        continue
                    operation.total = self._total()
                elif event.get("state") == "rejected" and (operation.sure or code in ("duplicate_id", "queue_full")):
                    continue
                operation.event, operation.sure = event, event.get("durable", True)

    def _total(self) -> int:
        """How many operations the device has had, as far as we know."""
        state = self._heard.get("state", {})
        return int(state.get("operations_total", 0)) + int(state.get("queue_length", 0)) + bool(state.get("operation"))


def _deadline(timeout: float | None) -> float:
    return time.monotonic() + (math.inf if timeout is None else timeout)


def _setting(name: str, otherwise: str = "") -> str:
    return os.environ.get("PLATE_RESORT_" + name, "") or otherwise


def _make(url: str) -> tuple[mqtt.Client, str, int]:
    """Makes a client for one connection (over the next one, paho would send what is late), and says whither."""
    parts = urlsplit(url.strip())
    if parts.scheme not in PORTS or not parts.hostname or parts.username is not None:
        raise ValueError("a broker must be a URL such as tcp://broker.lab:1883, or with ssl, ws or wss; a user name "
                         "goes into PLATE_RESORT_MQTT_USERNAME")
    options: dict[str, Any] = {"transport": "websockets" if "ws" in parts.scheme else "tcp"}
    if hasattr(mqtt, "CallbackAPIVersion"):  # paho 2
        options["callback_api_version"] = mqtt.CallbackAPIVersion.VERSION2
    client = mqtt.Client(reconnect_on_failure=False, **options)
    client.ws_set_options(path=parts.path or "/")
    if _setting("MQTT_USERNAME"):
        file = _setting("MQTT_PASSWORD_FILE")
        password = Path(file).read_text("utf-8").rstrip("\r\n") if file else _setting("MQTT_PASSWORD")
        client.username_pw_set(_setting("MQTT_USERNAME"), password)
    if parts.scheme in ("ssl", "wss"):
        tls = ssl.create_default_context(cafile=_setting("MQTT_CA_FILE") or None)
        if _setting("MQTT_CERT_FILE"):
            tls.load_cert_chain(_setting("MQTT_CERT_FILE"), _setting("MQTT_KEY_FILE"))
        client.tls_set_context(tls)
    return client, parts.hostname, parts.port or PORTS[parts.scheme]


# The functions: of the device that the environment names.
_resort = PlateResort()
activate_hotel, move_to_angle, go_home = _resort.activate_hotel, _resort.move_to_angle, _resort.go_home
connect, disconnect, set_speed, reboot = _resort.connect, _resort.disconnect, _resort.set_speed, _resort.reboot
get_position, get_health, status = _resort.get_position, _resort.get_health, _resort.status
emergency_stop, reset, cancel, wait = _resort.emergency_stop, _resort.reset, _resort.cancel, _resort.wait


def main() -> None:
    """Run a night's sequence: the first hotel, the second one with precision, home."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--device", help="its id (default: PLATE_RESORT_DEVICE_ID)")
    parser.add_argument("--broker", help="its URL (default: PLATE_RESORT_MQTT_BROKER)")
    with PlateResort(**vars(parser.parse_args())) as resort:
        state = resort.status()
        print(state["message"])
        for hotel, tolerance in zip(state["hotels"], (None, 0.3)):
            there = resort.activate_hotel(hotel, precise=True, tolerance=tolerance)
            print(f"Hotel {hotel}: {there['angle']}°, {there['deviation']:+}° from its place")
        print(f"Home: {resort.go_home()['angle']}°, and the servo has {resort.get_health()['temperature']} °C")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("The carousel goes on with what it was told.")
    except (OperationError, OSError, ValueError) as error:
        sys.exit(str(error))
