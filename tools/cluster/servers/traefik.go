package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// traefikComponent is Traefik, the one address for people: it leads each request to a living process of the role that
// answers it. A second port of it stands before the MinIO nodes.
var traefikComponent = component{name: "traefik", needs: []string{"minio"}, up: traefikUp, env: traefikEnv}

// routes say which role answers what; the longest rule wins. The page and all else is the user role's.
var routes = []struct{ role, rule string }{
	{"user", "PathPrefix(`/`)"},
	{"filemeta", "PathPrefix(`/api/v1/files`) || PathPrefix(`/api/v1/folders`) || PathPrefix(`/api/v1/trash`) || Path(`/api/v1/stat`) || Path(`/api/v1/drive`)"},
	{"upload", "PathPrefix(`/api/v1/uploads`)"},
	{"download", "PathPrefix(`/api/v1/content`) || PathPrefix(`/api/v1/archive`)"},
}

func traefikUp(ctx context.Context, c *Cluster) error {
	program, err := c.script(ctx, "tool.sh", "traefik")
	if err != nil {
		return err
	}
	n, err := c.node("traefik", "1")
	if err != nil {
		return err
	}
	web, err := c.address("traefik/web")
	if err != nil {
		return err
	}
	s3, err := c.address("traefik/s3")
	if err != nil {
		return err
	}
	// Bodies go through as they come, in both directions, for as long as they take.
	static := fmt.Sprintf(`global: {checkNewVersion: false, sendAnonymousUsage: false}
log: {level: WARN}
entryPoints:
  web: {address: %q, transport: {respondingTimeouts: {readTimeout: 0s, writeTimeout: 0s, idleTimeout: 180s}, lifeCycle: {graceTimeOut: 10s}}}
  s3: {address: %q, transport: {respondingTimeouts: {readTimeout: 0s, writeTimeout: 0s, idleTimeout: 180s}}}
ping: {entryPoint: s3}
providers: {file: {directory: %q, watch: true}}
`, web, s3, filepath.Join(n.Dir, "routes"))
	dynamic, err := c.traefikRoutes()
	if err != nil {
		return err
	}
	if _, err := c.folder("traefik", "1", "routes"); err != nil {
		return err
	}
	for file, text := range map[string]string{"traefik.yaml": static, "routes/routes.yaml": dynamic} {
		if err := replace(filepath.Join(n.Dir, file), text); err != nil {
			return err
		}
	}
	if err := n.start(nil, program, "--configFile="+filepath.Join(n.Dir, "traefik.yaml")); err != nil {
		return err
	}
	return n.wait(ctx, time.Minute, func(ctx context.Context) error { return httpOK(ctx, "http://"+s3+"/minio/health/live") })
}

// replace gives a file another content at once, unless it has that: Traefik, which watches, never sees half of it.
func replace(file, text string) error {
	if b, err := os.ReadFile(file); err == nil && string(b) == text {
		return nil
	}
	if err := os.WriteFile(file+".new~", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".new~", file)
}

// traefikRoutes is the configuration that Traefik watches.
func (c *Cluster) traefikRoutes() (string, error) {
	var routers, services strings.Builder
	balance := func(name, health string, urls []string) {
		fmt.Fprintf(&services, "    %s:\n      loadBalancer:\n        healthCheck: {path: %s, interval: 1s, timeout: 1s}\n        servers:\n", name, health)
		for _, u := range urls {
			fmt.Fprintf(&services, "          - {url: %q}\n", u)
		}
	}
	for _, r := range routes {
		// A request is sent to another process if it could not be sent to the first; once sent, never again.
		fmt.Fprintf(&routers, "    %s: {entryPoints: [web], rule: %q, service: %s, middlewares: [again]}\n", r.role, r.rule, r.role)
		urls, err := c.urls("gopan/http/"+r.role+"-", instances)
		if err != nil {
			return "", err
		}
		balance(r.role, "/livez", urls)
	}
	urls, err := c.urls("minio/", minioNodes)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&routers, "    minio: {entryPoints: [s3], rule: \"PathPrefix(`/`)\", service: minio, middlewares: [again]}\n")
	balance("minio", "/minio/health/live", urls)
	return "http:\n  routers:\n" + routers.String() + "  middlewares:\n    again: {retry: {attempts: 3, initialInterval: 50ms}}\n  services:\n" + services.String(), nil
}

func traefikEnv(c *Cluster) map[string]string {
	a, err := c.address("traefik/web")
	if err != nil {
		return nil
	}
	return map[string]string{"GOPAN_TEST_GATEWAY": "http://" + a}
}
