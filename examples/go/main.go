// Turn the carousel to hotel B, and say where it stands then.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/plate-resort/plate-resort/client"
	"github.com/plate-resort/plate-resort/mqtt/session"
)

func main() {
	ctx := context.Background()
	resort, err := client.Dial(ctx, client.Config{Broker: session.Broker{URLs: []string{"tcp://localhost:1883"}}})
	if err != nil {
		log.Fatal(err)
	}
	defer resort.Close()
	move, err := resort.Submit(ctx, "demo", client.Command{Input: "hotel", Fields: map[string]any{"hotel": "B"}})
	if err != nil { // offline, or rejected: it says what is wrong
		log.Fatal(err)
	}
	// It is accepted, and carried out whatever becomes of this program.
	end, err := move.Wait(ctx)
	if err != nil { // a *client.OperationError if the operation failed: it has the code and the message
		log.Fatal(err)
	}
	fmt.Printf("hotel %s, %v from its place, in %v s\n", end.Result.Hotel, *end.Result.Deviation, end.Result.DurationSeconds)
}
