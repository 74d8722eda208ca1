package mqtt

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plate-resort/plate-resort/device"
)

// readmeRows returns the cells of the README's table rows whose first cell is a topic, in their order.
func readmeRows(t *testing.T) [][]string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "| `T/") {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	return rows
}

var code = regexp.MustCompile("`([^`]+)`")

func codes(cell string) (words []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		words = append(words, m[1])
	}
	return words
}

func TestReadmeListsEveryInputWithItsFields(t *testing.T) {
	var got, want [][]string
	for _, row := range readmeRows(t) {
		if strings.HasSuffix(row[0], "/set`") {
			got = append(got, append(codes(row[0]), codes(row[2])...))
		}
	}
	for _, name := range device.Names {
		want = append(want, append([]string{strings.Replace(NewTopics("", "").Set(name), "/", "T", 1)}, name.Fields()...))
	}
	// The fields of a schedule have a table of their own.
	want = append(want, []string{strings.Replace(NewTopics("", "").SetSchedule("<name>"), "/", "T", 1)})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-the code's table +the README's\n%s", diff)
	}
}

func TestReadmeListsEveryTopicThatIsPublished(t *testing.T) {
	var got []string
	for _, row := range readmeRows(t) {
		if !strings.HasSuffix(row[0], "/set`") {
			got = append(got, codes(row[0])...)
		}
	}
	topics := NewTopics("", "")
	want := []string{
		topics.Availability(), topics.Instance(), topics.State(), topics.Health(), topics.Operation(),
		topics.Queue(), topics.History(), topics.Schedules(), topics.Log(),
	}
	for i := range want {
		want[i] = strings.Replace(want[i], "/", "T", 1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-the code's topics +the README's\n%s", diff)
	}
}

func TestReadmeNamesTheOptions(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range device.Names {
		for _, option := range name.Options() {
			if !strings.Contains(string(readme), "`"+option+"`") {
				t.Errorf("the README does not name %s, which %s takes", option, name)
			}
		}
	}
}

// The bare payload of each row is obeyed by its input.
func TestReadmeGivesBarePayloadsThatWork(t *testing.T) {
	for _, row := range readmeRows(t) {
		topic, ok := strings.CutSuffix(codes(row[0])[0], "/set")
		if !ok || len(codes(row[1])) == 0 {
			continue
		}
		name := device.Name(strings.TrimPrefix(topic, "T/"))
		for _, payload := range codes(row[1]) {
			if _, err := decode(name, []byte(payload), false); err != nil {
				t.Errorf("%s %s: %v", topic, payload, err)
			}
		}
	}
}
