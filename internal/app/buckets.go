package app

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/livil/gopan/internal/blob/cos"
	"github.com/livil/gopan/internal/blob/object"
	"github.com/livil/gopan/internal/blob/s3"
	"github.com/livil/gopan/internal/config"
)

// bucketOf gives the way to open the bucket of a store, with what the store is told of its id.
func bucketOf(name string, c config.Store) (func(context.Context, object.Config) (*object.Store, error), error) {
	access, secret, err := storeKeys(name, c)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, o object.Config) (*object.Store, error) {
		o.Prefix, o.ReadMemory, o.WriteMemory, o.ReadAhead = c.Prefix, c.ReadMemory, c.WriteMemory, c.ReadAhead
		switch c.Kind {
		case "s3":
			return s3.Open(ctx, s3.Config{
				Endpoint: c.Endpoint, PublicEndpoint: c.PublicEndpoint, Region: c.Region, Bucket: c.Bucket, HostStyle: c.HostStyle,
				AccessKey: access, SecretKey: secret, CAFile: c.CAFile, Store: o,
			})
		case "cos":
			return cos.Open(ctx, cos.Config{
				Endpoint: c.Endpoint, PublicEndpoint: c.PublicEndpoint, Region: c.Region, Bucket: c.Bucket,
				SecretID: access, SecretKey: secret, CAFile: c.CAFile, Store: o,
			})
		}
		return nil, fmt.Errorf("there are no stores of kind %q", c.Kind)
	}, nil
}

// bucketID reads the id that the store in a bucket bears.
func bucketID(ctx context.Context, name string, c config.Store) (string, error) {
	open, err := bucketOf(name, c)
	if err != nil {
		return "", err
	}
	s, err := open(ctx, object.Config{AnyID: true})
	if err != nil {
		return "", err
	}
	return s.ID(), nil
}

// storeKeys gives the keys of an object store: from the files that the settings name, which nobody else can read, or
// from the environment (promise S3).
func storeKeys(name string, c config.Store) (access, secret string, err error) {
	if c.AccessKeyFile != "" {
		if access, err = keyFile(c.AccessKeyFile); err != nil {
			return "", "", err
		}
		secret, err = keyFile(c.SecretKeyFile)
		return access, secret, err
	}
	prefix := "GOPAN_STORE_" + envName(name)
	for _, k := range []struct {
		variable string
		to       *string
	}{{prefix + "_ACCESS_KEY", &access}, {prefix + "_SECRET_KEY", &secret}} {
		if *k.to = os.Getenv(k.variable); *k.to == "" {
			return "", "", fmt.Errorf("no keys: set accessKeyFile and secretKeyFile, or %s in the environment", k.variable)
		}
	}
	return access, secret, nil
}

// keyFile reads a key of one line from a file that is for its owner alone.
func keyFile(file string) (string, error) {
	st, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if st.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("others can read %s (mode %v): make it 0600", file, st.Mode().Perm())
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(b))
	if key == "" || strings.ContainsAny(key, "\r\n") {
		return "", fmt.Errorf("%s does not hold a key on one line", file)
	}
	return key, nil
}
