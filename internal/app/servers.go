package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"

	"google.golang.org/grpc"

	"github.com/livil/gopan/internal/config"
	"github.com/livil/gopan/internal/db"
	"github.com/livil/gopan/internal/event/kafka"
	eventlocal "github.com/livil/gopan/internal/event/local"
	"github.com/livil/gopan/internal/filemeta"
	"github.com/livil/gopan/internal/kv"
	kvlocal "github.com/livil/gopan/internal/kv/local"
	kvredis "github.com/livil/gopan/internal/kv/redis"
	"github.com/livil/gopan/internal/pb/filemetapb"
	"github.com/livil/gopan/internal/rpc"
	"github.com/livil/gopan/internal/transfer"
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

// commitLog gives filemeta the log that it publishes to.
func (p *Process) commitLog(s *filemeta.Service) error {
	if p.Config.Commits.Driver != "kafka" {
		log := eventlocal.New(s.Apply)
		s.Log = log
		p.onStop("commit log", func(context.Context) error { return log.Close() })
		return nil
	}
	c, err := kafkaConfig(p.Config.Commits)
	if err != nil {
		return err
	}
	log, err := kafka.NewLog(c, p.origin(), s.Apply, p.Config.Commits.Deadline)
	if err != nil {
		return err
	}
	s.Log, s.SeveralWays = log, true
	p.onStop("commit log", func(context.Context) error { return log.Close() })
	return nil
}

// applyCommits begins to apply what any process has published, where the log is one that others apply.
func (p *Process) applyCommits() error {
	s := p.Config.Commits
	if s.Driver != "kafka" {
		return nil
	}
	c, err := kafkaConfig(s)
	if err != nil {
		return err
	}
	source := kafka.NewSource(c, kafka.Gather{Records: s.BatchRecords, Bytes: s.BatchBytes, Wait: s.BatchWait})
	p.onStop("commit log's end", func(context.Context) error { return source.Close() })
	commits := &transfer.Commits{Tree: p.tree(), Source: source, Origin: p.origins()}
	p.background(func(ctx context.Context) { report("commits")(commits.Run(ctx)) })
	return nil
}

// origin is where this process hears what became of the commits that it published.
func (p *Process) origin() string {
	r := p.Config.RPC
	switch {
	case r.Advertise != "":
		return r.Advertise
	case r.Listen != "":
		return r.Listen
	}
	return here
}

// here is the origin in a process that all roles run in.
const here = "here"

// origins gives the ways to processes by their origin.
func (p *Process) origins() func(string) (filemetapb.FileMetaClient, error) {
	own, tree := p.origin(), p.tree()
	var mu sync.Mutex
	known := make(map[string]filemetapb.FileMetaClient)
	var conns []*grpc.ClientConn
	p.onStop("ways to publishers", func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		var all []error
		for _, c := range conns {
			all = append(all, c.Close())
		}
		return errors.Join(all...)
	})
	return func(address string) (filemetapb.FileMetaClient, error) {
		if address == own && p.runs("filemeta") {
			return tree, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if c := known[address]; c != nil {
			return c, nil
		}
		t, err := p.mutual()
		if err != nil {
			return nil, err
		}
		conn, err := rpc.Dial([]string{address}, t)
		if err != nil {
			return nil, err
		}
		conns = append(conns, conn)
		known[address] = filemetapb.NewFileMetaClient(conn)
		return known[address], nil
	}
}

func kafkaConfig(c config.Commits) (kafka.Config, error) {
	password, secure, err := reach("commits", c.Server)
	return kafka.Config{
		Brokers: c.Brokers, Topic: c.Topic, DeadLetters: c.DeadLetters, Group: c.Group, User: c.User, Password: password, TLS: secure,
	}, err
}

// openDatabase opens what holds the metadata.
func (p *Process) openDatabase(ctx context.Context) (*db.DB, error) {
	switch c := p.Config.Database; c.Driver {
	case "mysql":
		password, secure, err := reach("database", c.Server)
		if err != nil {
			return nil, err
		}
		return db.OpenMySQL(ctx, db.MySQL{
			Address: c.Address, Name: c.Name, User: c.User, Password: password, TLS: secure, Connections: c.Connections,
		})
	default:
		return db.OpenSQLite(p.folder.Dir)
	}
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
var passwordVariable = map[string]string{"database": "GOPAN_DATABASE_PASSWORD", "kv": "GOPAN_KV_PASSWORD", "commits": "GOPAN_COMMITS_PASSWORD", "etcd": "GOPAN_ETCD_PASSWORD"}
