package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// plainMain is the plain server: `bench plain -listen ADDR -dir DIR`. It takes PUT and nothing else, makes the file
// durable and answers: what Go and the disk can do when there is no account, no hash, no database and no version.
func plainMain(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("plain", flag.ContinueOnError)
	listen := fs.String("listen", "127.0.0.1:0", "where to listen")
	dir := fs.String("dir", ".", "where to write")
	if err := fs.Parse(args); err != nil {
		return flag.ErrHelp // it has said what is wrong
	}
	s := &http.Server{Addr: *listen, Handler: plainHandler(*dir), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- s.ListenAndServe() }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return s.Close()
	}
}

func plainHandler(dir string) http.Handler {
	var count atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.ContentLength < 0 || r.ContentLength > 1<<20 {
			http.Error(w, "only PUT of up to 1 MiB", http.StatusNotFound)
			return
		}
		data := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, data)
		if err == nil {
			name := filepath.Join(dir, filepath.FromSlash(path.Clean("/"+r.URL.Path)))
			tmp := filepath.Join(filepath.Dir(name), ".tmp"+strconv.FormatInt(count.Add(1), 10))
			err = writeDurably(tmp, name, data)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
}

// thePlain starts the plain server, once for the run. Its files go to the folder "plain" of the run's.
func (b *bench) thePlain() (*proc, string, error) {
	dir := filepath.Join(b.dir, "plain")
	if b.plainOnce != nil {
		return b.plainOnce, dir, nil
	}
	addr, err := freeAddr()
	self, serr := os.Executable()
	if err := errors.Join(err, serr, os.Mkdir(dir, 0o700)); err != nil {
		return nil, "", err
	}
	p, err := startProc(b.ctx, b.dir, "plain-server", addr, "/", exec.Command(self, "plain", "-listen", addr, "-dir", dir))
	if err != nil {
		return nil, "", err
	}
	b.stops = append(b.stops, p.stop)
	b.plainOnce = p
	return p, dir, nil
}
