package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/livil/gopan/internal/config"
)

// The commented file shows every setting with its default, so reading it changes nothing and leaves none out.
func TestFileShowsDefaults(t *testing.T) {
	const file = "../../etc/gopan.yaml"
	got, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.KV.Addresses, want.Commits.Brokers, want.Etcd.Endpoints = []string{}, []string{}, []string{}
	want.TrustedProxies, want.RPC.Peers = []string{}, map[string][]string{}
	want.Blob.Stores, want.Blob.Policies = map[string]config.Store{}, []config.Policy{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("etc/gopan.yaml says\n%+v, the defaults are\n%+v", got, want)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",") // of what is inline, empty
			if key += ":"; !strings.Contains(string(text), key) {
				t.Errorf("etc/gopan.yaml does not show %s", key)
			}
			t := f.Type
			if t.Kind() == reflect.Map || t.Kind() == reflect.Slice {
				t = t.Elem()
			}
			if t.Kind() == reflect.Struct {
				walk(t)
			}
		}
	}
	walk(reflect.TypeFor[config.Config]())
	if err := got.Check(); err != nil {
		t.Error(err)
	}
}

// B168, G67: a bad setting is refused with its name.
func TestRefuses(t *testing.T) {
	for yaml, want := range map[string]string{
		"dta: x":                     "dta",
		"database: {driver: oracle}": "database.driver",
		"database: {driver: mysql}":  "database.address",
		"database: {driver: mysql, address: \"db:1\", tls: false, caFile: x}": "caFile",
		"database: {driver: mysql, address: \"db:1\", connections: 1}":        "database.connections",
		"commits: {driver: kafka}":                                    "commits.brokers",
		"commits: {driver: kafka, brokers: [\"a:1\"], deadline: 1ms}": "commits.deadline",
		"kv: {driver: redis}":                                         "kv.addresses",
		"kv: {driver: redis, addresses: [\"a\"]}":                     "kv.addresses",
		"limits: {uploads: 0}":                                        "limits.uploads",
		"limits: {userDownloads: -1}":                                 "userDownloads",
		"limits: {archiveEntries: -1}":                                "archiveEntries",
		"limits: {archiveBytes: -1}":                                  "archiveBytes",
		"limits: {userRate: 100}":                                     "limits.userRate",
		"limits: {userRate: -1}":                                      "limits.userRate",
		"download: {redirectMinSize: -1}":                             "redirectMinSize",
		"download: {redirectLife: 24h}":                               "redirectLife",
		"download: {redirectLife: 0s}":                                "redirectLife",
		"limits: {userUploads: 0}":                                    "limits.userUploads",
		"limits: {requestBlocks: 0}":                                  "limits.requestBlocks",
		"limits: {requestBlocks: 64}":                                 "limits.blockMemory",
		"limits: {blockMemory: 1048576}":                              "limits.blockMemory",
		"limits: {batchFiles: 0}":                                     "limits.batchFiles",
		"limits: {batchBytes: -1}":                                    "limits.batchBytes",
		"dedupe: {scope: everybody}":                                  "dedupe.scope",
		"dedupe: {minSize: 0}":                                        "dedupe.minSize",
		"listen: nowhere":                                             "listen",
		"publicUrl: ftp://x":                                          "publicUrl",
		"tls: {cert: a}":                                              "tls",
		"trustedProxies: [everyone]":                                  "trustedProxies",
		"log: {level: loud}":                                          "log.level",
		"rpc: {peers: {cook: ['a:1']}}":                               "cook",
		"rpc: {ca: x}":                                                "rpc",
		"auth: {accessLife: 24h}":                                     "auth.accessLife",
		"work: {confirm: -1s}":                                        "confirm",
		"work: {scrubEvery: -1s}":                                     "scrubEvery",
		"work: {scrubRate: 0}":                                        "work.scrubRate",
		"uploads: {life: 1m}":                                         "uploads.life",
		"work: {grace: 1m}":                                           "work.grace",
		"data: ''":                                                    "data",
		"limits: {uploads: many}":                                     "line 1",
		"debug: {listen: ':6060'}":                                    "debug.listen",
		"blob: {verify: never}":                                       "blob.verify",
		"drive: {quota: -1}":                                          "drive.quota",
		"auth: {sessionLife: 1m}":                                     "auth.sessionLife",
		"blob: {stores: {local: {kind: local, dir: x}}}":              `"local"`,
		"blob: {stores: {A: {kind: local, dir: x}}}":                  `"A"`,
		"blob: {stores: {a: {kind: tape}}}":                           "blob.stores.a.kind",
		"blob: {stores: {a: {kind: local}}}":                          "blob.stores.a.dir",
		"blob: {stores: {a: {kind: local, dir: x, bucket: b}}}":       "blob.stores.a",
		"blob: {stores: {a: {kind: s3, bucket: b}}}":                  "blob.stores.a.endpoint",
		"blob: {stores: {a: {kind: s3, endpoint: 'https://k:s@h', bucket: b}}}":                "blob.stores.a.endpoint",
		"blob: {stores: {a: {kind: s3, endpoint: 'https://h'}}}":                               "blob.stores.a.bucket",
		"blob: {stores: {a: {kind: cos, endpoint: 'https://h', bucket: b, accessKeyFile: f}}}": "blob.stores.a: accessKeyFile",
		"blob: {stores: {a: {kind: local, dir: x}, b: {kind: local, dir: x}}}":                 "a and b",
		"blob: {stores: {a: {kind: local, dir: x}, a: {kind: local, dir: y}}}":                 "already defined",
		"blob: {stores: {a: {kind: s3, endpoint: 'https://h/x', bucket: b}}}":                  "blob.stores.a.endpoint",
		"blob: {stores: {a: {kind: s3, endpoint: 'https://h', bucket: b, prefix: x}}}":         "blob.stores.a.prefix",
		"blob: {stores: {a: {kind: s3, endpoint: 'https://h', bucket: b, readAhead: -1}}}":     "readAhead",
		"blob: {stores: {a: {kind: cos, bucket: b}}}":                                          "blob.stores.a: name the region",
		"blob: {stores: {a: {kind: cos, region: r, bucket: b, hostStyle: true}}}":              "hostStyle",
		"blob: {policies: [{store: a}]}":                                                       "blob.policies: number 1",
		"blob: {policies: [{store: local, minSize: -1}]}":                                      "minSize",
		"blob: {stores: {a: {kind: s3, secretKey: x}}}":                                        "secretKey",
		"rpc: {listen: x, peers: {user: ['y']}}":                                               "rpc.listen",
	} {
		file := filepath.Join(t.TempDir(), "gopan.yaml")
		if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file)
		if err == nil {
			err = c.Check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want an error that names %q", yaml, err, want)
		}
	}
	open := filepath.Join(t.TempDir(), "gopan.yaml")
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(open); err == nil {
		t.Error("read a file that anybody can write")
	}
}
