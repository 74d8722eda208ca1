// Plate Resort turns a carousel of microplate hotels on command of an MQTT broker.
package main

import (
	"os"
	_ "time/tzdata" // the time zones of schedules, for systems that have none

	"github.com/plate-resort/plate-resort/cmd"
)

func main() { os.Exit(cmd.Execute()) }
