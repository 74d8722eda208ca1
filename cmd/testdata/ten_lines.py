"""What one would write in ten lines: no queue, no answers, no emergency stop, nothing kept. To compare with."""
import os, struct, sys, tty
import paho.mqtt.client as mqtt

def crc(data, sum=0):
    for byte in data:
        sum ^= byte << 8
        for _ in range(8):
            sum = (sum << 1 ^ 0x8005 if sum & 0x8000 else sum << 1) & 0xFFFF
    return struct.pack("<H", sum)

def turn(client, userdata, message):
    packet = b"\xff\xff\xfd\x00\x01\x09\x00\x03" + struct.pack("<Hi", 116, round(float(message.payload) * 4096 / 360))
    os.write(port, packet + crc(packet))

def connected(*_):
    client.subscribe("python/angle/set", 1)

port = os.open(sys.argv[2], os.O_RDWR | os.O_NOCTTY)
tty.setraw(port)
client = mqtt.Client(*([mqtt.CallbackAPIVersion.VERSION2] if hasattr(mqtt, "CallbackAPIVersion") else []))
client.on_connect, client.on_message = connected, turn
client.on_subscribe = lambda *_: print("listening", flush=True)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
