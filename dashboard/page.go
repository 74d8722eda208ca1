package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"time"
)

// page holds the files of the page, in one directory.
//
//go:embed page
var page embed.FS

// contentTypes are those of the page's files; the system's own list is another on every machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// addPage adds the page's files. A browser asks each time whether a file is as it was, so that a new program has all its
// page at once.
func addPage(mux *http.ServeMux) {
	files, err := page.ReadDir("page")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, file := range files {
		name := file.Name()
		content, err := page.ReadFile(path.Join("page", name))
		kind, known := contentTypes[path.Ext(name)]
		if err != nil || !known {
			panic(fmt.Sprintf("the page has a file that cannot be served: %s, %v", name, err))
		}
		tag := fmt.Sprintf(`"%x"`, sha256.Sum256(content))
		serve := func(w http.ResponseWriter, r *http.Request) {
			header := w.Header()
			header.Set("Content-Type", kind)
			header.Set("Cache-Control", "no-cache")
			header.Set("ETag", tag)
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
		}
		mux.HandleFunc("GET /"+name, serve)
		if name == "index.html" {
			mux.HandleFunc("GET /{$}", serve)
		}
	}
}
