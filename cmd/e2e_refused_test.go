//go:build e2e

package cmd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The broker refuses two subscriptions, and later allows them.
func TestRefusedSubscriptions(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	b.process.kill(t)
	refused := []string{"plate-resort/lab/stop/set", "plate-resort/lab/schedules/+/set"}
	b.refuse(t, refused)
	b.start(t)
	d := prepareDevice(t, b, brisk)
	d.startServo(t)
	d.run(t)
	d.watch.availability(t, "online")
	s := d.watch.state(t, "both topics", func(s state) bool {
		return s.Status == "degraded" && containsAll(s.Message, refused) && strings.Contains(s.Message, "No schedules can be set")
	})
	if !strings.Contains(s.Message, "its access control must allow it") {
		t.Errorf("the message is %q", s.Message)
	}
	for _, topic := range refused {
		d.program.awaitText(t, "level=ERROR", topic)
	}
	d.do(t, "stop", `{"id": "stop"}`, "stop") // over the connection of the commands
	d.do(t, "reset", `{"id": "reset"}`, "reset")

	b.allow(t, refused)
	d.rewatch(t)
	d.watch.status(t, "ready")
	d.do(t, "schedules/night", `{"cron": "0 0 * * *", "operation": "home", "id": "night"}`, "night")
	for _, topic := range refused {
		if n := d.program.count("level=ERROR", topic); n != 1 {
			t.Errorf("the log says %d times that %s is refused, want once", n, topic)
		}
	}
}

// refuse has the broker refuse (0x80) these subscriptions when it is started. With access control by a file it would
// confirm them, and send nothing; so it is by Mosquitto's plugin.
func (b *broker) refuse(t *testing.T, topics []string) {
	t.Helper()
	plugins, err := filepath.Glob("/usr/lib*/*/mosquitto_dynamic_security.so")
	if err != nil || len(plugins) == 0 {
		t.Fatalf("the plugin mosquitto_dynamic_security.so, which comes with Mosquitto, is not there: %v", err)
	}
	rules := `{"acltype": "publishClientSend", "topic": "$CONTROL/#", "allow": true}`
	for _, topic := range topics {
		rules += `, {"acltype": "subscribeLiteral", "topic": "` + topic + `", "allow": false}`
	}
	dir := t.TempDir()
	security := filepath.Join(dir, "security.json")
	conf, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		security: `{"defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true, "subscribe": true, "unsubscribe": true},
			"anonymousGroup": "all", "clients": [], "groups": [{"groupname": "all", "roles": [{"rolename": "all"}]}],
			"roles": [{"rolename": "all", "acls": [` + rules + `]}]}`,
		b.config: string(conf) + "\nuser root\nplugin " + plugins[0] + "\nplugin_opt_config_file " + security + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// allow takes back what refuse has set. Mosquitto ends all connections for that, and that of who asks for it as well.
func (b *broker) allow(t *testing.T, topics []string) {
	t.Helper()
	var commands []string
	for _, topic := range topics {
		commands = append(commands, `{"command": "removeRoleACL", "rolename": "all", "acltype": "subscribeLiteral", "topic": "`+topic+`"}`)
	}
	_ = exec.CommandContext(t.Context(), mosquittoPub, "-h", "127.0.0.1", "-p", b.port, "-q", "1", "-t", "$CONTROL/dynamic-security/v1",
		"-m", `{"commands": [`+strings.Join(commands, ",")+`]}`).Run()
}

// The broker ends the connection of who subscribes to what is not allowed. It is named, and all else works.
func TestABrokerThatEndsTheConnectionForASubscription(t *testing.T) {
	t.Parallel()
	for _, topic := range []string{"plate-resort/lab/schedules/+/set", "plate-resort/lab/stop/set", "homeassistant/status"} {
		t.Run(strings.ReplaceAll(topic, "/", "-"), func(t *testing.T) {
			t.Parallel()
			b := &broker{port: freePort(t)}
			start(t, "aedes", nil, "node", "../.ci/npm/aedes.js", b.port, topic).awaitText(t, "aedes is listening")
			b.publish(t, subscribedTopic, "yes", "-r")
			d := prepareDevice(t, b, brisk)
			d.startServo(t)
			d.run(t)
			d.program.awaitText(t, "level=ERROR", "ends the connection at the subscription to "+topic)
			d.watch.state(t, "a warning with "+topic, func(s state) bool {
				return s.Status == "degraded" && containsAll(s.Message, []string{topic, "its access control must allow it"})
			})
			connected := d.program.count("connected to the broker", "connection=commands")
			d.watch.availability(t, "online")
			for _, id := range []string{"1", "2", "3"} {
				d.do(t, "hotel", `{"hotel": "B", "id": "there `+id+`"}`, "there "+id)
				d.do(t, "home", `{"id": "back `+id+`"}`, "back "+id)
			}
			d.do(t, "stop", `{"id": "stop"}`, "stop")
			// The one that the warning came with, and the one without the topic.
			if n := d.program.count("connected to the broker", "connection=commands"); n > connected+1 {
				t.Errorf("the commands were connected %d times more", n-connected)
			}
			if n := d.program.count("level=ERROR", topic); n != 1 {
				t.Errorf("the log says it %d times, want once", n)
			}
		})
	}
}
