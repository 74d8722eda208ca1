//go:build e2e

package cmd_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// composeModule has the JSON Schema of compose files, as Docker Compose has it.
const composeModule = "github.com/compose-spec/compose-go/v2@v2.16.2"

func readCompose(t *testing.T) (text []byte) {
	t.Helper()
	text, err := os.ReadFile("../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestComposeFollowsItsSchema(t *testing.T) {
	t.Parallel()
	c := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", composeModule)
	c.Dir = t.TempDir() // no module of it
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go mod download %s: %v\n%s", composeModule, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(module.Dir, "schema/compose-spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	var compose any
	if err := yaml.Unmarshal(readCompose(t), &compose); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(compose); err != nil {
		t.Error(err)
	}
}

// What the compose file runs in containers runs here without, with other addresses.
func TestCompose(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			Image       string
			Command     []string
			Environment map[string]string
			Configs     []struct{ Source, Target string }
			Ports       []string
		}
		Configs map[string]struct{ Content string }
	}
	if err := yaml.Unmarshal(readCompose(t), &compose); err != nil {
		t.Fatal(err)
	}
	for name, s := range compose.Services {
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s has %s open to others", name, port)
			}
		}
	}
	dir := t.TempDir()
	b := &broker{port: freePort(t), config: filepath.Join(dir, "mosquitto.conf")}
	write := func(path, config string, replace ...string) {
		t.Helper()
		content := compose.Configs[config].Content
		if content == "" {
			t.Fatalf("there is no config %s", config)
		}
		if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(content)), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	write(b.config, compose.Services["broker"].Configs[0].Source, "listener 1883", "listener "+b.port+" 127.0.0.1")
	b.start(t)
	environment := func(service string) (variables []string) {
		for name, value := range compose.Services[service].Environment {
			variables = append(variables, name+"="+strings.Replace(value, "tcp://broker:1883", b.url(), 1))
		}
		return append(variables, "PLATE_RESORT_STATE_DIR="+dir, "RUNTIME_DIRECTORY="+dir)
	}
	w := b.watch(t, "plate-resort/demo/state", "plate-resort/demo/operation")
	start(t, "device", environment("device"), plateResort, "run")
	w.status(t, "ready")
	b.publish(t, "plate-resort/demo/hotel/set", `{"hotel": "B", "id": "move"}`)
	w.operation(t, "move", "completed")

	d := compose.Services["dashboard"]
	password := filepath.Join(dir, "password")
	write(password, d.Configs[0].Source)
	var args []string
	for _, arg := range d.Command {
		switch arg {
		case "0.0.0.0:8080":
			arg = "0.0.0.0:" + freePort(t)
		case d.Configs[0].Target:
			arg = password
		}
		args = append(args, arg)
	}
	dashboard := start(t, "dashboard", environment("dashboard"), plateResort, args...)
	dashboard.awaitText(t, "http://")
	for password, want := range map[string]int{"": http.StatusUnauthorized, "plate-resort": http.StatusOK} {
		at := page{url: "http://127.0.0.1:" + strings.TrimPrefix(args[2], "0.0.0.0:"), password: password}
		if answer := at.do(t, http.MethodGet, "/", ""); answer.StatusCode != want {
			t.Errorf("with the password %q the dashboard answers %s", password, answer.Status)
		}
	}
}
