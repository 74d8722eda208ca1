//go:build e2e

package cmd_test

import (
	"math"
	"testing"
)

// turned is a JavaScript expression: by how many degrees hotel B is drawn away from the opening, clockwise, 0 to 360, in
// the pixels of the page.
const turned = `(() => {
	const middle = (selector) => {
		const box = $('#carousel ' + selector).getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	};
	const [x, y] = middle('.table'), from = (point) => Math.atan2(point[1] - y, point[0] - x) * 180 / Math.PI;
	return (from(middle('[data-hotel=B] path')) - from(middle('.index')) + 720) % 360;
})()`

// recordTurns keeps what is drawn in each frame from now on: how far B is from the opening, and the angle that is said.
const recordTurns = `(() => {
	window.turns = [];
	const frame = () => {
		window.turns.push([` + turned + `, Number($('#carousel [data-angle]').dataset.angle)]);
		requestAnimationFrame(frame);
	};
	frame();
})()`

// facing is how near to the opening a hotel that faces it is drawn, in degrees: a pixel, and the deviation of the move.
const facing = 1.0

func TestBrowserTurnsToAHotel(t *testing.T) {
	t.Parallel()
	const hotelB = 109 // degrees
	d := newDevice(t, "PLATE_RESORT_SPEED=40")
	_, page := startDashboard(t, "--broker", d.broker.url())
	b := openTab(t, page, "/", laptop)
	b.status(t, "ready")
	b.until(t, "hotel B as far from the opening as it is", "Math.abs("+turned+" - 109) < 1")

	if err := b.evaluate(recordTurns, nil); err != nil {
		t.Fatal(err)
	}
	b.click(t, `[data-action=hotel][data-value=B]`)
	b.until(t, "what is accepted", `says('.commands [data-field=answer]', /^.?Hotel B: accepted$/)`)
	b.status(t, "busy")
	b.until(t, "where it goes", `$('#carousel').dataset.target === '109' && says('.status [data-field=status]', /^Moving$/)`)
	b.status(t, "ready")
	b.until(t, "hotel B facing the opening", `$('#carousel').dataset.hotel === 'B'`)
	b.until(t, "hotel B drawn there", "Math.min("+turned+", 360 - "+turned+") < 1")

	// In between, it has turned one way, in many steps, and not ahead of what was said.
	turns := get[[][2]float64](t, b, "window.turns")
	drawn, said := make(map[int]bool), make(map[float64]bool)
	highest := float64(hotelB + facing)
	for _, turn := range turns {
		at := turn[0]
		if at > 360-facing { // beyond the opening by the deviation
			at -= 360
		}
		if at > highest+facing {
			t.Errorf("hotel B was drawn at %.1f° from the opening after %.1f°", at, highest)
		}
		highest = math.Min(highest, at)
		if at > 5 && at < hotelB-5 {
			drawn[int(at)] = true
			said[turn[1]] = true
		}
		if hotelB-turn[1]-at > facing {
			t.Errorf("hotel B was drawn at %.1f° from the opening before more than %.2f° was said", at, turn[1])
		}
	}
	if len(drawn) < 6 || len(said) < 3 {
		t.Errorf("on its way hotel B was drawn in %d places, and %d angles were said; of %d frames", len(drawn), len(said), len(turns))
	}

	b.until(t, "the move in the history", `$('#history tr').matches('[data-state=completed]') && says('#history tr th', /^Hotel B$/)`)
	b.until(t, "how long it took", `says('#history [data-field=took]', /^\d+\.\d+ s$/)`)
	b.until(t, "its deviation", `says('#history [data-field=deviation]', /^(off by )?[+-]?0\.\d\d°$/)`)
	b.until(t, "it in the timeline", `$('#timeline [data-state=completed] .bar').getBoundingClientRect().width > 0`)
	b.until(t, "the button of the hotel that faces the opening", `$('[data-action=hotel][data-value=B]').getAttribute('aria-current') === 'true'`)
	b.until(t, "it told to a screen reader", `/^lab: Ready\. At hotel B$/.test($('#announce').textContent)`)
	b.until(t, "what a screen reader says of the drawing", `/hotel B faces the opening/.test($('#carousel').getAttribute('aria-label'))`)

	// The hotel in the drawing is a button as well.
	b.click(t, `#carousel g[data-hotel=A]`)
	b.until(t, "hotel A facing the opening", `$('#carousel').dataset.hotel === 'A' && $('article').dataset.status === 'ready'`)
	b.until(t, "it drawn there", "Math.abs("+turned+" - 90) < 1")
}
