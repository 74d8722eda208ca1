// Plate Resort turns a carousel of microplate hotels on command of an MQTT broker.
package main

import (
	"os"

	"github.com/plate-resort/plate-resort/cmd"
)

func main() { os.Exit(cmd.Execute()) }
