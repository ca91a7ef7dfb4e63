package config

import (
	"net/url"
	"regexp"
	"slices"
	"time"
)

// Auth is about signing in.
type Auth struct {
	AccessLife  time.Duration `yaml:"accessLife"`
	SessionLife time.Duration `yaml:"sessionLife"`
	// EraseAfter is how long a deleted account can be brought back.
	EraseAfter time.Duration `yaml:"eraseAfter"`
	SMS        SMS           `yaml:"sms"`
	// Providers are other sites by whose accounts one can sign in.
	Providers []Provider `yaml:"providers"`
	Limits    AuthLimits `yaml:"limits"`
}

// SMS is who sends codes by SMS.
type SMS struct {
	// Driver is off, console, which prints codes where the drive was started, or tencent.
	Driver string `yaml:"driver"`
	// Country of phone numbers that are given without one.
	Country string  `yaml:"country"`
	Tencent Tencent `yaml:"tencent"`
}

// Tencent is Tencent Cloud SMS.
type Tencent struct {
	// SecretIDFile and SecretKeyFile hold the keys of the API; empty: the environment does.
	SecretIDFile  string `yaml:"secretIdFile"`
	SecretKeyFile string `yaml:"secretKeyFile"`
	Region        string `yaml:"region"`
	// Endpoint is the API's URL where it is not the provider's own.
	Endpoint string `yaml:"endpoint"`
	AppID    string `yaml:"appId"`
	Sign     string `yaml:"sign"`
	Template string `yaml:"template"`
}

// Provider is another site that says who somebody is.
type Provider struct {
	// Name is the word for it in addresses and in the database; it must stay as it is.
	Name string `yaml:"name"`
	// Kind is github or oidc.
	Kind string `yaml:"kind"`
	// Title is how people know it.
	Title    string `yaml:"title"`
	ClientID string `yaml:"clientId"`
	// ClientSecretFile holds the secret; empty: the environment does.
	ClientSecretFile string `yaml:"clientSecretFile"`
	// Issuer is the URL of an OpenID Connect site, letter by letter as it calls itself.
	Issuer string `yaml:"issuer"`
	// BaseURL of a GitHub Enterprise server.
	BaseURL string   `yaml:"baseUrl"`
	Scopes  []string `yaml:"scopes"`
	// Register lets whoever has an account there make one here, where the policy of registration allows it.
	Register bool `yaml:"register"`
}

// AuthLimits bound what somebody may try.
type AuthLimits struct {
	Failures        int64 `yaml:"failures"`
	AddressFailures int64 `yaml:"addressFailures"`
	AllFailures     int64 `yaml:"allFailures"`
	AddressMessages int64 `yaml:"addressMessages"`
	AllMessages     int64 `yaml:"allMessages"`
	AddressAccounts int64 `yaml:"addressAccounts"`
}

var (
	providerName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	country      = regexp.MustCompile(`^[A-Z]{2}$`)
)

func (a Auth) check(publicURL string, bad func(format string, a ...any)) {
	if a.AccessLife < time.Minute || a.AccessLife > 15*time.Minute {
		bad("auth.accessLife: %v is not between 1m and 15m", a.AccessLife)
	}
	if a.SessionLife < a.AccessLife {
		bad("auth.sessionLife: %v is shorter than auth.accessLife", a.SessionLife)
	}
	if a.EraseAfter < time.Hour {
		bad("auth.eraseAfter: %v is shorter than 1h", a.EraseAfter)
	}
	a.SMS.check(bad)
	seen := make(map[string]bool)
	for _, p := range a.Providers {
		if seen[p.Name] {
			bad("auth.providers: two are called %q", p.Name)
		}
		seen[p.Name] = true
		if slices.Contains([]string{"password", "sms", "passkey"}, p.Name) {
			bad("auth.providers: %q is the name of another way to sign in", p.Name)
		}
		p.check(bad)
	}
	if len(a.Providers) > 0 && publicURL == "" {
		bad("auth.providers: sites send people back to publicUrl, which is not set")
	}
	for name, n := range map[string]int64{
		"failures": a.Limits.Failures, "addressFailures": a.Limits.AddressFailures, "allFailures": a.Limits.AllFailures,
		"addressMessages": a.Limits.AddressMessages, "allMessages": a.Limits.AllMessages, "addressAccounts": a.Limits.AddressAccounts,
	} {
		if n < 1 {
			bad("auth.limits.%s: less than 1", name)
		}
	}
}

func (s SMS) check(bad func(format string, a ...any)) {
	oneOf(bad, "auth.sms.driver", s.Driver, "off", "console", "tencent")
	if !country.MatchString(s.Country) {
		bad("auth.sms.country: %q is not the two letters of a country, such as CN", s.Country)
	}
	if s.Driver != "tencent" {
		return
	}
	t := s.Tencent
	for name, value := range map[string]string{"region": t.Region, "appId": t.AppID, "sign": t.Sign, "template": t.Template} {
		if value == "" {
			bad("auth.sms.tencent.%s: empty", name)
		}
	}
	if (t.SecretIDFile == "") != (t.SecretKeyFile == "") {
		bad("auth.sms.tencent: secretIdFile and secretKeyFile go together")
	}
	if t.Endpoint != "" && !isURL(t.Endpoint) {
		bad("auth.sms.tencent.endpoint: %q is not an http or https URL", t.Endpoint)
	}
}

func (p Provider) check(bad func(format string, a ...any)) {
	at := "auth.providers." + p.Name
	if !providerName.MatchString(p.Name) {
		bad("auth.providers: the name %q is not a word of small letters, digits and hyphens", p.Name)
	}
	oneOf(bad, at+".kind", p.Kind, "github", "oidc")
	if p.Title == "" || p.ClientID == "" {
		bad("%s: title says how people know the site, clientId who we are there", at)
	}
	if (p.Kind == "oidc") != (p.Issuer != "") {
		bad("%s: issuer is for sites of kind oidc, which need it", at)
	}
	if p.BaseURL != "" && p.Kind != "github" {
		bad("%s: baseUrl is for sites of kind github", at)
	}
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
