package app

import (
	"fmt"
	"os"
	"strings"

	"github.com/livil/gopan/internal/config"
)

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
	prefix := "GOPAN_STORE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
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
