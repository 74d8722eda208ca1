package motor

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/plate-resort/plate-resort/motor/dynamixel"
)

// A Found is a servo that has answered a scan.
type Found struct {
	ID          byte
	Model       string
	ModelNumber int
	Firmware    int
}

const (
	// turn is how long each id has for the beginning of its answer to a ping for all, as ROBOTIS's own programs
	// have it: https://github.com/ROBOTIS-GIT/DynamixelSDK, broadcastPing. The manual gives no number.
	turn = 3 * time.Millisecond
	// scanInterval is how soon a scan sees that it is to end.
	scanInterval = 20 * time.Millisecond
)

// Scan asks all servos on an open port who they are, and returns them in the order of their ids: those that
// listen at that rate, in bits a second. Servos with the same id are found when they differ in model or
// firmware, and one of them has been heard. It takes until the highest id has had its turn, 1.4 s at 57,600
// bits a second. When ctx ends first, it returns what has been found so far, and why ctx ended. The error of a
// port that fails says what to do; the port may then hang when it is closed.
func Scan(ctx context.Context, port Port, baud int) ([]Found, error) {
	const ids = int(dynamixel.MaxID) + 1
	const params = 3 // model number (2), firmware version
	size := dynamixel.StatusSize(params)
	ping := dynamixel.AppendPacket(nil, dynamixel.Packet{ID: dynamixel.BroadcastID, Instruction: dynamixel.Ping})

	var found []Found
	if err := port.ResetInputBuffer(); err != nil {
		return nil, portFailed(err)
	}
	if err := write(port, ping); err != nil {
		return nil, portFailed(err)
	}
	deadline := time.Now().Add(wireTime(len(ping)+ids*size, baud) + time.Duration(ids)*turn + replyMargin)
	parser := dynamixel.Parser{MaxLength: 2 * size} // every byte of it could be stuffed
	var buf [256]byte
	for late := false; !late; {
		if ctx.Err() != nil {
			return found, context.Cause(ctx)
		}
		left := max(0, time.Until(deadline))
		late = left == 0 // whoever wakes late looks once more at what has come meanwhile
		if err := port.SetReadTimeout(min(left, scanInterval)); err != nil {
			return found, portFailed(err)
		}
		n, err := port.Read(buf[:])
		if err != nil {
			return found, portFailed(err)
		}
		parser.Feed(buf[:n])
		for p, ok := parser.Next(); ok; p, ok = parser.Next() {
			// Passes over the echo of an adapter that hears itself. An alert is no reason not to be found.
			if p.Instruction != dynamixel.Status || p.Error.Number() != 0 || len(p.Params) != params {
				continue
			}
			number := dynamixel.ModelNumber.Get(p.Params, 0)
			model, _ := dynamixel.LookupModel(number)
			f := Found{ID: p.ID, Model: model.Name, ModelNumber: int(number), Firmware: int(p.Params[2])}
			if !slices.Contains(found, f) {
				found = append(found, f)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Found) int { return cmp.Compare(a.ID, b.ID) })
	return found, nil
}
