package servers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// etcdNodes is the size of the quorum's group.
const etcdNodes = 3

// etcdComponent is etcd: who is where, and settings that all processes share.
var etcdComponent = component{name: "etcd", up: etcdUp, env: etcdEnv}

func etcdUp(ctx context.Context, c *Cluster) error {
	program, err := c.script(ctx, "tool.sh", "etcd")
	if err != nil {
		return err
	}
	var members []string
	for i := 1; i <= etcdNodes; i++ {
		peer, err := c.address("etcd/peer/" + strconv.Itoa(i))
		if err != nil {
			return err
		}
		members = append(members, fmt.Sprintf("%d=http://%s", i, peer))
	}
	for i := 1; i <= etcdNodes; i++ {
		n, err := c.node("etcd", strconv.Itoa(i))
		if err != nil {
			return err
		}
		client, err := c.address("etcd/" + n.Name)
		if err != nil {
			return err
		}
		_, peer, _ := strings.Cut(members[i-1], "=")
		if err := n.start(nil, program, "--name", n.Name, "--data-dir", filepath.Join(n.Dir, "data"),
			"--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", strings.Join(members, ","), "--initial-cluster-token", "gopan",
			"--heartbeat-interval", "100", "--election-timeout", "1000", "--log-level", "warn"); err != nil {
			return err
		}
	}
	for i := 1; i <= etcdNodes; i++ {
		n, err := c.node("etcd", strconv.Itoa(i))
		if err != nil {
			return err
		}
		client, err := c.address("etcd/" + n.Name)
		if err != nil {
			return err
		}
		if err := n.wait(ctx, time.Minute, func(ctx context.Context) error { return httpOK(ctx, "http://"+client+"/health") }); err != nil {
			return err
		}
	}
	return nil
}

// httpOK fails unless a GET is answered with 200.
func httpOK(ctx context.Context, url string) error { return httpStatus(ctx, url, http.StatusOK) }

// httpStatus fails unless a GET is answered with one of these.
func httpStatus(ctx context.Context, url string, want ...int) error {
	status, body, err := ask(ctx, url)
	if err == nil && !slices.Contains(want, status) {
		err = fmt.Errorf("%s: %d: %.1000s", url, status, body)
	}
	return err
}

// httpGet gives the body of an answer of 200.
func httpGet(ctx context.Context, url string) ([]byte, error) {
	status, body, err := ask(ctx, url)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: %d: %.1000s", url, status, body)
	}
	return body, err
}

func ask(ctx context.Context, url string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return resp.StatusCode, body, err
}

func etcdEnv(c *Cluster) map[string]string {
	var all []string
	for i := 1; i <= etcdNodes; i++ {
		a, err := c.address("etcd/" + strconv.Itoa(i))
		if err != nil {
			return nil
		}
		all = append(all, a)
	}
	return map[string]string{"GOPAN_TEST_ETCD": strings.Join(all, ",")}
}
