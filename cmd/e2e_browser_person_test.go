//go:build e2e

package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// prelude is what the tests' expressions can use: $ is the first element of a selector, seen is whether it can be seen,
// says whether it can and its text matches.
const prelude = `
const $ = (selector) => document.querySelector(selector);
const seen = (selector) => Boolean($(selector)?.checkVisibility({ visibilityProperty: true }) && $(selector).getClientRects().length);
const says = (selector, pattern) => seen(selector) && pattern.test($(selector).innerText.replace(/\s+/g, ' ').trim());
`

// evaluate evaluates a JavaScript expression in the page, awaits it if it is a promise, and decodes it into result, unless
// that is nil.
func (b *tab) evaluate(expression string, result any) error {
	ctx, cancel := context.WithTimeout(b.ctx, 2*patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[[]byte]("(() => {"+prelude+"return ("+expression+"\n);})()", chromedp.EvalAwaitPromise))
	if err != nil {
		return fmt.Errorf("%w in %.300s", err, expression)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(value, result)
}

// get returns the value of a JavaScript expression in the page.
func get[T any](t testing.TB, b *tab, expression string) T {
	t.Helper()
	var value T
	if err := b.evaluate(expression, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// until waits until a JavaScript expression in the page is true: with each change of the document, and, as what is laid
// out or scrolled is none, ten times a second.
func (b *tab) until(t testing.TB, what, expression string) {
	t.Helper()
	answer := get[string](t, b, fmt.Sprintf(`new Promise((done) => {
		let wrong = '';
		const end = (answer) => {
			observer.disconnect();
			clearInterval(often);
			clearTimeout(late);
			done(answer);
		};
		const look = () => {
			try {
				if (%s) end('');
			} catch (error) {
				wrong = ': ' + error;
			}
		};
		const observer = new MutationObserver(look);
		const often = setInterval(look, 100);
		const late = setTimeout(() => end('too late' + wrong), %d);
		observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
		look();
	})`, expression, patience.Milliseconds()))
	if answer != "" {
		t.Fatalf("the page does not show %s within %v (%s, %s)", what, patience, expression, answer)
	}
}

// status waits until the opened device is shown with this status.
func (b *tab) status(t testing.TB, status string) {
	t.Helper()
	b.until(t, "status "+status, fmt.Sprintf(`seen('article.device[data-status=%s]')`, status))
}

// click clicks with the mouse in the middle of an element, once it is there, rests, and nothing is in front of it.
func (b *tab) click(t testing.TB, selector string) {
	t.Helper()
	point := get[[]float64](t, b, fmt.Sprintf(`new Promise((done) => {
		const end = performance.now() + %d;
		let x = -1, y = -1;
		const look = () => {
			if (performance.now() > end) { done([]); return; }
			const node = $(%[2]q);
			if (node) {
				const before = [x, y];
				let box = node.getBoundingClientRect();
				const front = () => node.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
				if (!front()) {
					node.scrollIntoView({ block: 'center', inline: 'nearest', behavior: 'instant' });
					box = node.getBoundingClientRect();
				}
				[x, y] = [box.x + box.width / 2, box.y + box.height / 2];
				if (front() && before[0] === x && before[1] === y) { done([x, y]); return; }
			}
			requestAnimationFrame(look);
		};
		look();
	})`, patience.Milliseconds(), selector))
	if len(point) != 2 {
		t.Fatalf("nobody could click %s within %v", selector, patience)
	}
	b.do(t, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, point[0], point[1]), chromedp.MouseClickXY(point[0], point[1]))
}

// press presses and releases a key.
func (b *tab) press(t testing.TB, key string, with ...chromedp.Modifier) {
	t.Helper()
	b.do(t, chromedp.KeyEvent(key, chromedp.KeyModifiers(with...)))
}

// write clicks into an input, and types what it is to have instead of what it has.
func (b *tab) write(t testing.TB, selector, text string) {
	t.Helper()
	b.click(t, selector)
	b.press(t, "a", chromedp.ModifierCtrl)
	b.do(t, chromedp.KeyEvent(text))
}

// choose chooses what a select offers, as its list would, which is no part of the page.
func (b *tab) choose(t testing.TB, selector, value string) {
	t.Helper()
	if !get[bool](t, b, fmt.Sprintf(`(() => {
		const select = $(%q);
		select.focus();
		select.value = %q;
		select.dispatchEvent(new Event('input', { bubbles: true }));
		select.dispatchEvent(new Event('change', { bubbles: true }));
		return select.value === %[2]q;
	})()`, selector, value)) {
		t.Fatalf("%s does not offer %s", selector, value)
	}
}

// tabTo presses Tab until an element has the focus, and shows it.
func (b *tab) tabTo(t testing.TB, selector string) {
	t.Helper()
	for range 100 {
		if get[bool](t, b, fmt.Sprintf(`document.activeElement.matches(%q) && document.activeElement.matches(':focus-visible')`, selector)) {
			return
		}
		b.press(t, "\t")
	}
	t.Fatalf("100 times Tab do not lead to %s", selector)
}
