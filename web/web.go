// Package web is the browser UI, built by `make ui` and carried in the binary.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// csp lets the page load its own files and nothing else.
const csp = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Handler serves the UI. Paths that name no file are the page's own and get its index.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // "dist" is embedded above
	}
	serve := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		st, err := fs.Stat(files, name)
		isFile := err == nil && !st.IsDir() && !strings.HasPrefix(path.Base(name), ".")
		if isFile && strings.HasPrefix(name, "assets/") {
			// Their names hold a hash of what is in them.
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
			serve.ServeHTTP(w, r)
			return
		}
		h.Set("Cache-Control", "no-cache")
		if isFile && name != "index.html" {
			serve.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(name, "assets/") {
			http.NotFound(w, r)
			return
		}
		page, err := fs.ReadFile(files, "index.html")
		if err != nil {
			http.Error(w, "The page is not in this binary: build it with `make build`. The API works.\n"+
				"此程序未包含网页界面：请用 `make build` 构建。API 可正常使用。", http.StatusNotFound)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page) // the caller may have gone
	})
}
