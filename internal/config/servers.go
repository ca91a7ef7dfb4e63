package config

import (
	"net"
	"slices"
	"time"
)

// Server is how to reach servers of one kind that the drive uses.
type Server struct {
	// User, and the file with the password (mode 0600); empty: the environment has it.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"passwordFile"`
	// TLS has the connection encrypted and the server show a certificate, which CAFile (PEM) or the system vouches for.
	TLS    bool   `yaml:"tls"`
	CAFile string `yaml:"caFile"`
}

// Database is where metadata is kept.
type Database struct {
	// Driver is sqlite, a file in the data folder, or mysql.
	Driver string `yaml:"driver"`
	// Address of MySQL, or of the MySQL Router before an InnoDB Cluster.
	Address string `yaml:"address"`
	// Name of the schema in it.
	Name string `yaml:"name"`
	// Connections at most, of each process.
	Connections int `yaml:"connections"`
	Server      `yaml:",inline"`
}

// KV is where small values that expire are kept.
type KV struct {
	// Driver is local, a file in the data folder, or redis.
	Driver string `yaml:"driver"`
	// Addresses of some nodes of the Redis Cluster.
	Addresses []string `yaml:"addresses"`
	// Prefix of all keys.
	Prefix string `yaml:"prefix"`
	Server `yaml:",inline"`
}

// Etcd is where processes find one another, and settings that change while they run.
type Etcd struct {
	// Endpoints of some nodes; none: rpc.peers says where roles are.
	Endpoints []string `yaml:"endpoints"`
	// Prefix of all keys.
	Prefix string `yaml:"prefix"`
	Server `yaml:",inline"`
}

func (s Server) check(name string, bad func(format string, a ...any)) {
	if s.CAFile != "" && !s.TLS {
		bad("%s: caFile without tls", name)
	}
}

func checkAddress(name, address string, bad func(format string, a ...any)) {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		bad("%s: %q is not host:port", name, address)
	}
}

func (d Database) check(bad func(format string, a ...any)) {
	oneOf(bad, "database.driver", d.Driver, "sqlite", "mysql")
	if d.Driver != "mysql" {
		return
	}
	checkAddress("database.address", d.Address, bad)
	if d.Name == "" || d.User == "" {
		bad("database: name and user say which schema, and whose")
	}
	if d.Connections < 2 {
		bad("database.connections: less than 2")
	}
	d.Server.check("database", bad)
}

func (k KV) check(bad func(format string, a ...any)) {
	oneOf(bad, "kv.driver", k.Driver, "local", "redis")
	if k.Driver != "redis" {
		return
	}
	if len(k.Addresses) == 0 || slices.Contains(k.Addresses, "") {
		bad("kv.addresses: name some nodes of the cluster")
	}
	for _, a := range k.Addresses {
		checkAddress("kv.addresses", a, bad)
	}
	k.Server.check("kv", bad)
}

func (e Etcd) check(r RPC, bad func(format string, a ...any)) {
	if len(e.Endpoints) == 0 {
		return
	}
	for _, a := range e.Endpoints {
		checkAddress("etcd.endpoints", a, bad)
	}
	if e.Prefix == "" {
		bad("etcd.prefix: empty")
	}
	if host, _, err := net.SplitHostPort(r.Listen); err == nil && r.Advertise == "" {
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			bad("rpc.advertise: name the address by which others reach rpc.listen, %q, so that etcd can tell them", r.Listen)
		}
	}
	e.Server.check("etcd", bad)
}

// Commits is where file metadata goes on its way to the database.
type Commits struct {
	// Driver is local, a gathering of what one process commits, or kafka.
	Driver string `yaml:"driver"`
	// Brokers of Kafka, some of them.
	Brokers []string `yaml:"brokers"`
	// Topic of commits, and of those that can never be applied.
	Topic       string `yaml:"topic"`
	DeadLetters string `yaml:"deadLetters"`
	// Group under which the processes with the transfer role share the partitions.
	Group string `yaml:"group"`
	// Deadline is how long a commit waits for Kafka and transfer before it is applied directly.
	Deadline time.Duration `yaml:"deadline"`
	// BatchRecords, BatchBytes and BatchWait bound what is applied in one transaction: whichever is reached first.
	BatchRecords int           `yaml:"batchRecords"`
	BatchBytes   int           `yaml:"batchBytes"`
	BatchWait    time.Duration `yaml:"batchWait"`
	Server       `yaml:",inline"`
}

func (c Commits) check(bad func(format string, a ...any)) {
	oneOf(bad, "commits.driver", c.Driver, "local", "kafka")
	if c.Driver != "kafka" {
		return
	}
	if len(c.Brokers) == 0 {
		bad("commits.brokers: name some brokers")
	}
	for _, b := range c.Brokers {
		checkAddress("commits.brokers", b, bad)
	}
	if c.Topic == "" || c.DeadLetters == "" || c.Topic == c.DeadLetters || c.Group == "" {
		bad("commits: topic, deadLetters and group are names, the first two of different topics")
	}
	if c.Deadline < 100*time.Millisecond || c.Deadline > 20*time.Second {
		bad("commits.deadline: %v is not between 100ms and 20s", c.Deadline)
	}
	if c.BatchRecords < 1 || c.BatchRecords > 5000 || c.BatchBytes < 1 || c.BatchWait < 0 || c.BatchWait > time.Second {
		bad("commits: batchRecords is between 1 and 5000, batchBytes at least 1, batchWait between 0 and 1s")
	}
	c.Server.check("commits", bad)
}
