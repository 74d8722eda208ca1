package mqtt

import (
	"os"
	"regexp"
	"testing"

	"go.yaml.in/yaml/v3"
)

const examples = "../examples/home-assistant/"

// readYAML reads an example.
func readYAML[T any](t *testing.T, path string) (document T) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return document
}

// visitTexts calls visit with every text of a YAML document, those of keys included.
func visitTexts(document any, visit func(string)) {
	switch d := document.(type) {
	case string:
		visit(d)
	case []any:
		for _, item := range d {
			visitTexts(item, visit)
		}
	case map[string]any:
		for key, value := range d {
			visit(key)
			visitTexts(value, visit)
		}
	}
}

var entityIDs = regexp.MustCompile(`[a-z_]+\.plate_resort_\w+`)

// The entities of the examples are those of a device "lab".
func TestHomeAssistantExamplesNameEntitiesThatThereAre(t *testing.T) {
	exist := make(map[string]bool)
	for _, e := range lab.message(xc330()).Components {
		exist[e.DefaultEntityID] = true
	}
	for _, name := range []string{"dashboard.yaml", "automations.yaml"} {
		named := make(map[string]bool)
		visitTexts(readYAML[any](t, examples+name), func(text string) {
			for _, id := range entityIDs.FindAllString(text, -1) {
				named[id] = true
				if !exist[id] {
					t.Errorf("%s has %s, which the device does not", name, id)
				}
			}
		})
		if len(named) < 5 {
			t.Errorf("%s names %d entities", name, len(named))
		}
	}
}

func TestHomeAssistantDashboardHasCards(t *testing.T) {
	dashboard := readYAML[struct {
		Title string
		Views []struct {
			Type     string
			Sections []struct {
				Type  string
				Cards []struct{ Type string }
			}
		}
	}](t, examples+"dashboard.yaml")
	if len(dashboard.Views) != 1 || dashboard.Views[0].Type != "sections" || len(dashboard.Views[0].Sections) == 0 {
		t.Fatalf("the dashboard is %+v, want one view of sections", dashboard)
	}
	for _, section := range dashboard.Views[0].Sections {
		if section.Type != "grid" || len(section.Cards) < 2 || section.Cards[0].Type != "heading" {
			t.Errorf("a section is %+v, want a grid with a heading and cards", section)
		}
	}
}

func TestHomeAssistantAutomationsAreWhole(t *testing.T) {
	automations := readYAML[[]struct {
		ID, Alias, Description, Mode string
		Triggers                     []struct{ Trigger string }
		Conditions                   []struct{ Condition string }
		Actions                      []struct{ Action string }
	}](t, examples+"automations.yaml")
	if len(automations) != 2 {
		t.Errorf("there are %d automations, want two", len(automations))
	}
	for _, a := range automations {
		if a.ID == "" || a.Alias == "" || a.Description == "" || a.Mode == "" || len(a.Triggers) == 0 || len(a.Conditions) == 0 || len(a.Actions) == 0 {
			t.Errorf("an automation lacks something: %+v", a)
		}
		for _, trigger := range a.Triggers {
			if trigger.Trigger != "state" && trigger.Trigger != "time" {
				t.Errorf("%s is triggered by %q", a.ID, trigger.Trigger)
			}
		}
	}
}

// Of a device that is degraded the status does not say whether it is busy.
func TestHomeAssistantParksOnlyWhenReady(t *testing.T) {
	automations := readYAML[[]struct {
		ID         string
		Conditions []struct {
			EntityID string `yaml:"entity_id"`
			State    any
		}
	}](t, examples+"automations.yaml")
	for _, a := range automations {
		for _, c := range a.Conditions {
			if a.ID == "plate_resort_lab_park" && c.EntityID == "sensor.plate_resort_lab_status" {
				if c.State != "ready" {
					t.Errorf("the carousel is parked when it is %v", c.State)
				}
				return
			}
		}
	}
	t.Error("the carousel is parked whatever its status")
}
