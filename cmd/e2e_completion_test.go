//go:build e2e

package cmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each shell completes with the script that the program prints for it, and with a device that is there. The last word
// of a line is the one that is completed.
func TestCompletion(t *testing.T) {
	t.Parallel()
	d := newDevice(t, "PLATE_RESORT_SPEED=1") // over two minutes to hotel C
	d.do(t, "schedules/morning", `{"cron": "@daily", "operation": "home", "id": "set"}`, "set")
	d.send(t, "hotel", `{"hotel": "C", "id": "move"}`)
	d.send(t, "angle", `{"angle": 12, "id": "next"}`)
	d.watch.operation(t, "next", "queued")
	d.watch.state(t, "move", func(s state) bool { return s.Operation != nil && s.QueueLength == 1 })
	env := append(d.where(), "PATH="+filepath.Dir(plateResort)+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
	rows := []struct {
		line string
		want []string
	}{
		{"plate-resort sen", []string{"send"}},
		{"plate-resort send ", []string{"angle", "cancel", "connection", "home", "hotel", "reboot", "refresh", "reset", "speed", "stop"}},
		{"plate-resort send ho", []string{"home", "hotel"}},
		{"plate-resort send hotel ", []string{"A", "B", "C", "D"}},
		{"plate-resort send connection O", []string{"OFF", "ON"}},
		{"plate-resort send cancel ", []string{"all", "move", "next"}},
		{"plate-resort send hotel B --param t", []string{"timeout_seconds=", "tolerance="}},
		{"plate-resort schedule delete ", []string{"morning"}},
		{"plate-resort schedule pause ", []string{"morning"}},
		{"plate-resort schedule resume ", []string{"morning"}},
		{"plate-resort schedule set evening ", []string{"angle", "home", "hotel", "reboot", "refresh", "speed", "stop"}},
		{"plate-resort schedule set evening hotel ", []string{"A", "B", "C", "D"}},
		{"plate-resort watch --device ", []string{"lab"}},
		{"plate-resort completion ", []string{"bash", "fish", "zsh"}},
	}
	for _, shell := range []struct {
		name     string
		args     []string
		complete string // a command that prints what $LINE can become, each on a line
	}{
		{"bash", []string{"--norc", "--noprofile", "-c"}, `source /usr/share/bash-completion/bash_completion
			source <(plate-resort completion bash)
			read -ra COMP_WORDS <<<"$LINE"; [[ $LINE == *' ' ]] && COMP_WORDS+=('')
			COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=9 COMP_KEY=9
			compopt() { :; } # there is no completion going on
			__start_plate-resort
			printf '%s\n' "${COMPREPLY[@]}"`},
		{"fish", []string{"--no-config", "-c"}, `plate-resort completion fish | source; complete -C "$LINE"`},
	} {
		t.Run(shell.name, func(t *testing.T) { // not in parallel: what waits for its turn would outlast the move
			for _, row := range rows {
				// On a machine that has no time the device may not be heard in the time for a completion.
				for end := time.Now().Add(patience); ; {
					p := start(t, shell.name, append(env, "LINE="+row.line), shell.name, append(shell.args, shell.complete)...)
					expectStatus(t, p, 0)
					got := words(p)
					if slices.Equal(got, row.want) {
						break
					}
					if time.Now().After(end) {
						t.Errorf("%q can become %q, want %q", row.line, got, row.want)
						break
					}
				}
			}
		})
	}
	t.Run("zsh", func(t *testing.T) {
		x := onTerminal(t, 80, append(env, "PS1=ready> "), "zsh", "-f", "-i")
		at := x.await(t, 0, "ready> ")
		x.press(t, "autoload -Uz compinit && compinit -u -D && source <(plate-resort completion zsh) && print li''stening\n")
		at = x.await(t, at, "listening\r\n(?s:.*)ready> ")
		end := time.Now().Add(patience)
		for _, row := range rows {
			if len(row.want) > 1 {
				continue // it would show a menu
			}
			for {
				x.press(t, row.line+"\t")
				at = x.await(t, at, `\x07|`+row.want[0]) // it beeps when it finds nothing
				found := strings.HasSuffix(x.text()[:at], row.want[0])
				x.press(t, "\x15") // rubs the line out
				if found {
					break
				}
				if time.Now().After(end) {
					t.Errorf("%q does not become %s", row.line, row.want[0])
					break
				}
			}
		}
		x.press(t, "plate-resort send connection O\t")
		x.await(t, at, `OFF +ON`)
	})
}

// words are the sorted first words of what a shell has printed: some show what they mean behind them.
func words(p *process) (found []string) {
	lines, _ := p.transcript()
	for _, line := range lines {
		if fields := strings.Fields(line); len(fields) > 0 {
			found = append(found, fields[0])
		}
	}
	slices.Sort(found)
	return found
}

// Without a broker there are no names, at once and without a word.
func TestCompletionWithoutABroker(t *testing.T) {
	t.Parallel()
	env := []string{"PLATE_RESORT_MQTT_BROKER=tcp://127.0.0.1:" + freePort(t)}
	for _, args := range [][]string{
		{"send", "hotel", ""},
		{"schedule", "delete", "--device", "lab", ""},
		{"watch", "--device", ""},
	} {
		p := start(t, strings.Join(args, " "), env, plateResort, append([]string{"__complete"}, args...)...)
		expectStatus(t, p, 0)
		lines, _ := p.transcript()
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "Completion ended with") }) // cobra's
		if !slices.Equal(lines, []string{":4"}) {
			t.Errorf("without a broker %s can become %q", p.name, lines)
		}
	}
}
