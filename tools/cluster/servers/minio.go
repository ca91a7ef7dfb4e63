package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// minioNodes spread each object over their folders, so that it can be read while two are gone and written while one is.
const minioNodes = 4

// minioComponent is a MinIO cluster with erasure coding. Traefik spreads requests over its nodes.
var minioComponent = component{name: "minio", up: minioUp, env: minioEnv}

const (
	minioUser   = "gopan"
	minioBucket = "gopan"
)

// inRoot runs $2 as the only program of a root of its own, below $1, and with the arguments after $3. The data of node $3 are in /data$3. Where MinIO finds
// signs of a container, which are in the machine's root, it takes loopback addresses for a mistake. What is mounted is
// mounted for this process alone, and gone when it ends.
const inRoot = `root=$1/root
mount --bind "$2" "$root/minio"
mount --bind /etc/hosts "$root/etc/hosts"
mount --bind "$1/data" "$root/data$3"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
shift 3
exec chroot "$root" /minio "$@"`

func minioUp(ctx context.Context, c *Cluster) error {
	program, err := c.script(ctx, "tool.sh", "minio")
	if err != nil {
		return err
	}
	password, err := c.secret("minio")
	if err != nil {
		return err
	}
	var nodes []*Node
	var members []string
	for i := 1; i <= minioNodes; i++ {
		n, err := c.node("minio", strconv.Itoa(i))
		if err != nil {
			return err
		}
		a, err := c.address("minio/" + n.Name)
		if err != nil {
			return err
		}
		for _, dir := range []string{"data", "root/data" + n.Name, "root/proc", "root/dev", "root/etc", "root/tmp"} {
			if _, err := c.folder("minio", n.Name, dir); err != nil {
				return err
			}
		}
		for _, file := range []string{"root/minio", "root/etc/hosts"} {
			if err := os.WriteFile(filepath.Join(n.Dir, file), nil, 0o644); err != nil && n.PID() == 0 {
				return err
			}
		}
		nodes = append(nodes, n)
		members = append(members, "http://"+a+"/data"+n.Name)
	}
	for _, n := range nodes {
		a, err := c.address("minio/" + n.Name)
		if err != nil {
			return err
		}
		args := append([]string{"server", "--quiet", "--address", a}, members...)
		// MINIO_CI_CD lets the folders be on one disk.
		if err := n.start([]string{"MINIO_ROOT_USER=" + minioUser, "MINIO_ROOT_PASSWORD=" + password, "MINIO_CI_CD=1", "MINIO_BROWSER=off"},
			"unshare", append([]string{"--mount", "--propagation", "private", "sh", "-ec", inRoot, "sh", n.Dir, program, n.Name}, args...)...); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		a, err := c.address("minio/" + n.Name)
		if err != nil {
			return err
		}
		if err := n.wait(ctx, time.Minute, func(ctx context.Context) error { return httpOK(ctx, "http://"+a+"/minio/health/cluster") }); err != nil {
			return err
		}
	}
	first, err := c.address("minio/1")
	if err != nil {
		return err
	}
	client, err := minio.New(first, &minio.Options{Creds: credentials.NewStaticV4(minioUser, password, "")})
	if err != nil {
		return err
	}
	return nodes[0].wait(ctx, time.Minute, func(ctx context.Context) error {
		there, err := client.BucketExists(ctx, minioBucket)
		if err == nil && !there {
			err = client.MakeBucket(ctx, minioBucket, minio.MakeBucketOptions{})
		}
		return err
	})
}

func minioEnv(c *Cluster) map[string]string {
	a, err := c.address("traefik/s3")
	if err != nil {
		return nil
	}
	password, err := c.secret("minio")
	if err != nil {
		return nil
	}
	return map[string]string{
		"GOPAN_TEST_S3": "http://" + a, "GOPAN_TEST_S3_BUCKET": minioBucket,
		"GOPAN_TEST_S3_ACCESS_KEY": minioUser, "GOPAN_TEST_S3_SECRET_KEY": password,
	}
}

// urls of numbered addresses, such as minio/1 to minio/4.
func (c *Cluster) urls(prefix string, n int) ([]string, error) {
	var all []string
	for i := 1; i <= n; i++ {
		a, err := c.address(fmt.Sprintf("%s%d", prefix, i))
		if err != nil {
			return nil, err
		}
		all = append(all, "http://"+a)
	}
	return all, nil
}
