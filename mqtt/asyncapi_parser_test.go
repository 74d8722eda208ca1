//go:build e2e

package mqtt

import (
	"os/exec"
	"strings"
	"testing"
)

// AsyncAPI's own parser has nothing to say against the document.
func TestAsyncAPIParserAcceptsTheDocument(t *testing.T) {
	parse := func(document string) (string, error) {
		c := exec.Command("node", "../.ci/npm/parse-asyncapi.js")
		c.Stdin = strings.NewReader(document)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := parse(AsyncAPI); err != nil {
		t.Errorf("%v; make install gets the parser\n%s", err, out)
	}
	broken := strings.Replace(AsyncAPI, "action: send", "action: shout", 1)
	if _, err := parse(broken); err == nil {
		t.Error("the parser accepts anything")
	}
}
