package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// nginx serves root, as fast as it is known to: the kernel sends files, nothing is logged, and connections live on.
type nginx struct {
	*proc
	root string
}

// configuration of nginx. Large uploads are taken in pieces of 1 MiB, which costs it less than its default does.
// Arguments: the folder; a user directive, or nothing; the address.
const configuration = `daemon off;
pid %[1]s/pid;
error_log %[1]s/error.log;
worker_processes auto;
%[2]s
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  server {
    listen %[3]s;
    root %[1]s/root;
    autoindex on;
    autoindex_format json;
    location / { dav_methods PUT; }
  }
}
`

// theNginx starts nginx, once for the run, and installs it if it is not here and may be.
func (b *bench) theNginx() (*nginx, error) {
	if b.nginxOnce != nil {
		return b.nginxOnce, nil
	}
	program, err := findNginx()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "nginx")
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // the run's folder is root's
	}
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, configuration, dir, user, addr), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-p", dir, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	p, err := startProc(b.ctx, dir, "nginx", addr, "/", cmd)
	if err != nil {
		return nil, err
	}
	b.stops = append(b.stops, p.stop)
	b.nginxOnce = &nginx{p, root}
	return b.nginxOnce, nil
}

// findNginx finds nginx on the PATH or where Debian puts it, and has apt install it if need be.
func findNginx() (string, error) {
	find := func() (string, error) {
		if p, err := exec.LookPath("nginx"); err == nil {
			return p, nil
		}
		return exec.LookPath("/usr/sbin/nginx")
	}
	if p, err := find(); err == nil {
		return p, nil
	}
	missing := errors.New("nginx is needed and not here; on Debian or Ubuntu: sudo apt-get install nginx")
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Getuid() != 0 {
		return "", missing
	}
	fmt.Fprint(os.Stderr, "installing nginx ... ")
	for _, args := range [][]string{{"update", "-qq"}, {"install", "-y", "-qq", "--no-install-recommends", "nginx"}} {
		cmd := exec.Command(apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w (apt-get %s: %w)\n%s", missing, args[0], err, out)
		}
	}
	// Debian starts what it installs. Nobody asked for a web server on port 80; where none was started, this fails.
	_ = exec.Command("service", "nginx", "stop").Run()
	return find()
}
