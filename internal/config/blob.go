package config

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Blob is about stored bytes.
type Blob struct {
	Verify string `yaml:"verify"`
	// Stores besides LocalStore, by name.
	Stores map[string]Store `yaml:"stores"`
	// Policies say where new content goes: the first that fits; if none does, to LocalStore.
	Policies []Policy `yaml:"policies"`
}

// LocalStore is the name of the store in the data folder, which is always there.
const LocalStore = "local"

// Store is where blobs are kept: a folder, or a bucket of an object store.
type Store struct {
	// Kind is local, s3 or cos.
	Kind string `yaml:"kind"`
	// Dir is the folder of a local store.
	Dir string `yaml:"dir"`

	// Endpoint is the URL of S3; of COS, the bucket's, if it is not the region's usual one.
	Endpoint string `yaml:"endpoint"`
	// PublicEndpoint is where people's browsers reach the bucket; empty: Endpoint.
	PublicEndpoint string `yaml:"publicEndpoint"`
	Region         string `yaml:"region"`
	Bucket         string `yaml:"bucket"`
	// Prefix that all our keys begin with, so that a bucket can be shared. It ends with a slash.
	Prefix string `yaml:"prefix"`
	// HostStyle has the bucket in the host's name, as S3 itself wants it, and not in the path.
	HostStyle bool `yaml:"hostStyle"`
	// CAFile has the certificates (PEM) that the endpoint is trusted by; empty: the system's.
	CAFile string `yaml:"caFile"`
	// AccessKeyFile and SecretKeyFile hold the keys; empty: the environment does.
	AccessKeyFile string `yaml:"accessKeyFile"`
	SecretKeyFile string `yaml:"secretKeyFile"`
	// ReadMemory and WriteMemory bound the bytes on their way that are in memory; 0: the driver's own bound.
	ReadMemory  int64 `yaml:"readMemory"`
	WriteMemory int64 `yaml:"writeMemory"`
	// ReadAhead is how many parts are fetched ahead of a reader; 0: the driver's own number.
	ReadAhead int `yaml:"readAhead"`
}

// Policy sends some of the new content to a store.
type Policy struct {
	// Drive that it is for; 0: all.
	Drive int64 `yaml:"drive"`
	// MinSize of the content in bytes.
	MinSize int64 `yaml:"minSize"`
	// Store that it goes to.
	Store string `yaml:"store"`
}

// StoreNames are the names of the stores besides LocalStore, in the order in which they are asked for content.
func (b Blob) StoreNames() []string { return slices.Sorted(maps.Keys(b.Stores)) }

// storeName is what stores may be called: their names stand in the database, in commands and in variables.
var storeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (b Blob) check(bad func(format string, a ...any)) {
	oneOf(bad, "blob.verify", b.Verify, "first", "always")
	for _, name := range b.StoreNames() {
		if name == LocalStore {
			bad("blob.stores: %q is the store in the data folder and is always there; choose another name", name)
		} else if !storeName.MatchString(name) {
			bad("blob.stores: %q is no name for a store: small letters, digits and hyphens, a letter first, 32 at most", name)
		}
		b.Stores[name].check("blob.stores."+name, bad)
	}
	places := map[Store]string{}
	for _, name := range b.StoreNames() {
		s := b.Stores[name]
		place := Store{Dir: s.Dir, Endpoint: s.Endpoint, Bucket: s.Bucket, Prefix: s.Prefix}
		if other, ok := places[place]; ok {
			bad("blob.stores: %s and %s are the same place", other, name)
		}
		places[place] = name
	}
	for i, p := range b.Policies {
		if _, ok := b.Stores[p.Store]; !ok && p.Store != LocalStore {
			bad("blob.policies: number %d names the store %q, which blob.stores does not have", i+1, p.Store)
		}
		if p.MinSize < 0 || p.Drive < 0 {
			bad("blob.policies: number %d: minSize and drive are not negative", i+1)
		}
	}
}

func (s Store) check(at string, bad func(format string, a ...any)) {
	oneOf(bad, at+".kind", s.Kind, "local", "s3", "cos")
	if s.Kind == "local" {
		if s.Dir == "" {
			bad("%s.dir: name a folder", at)
		}
		if (s != Store{Kind: s.Kind, Dir: s.Dir}) {
			bad("%s: a store of kind local has a dir and nothing else", at)
		}
		return
	}
	if s.Dir != "" {
		bad("%s.dir: is for stores of kind local", at)
	}
	isURL := func(name, value string) {
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" {
			bad("%s.%s: is not an http or https URL of a host alone, without keys in it", at, name)
		}
	}
	switch {
	case s.Endpoint != "" || s.Kind != "cos":
		isURL("endpoint", s.Endpoint)
	case s.Region == "":
		bad("%s: name the region, or the endpoint", at)
	}
	if s.Kind == "cos" && s.HostStyle {
		bad("%s.hostStyle: is for stores of kind s3", at)
	}
	if s.PublicEndpoint != "" {
		isURL("publicEndpoint", s.PublicEndpoint)
	}
	if s.Bucket == "" {
		bad("%s.bucket: name one", at)
	}
	if s.Prefix != "" && (!strings.HasSuffix(s.Prefix, "/") || strings.HasPrefix(s.Prefix, "/")) {
		bad("%s.prefix: %q does not end, or begins, with a slash", at, s.Prefix)
	}
	if s.ReadMemory < 0 || s.WriteMemory < 0 || s.ReadAhead < 0 {
		bad("%s: readMemory, writeMemory and readAhead are not negative", at)
	}
	if (s.AccessKeyFile == "") != (s.SecretKeyFile == "") {
		bad("%s: accessKeyFile and secretKeyFile go together", at)
	}
}
