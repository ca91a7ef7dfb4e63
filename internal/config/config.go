// Package config is the settings: their defaults, how they are read, and what they must be.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is every setting. etc/gopan.yaml shows each with its default and says what it is for.
type Config struct {
	Data      string `yaml:"data"`
	Listen    string `yaml:"listen"`
	PublicURL string `yaml:"publicUrl"`
	TLS       TLS    `yaml:"tls"`

	TrustedProxies []string `yaml:"trustedProxies"`

	Log      Log      `yaml:"log"`
	Debug    Debug    `yaml:"debug"`
	RPC      RPC      `yaml:"rpc"`
	Database Database `yaml:"database"`
	KV       KV       `yaml:"kv"`
	Commits  Commits  `yaml:"commits"`
	Etcd     Etcd     `yaml:"etcd"`
	Auth     Auth     `yaml:"auth"`
	Drive    Drive    `yaml:"drive"`
	Blob     Blob     `yaml:"blob"`
	Uploads  Uploads  `yaml:"uploads"`
	Dedupe   Dedupe   `yaml:"dedupe"`
	Download Download `yaml:"download"`
	Limits   Limits   `yaml:"limits"`
	Work     Work     `yaml:"work"`
}

// TLS names PEM files; without them the drive speaks HTTP.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Log is about log lines.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
	All    bool   `yaml:"all"`
}

// Debug is for finding out what a process spends its time on.
type Debug struct {
	Listen string `yaml:"listen"`
}

// RPC is about calls between processes.
type RPC struct {
	Listen string `yaml:"listen"`
	// Advertise is the address by which others reach Listen; empty: Listen itself.
	Advertise string              `yaml:"advertise"`
	Peers     map[string][]string `yaml:"peers"`
	CA        string              `yaml:"ca"`
	Cert      string              `yaml:"cert"`
	Key       string              `yaml:"key"`
}

// Drive is about new drives.
type Drive struct {
	Quota int64 `yaml:"quota"`
}

// Uploads is about uploads that take many requests.
type Uploads struct {
	Life time.Duration `yaml:"life"`
}

// Dedupe is about content that is here already.
type Dedupe struct {
	Scope   string `yaml:"scope"`
	MinSize int64  `yaml:"minSize"`
}

// Limits bound what callers may take.
type Limits struct {
	Uploads       int           `yaml:"uploads"`
	UserUploads   int           `yaml:"userUploads"`
	RequestBlocks int64         `yaml:"requestBlocks"`
	BlockMemory   int64         `yaml:"blockMemory"`
	BatchFiles    int           `yaml:"batchFiles"`
	BatchBytes    int64         `yaml:"batchBytes"`
	StallTimeout  time.Duration `yaml:"stallTimeout"`
	JSONTimeout   time.Duration `yaml:"jsonTimeout"`

	UserDownloads  int   `yaml:"userDownloads"`
	UserRate       int64 `yaml:"userRate"`
	ArchiveEntries int64 `yaml:"archiveEntries"`
	ArchiveBytes   int64 `yaml:"archiveBytes"`
}

// Download is about where bytes go out.
type Download struct {
	Redirect        bool          `yaml:"redirect"`
	RedirectMinSize int64         `yaml:"redirectMinSize"`
	RedirectLife    time.Duration `yaml:"redirectLife"`
}

// Work is about work behind the scenes.
type Work struct {
	Every      time.Duration `yaml:"every"`
	Grace      time.Duration `yaml:"grace"`
	Confirm    time.Duration `yaml:"confirm"`
	SumRate    int64         `yaml:"sumRate"`
	ScrubRate  int64         `yaml:"scrubRate"`
	ScrubEvery time.Duration `yaml:"scrubEvery"`
}

// Default gives the settings of an installation that sets nothing.
func Default() Config {
	return Config{
		Data:     "gopan-data",
		Listen:   "127.0.0.1:8080",
		Log:      Log{Level: "info", Format: "plain"},
		Database: Database{Driver: "sqlite", Name: "gopan", Server: Server{User: "gopan"}, Connections: 32},
		KV:       KV{Driver: "local", Prefix: "gopan:"},
		Commits: Commits{
			Driver: "local", Topic: "gopan.commits", DeadLetters: "gopan.commits.dead", Group: "gopan.transfer",
			Deadline: 3 * time.Second, BatchRecords: 1000, BatchBytes: 4 << 20, BatchWait: 2 * time.Millisecond,
		},
		Etcd: Etcd{Prefix: "gopan"},
		Auth: Auth{
			AccessLife: 15 * time.Minute, SessionLife: 30 * 24 * time.Hour, EraseAfter: 30 * 24 * time.Hour,
			SMS: SMS{Driver: "off", Country: "CN", Tencent: Tencent{Region: "ap-guangzhou"}},
			Limits: AuthLimits{
				Failures: 10, AddressFailures: 100, AllFailures: 10_000, AddressMessages: 20, AllMessages: 2_000, AddressAccounts: 10,
			},
		},
		Blob:     Blob{Verify: "first"},
		Uploads:  Uploads{Life: 72 * time.Hour},
		Dedupe:   Dedupe{Scope: "global", MinSize: 16 << 20},
		Download: Download{RedirectMinSize: 16 << 20, RedirectLife: 5 * time.Minute},
		Limits: Limits{
			Uploads: 512, UserUploads: 64, RequestBlocks: 16, BlockMemory: 256 << 20, BatchFiles: 1000, BatchBytes: 64 << 20,
			StallTimeout: time.Minute, JSONTimeout: 30 * time.Second, UserDownloads: 32, ArchiveEntries: 100_000,
		},
		Work: Work{
			Every: time.Hour, Grace: 48 * time.Hour, Confirm: time.Hour, SumRate: 64 << 20,
			ScrubRate: 16 << 20, ScrubEvery: 30 * 24 * time.Hour,
		},
	}
}

// Load reads a YAML file over the defaults. A setting that does not exist is an error, and so is a file that
// others can write.
func Load(file string) (Config, error) {
	c := Default()
	f, err := os.Open(file)
	if err != nil {
		return c, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return c, err
	}
	if st.Mode().Perm()&0o022 != 0 {
		return c, fmt.Errorf("%s can be written by others (mode %v): make it 0644 or tighter", file, st.Mode().Perm())
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return c, err
	}
	if err := c.read(b); err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

func (c *Config) read(b []byte) error {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Roles are the names that rpc.peers may have.
var Roles = []string{"user", "filemeta", "upload", "download", "transfer"}

// Check says everything that is wrong with the settings.
func (c Config) Check() error {
	var wrong []error
	bad := func(format string, a ...any) { wrong = append(wrong, fmt.Errorf(format, a...)) }
	if c.Data == "" {
		bad("data: name a folder")
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		bad("listen: %w", err)
	}
	if c.PublicURL != "" {
		if !isURL(c.PublicURL) {
			bad("publicUrl: %q is not an http or https URL", c.PublicURL)
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls: cert and key go together")
	}
	if _, err := c.Proxies(); err != nil {
		bad("trustedProxies: %w", err)
	}
	oneOf(bad, "log.level", c.Log.Level, "debug", "info", "error")
	oneOf(bad, "log.format", c.Log.Format, "plain", "json")
	c.Database.check(bad)
	c.KV.check(bad)
	c.Commits.check(bad)
	c.Etcd.check(c.RPC, bad)
	c.Blob.check(bad)
	if c.Debug.Listen != "" {
		if host, _, err := net.SplitHostPort(c.Debug.Listen); err != nil || !net.ParseIP(host).IsLoopback() {
			bad("debug.listen: %q is not an address of this machine alone, such as 127.0.0.1:6060", c.Debug.Listen)
		}
	}
	if c.RPC.Listen != "" {
		if _, _, err := net.SplitHostPort(c.RPC.Listen); err != nil {
			bad("rpc.listen: %w", err)
		}
	}
	if c.RPC.Advertise != "" {
		checkAddress("rpc.advertise", c.RPC.Advertise, bad)
	}
	for role, addrs := range c.RPC.Peers {
		oneOf(bad, "rpc.peers", role, Roles...)
		for _, a := range addrs {
			if _, _, err := net.SplitHostPort(a); err != nil {
				bad("rpc.peers.%s: %w", role, err)
			}
		}
	}
	if n := btoi(c.RPC.CA != "") + btoi(c.RPC.Cert != "") + btoi(c.RPC.Key != ""); n != 0 && n != 3 {
		bad("rpc: ca, cert and key go together")
	}
	c.Auth.check(c.PublicURL, bad)
	if c.Drive.Quota < 0 {
		bad("drive.quota: negative")
	}
	if c.Uploads.Life < time.Hour {
		bad("uploads.life: %v is shorter than 1h", c.Uploads.Life)
	}
	oneOf(bad, "dedupe.scope", c.Dedupe.Scope, "global", "user")
	if c.Dedupe.MinSize < 1 {
		bad("dedupe.minSize: less than 1")
	}
	if c.Download.RedirectMinSize < 0 || c.Download.RedirectLife < time.Second || c.Download.RedirectLife > time.Hour {
		bad("download: redirectMinSize is not negative, redirectLife is between 1s and 1h")
	}
	c.Limits.check(bad)
	if c.Work.Every < time.Second || c.Work.SumRate < 0 {
		bad("work: every is at least 1s, sumRate is not negative")
	}
	if c.Work.Confirm < 0 || c.Work.ScrubEvery < 0 {
		bad("work: confirm and scrubEvery are not negative")
	}
	if c.Work.ScrubRate < 1<<10 {
		bad("work.scrubRate: at least 1024 bytes a second; scrubEvery: 0 is what turns reading off")
	}
	if c.Work.Grace < time.Hour {
		bad("work.grace: %v is shorter than 1h; an upload that is under way could lose its bytes", c.Work.Grace)
	}
	return errors.Join(wrong...)
}

// check says what is wrong with the limits.
func (l Limits) check(bad func(format string, a ...any)) {
	if l.UserDownloads < 0 || l.ArchiveEntries < 0 || l.ArchiveBytes < 0 {
		bad("limits: userDownloads, archiveEntries and archiveBytes are not negative")
	}
	if l.UserRate != 0 && l.UserRate < 16<<10 {
		bad("limits.userRate: %d is less than 16384 bytes a second", l.UserRate)
	}
	for name, n := range map[string]int64{
		"uploads": int64(l.Uploads), "userUploads": int64(l.UserUploads), "requestBlocks": l.RequestBlocks,
		"batchFiles": int64(l.BatchFiles), "batchBytes": l.BatchBytes,
	} {
		if n < 1 {
			bad("limits.%s: less than 1", name)
		}
	}
	// The blocks of a request may have to wait for one another in memory, and one user has half of it at most.
	if least := 2 * l.RequestBlocks * blockSize; l.BlockMemory < least {
		bad("limits.blockMemory: less than %d, which two requests of limits.requestBlocks may take", least)
	}
	if l.StallTimeout < time.Second || l.JSONTimeout < time.Second {
		bad("limits: stallTimeout and jsonTimeout are at least 1s")
	}
}

// blockSize in bytes, as in package blob.
const blockSize = 4 << 20

func oneOf(bad func(format string, a ...any), name, value string, of ...string) {
	if !slices.Contains(of, value) {
		bad("%s: %q is not one of %s", name, value, strings.Join(of, ", "))
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Proxies gives trustedProxies as networks; a single address is a network of one.
func (c Config) Proxies() ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range c.TrustedProxies {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			addr, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, err
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		out = append(out, p)
	}
	return out, nil
}
