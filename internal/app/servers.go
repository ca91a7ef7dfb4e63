package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/kv"
	kvlocal "github.com/livil/gopan/internal/kv/local"
	kvredis "github.com/livil/gopan/internal/kv/redis"
)

// values opens the small values that expire, once for the process.
func (p *Process) values() (kv.Store, error) {
	if p.kv != nil {
		return p.kv, nil
	}
	switch c := p.Config.KV; c.Driver {
	case "redis":
		password, secure, err := reach("kv", c.Server)
		if err != nil {
			return nil, err
		}
		store := kvredis.New(kvredis.Config{Addresses: c.Addresses, User: c.User, Password: password, TLS: secure, Prefix: c.Prefix})
		p.onStop("kv", func(context.Context) error { return store.Close() })
		p.checks = append(p.checks, store.Ping)
		p.kv = store
	default:
		store, err := kvlocal.Open(p.folder.Dir)
		if err != nil {
			return nil, err
		}
		p.onStop("kv", func(context.Context) error { return store.Close() })
		p.background(func(ctx context.Context) { everyHour(ctx, func() { report("kv")(store.Expire(ctx)) }) })
		p.kv = store
	}
	return p.kv, nil
}

// reach gives the password for servers of one kind, and how their connections are encrypted; nil: they are not.
func reach(what string, s config.Server) (password string, secure *tls.Config, err error) {
	if s.PasswordFile != "" {
		if password, err = keyFile(s.PasswordFile); err != nil {
			return "", nil, err
		}
	} else {
		password = os.Getenv(passwordVariable[what])
	}
	if !s.TLS {
		return password, nil, nil
	}
	secure = &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return "", nil, err
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return "", nil, fmt.Errorf("%s holds no certificate", s.CAFile)
		}
	}
	return password, secure, nil
}

// passwordVariable is where the environment has passwords that no file holds.
var passwordVariable = map[string]string{"database": "GOPAN_DATABASE_PASSWORD", "kv": "GOPAN_KV_PASSWORD"}
