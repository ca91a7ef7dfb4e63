package config_test

import (
	"strings"
	"testing"

	"github.com/livil/gopan/internal/config"
)

// Every live setting can be shown, and set to what it is.
func TestLive(t *testing.T) {
	c := config.Default()
	c.Blob.Policies = []config.Policy{{MinSize: 5, Store: "local"}}
	document, err := c.Live()
	if err != nil {
		t.Fatal(err)
	}
	values, err := config.Values(document)
	if err != nil {
		t.Fatal(err)
	}
	if len(values) != len(config.LiveKeys) || values["blob.policies"] != "[{drive: 0, minSize: 5, store: local}]" {
		t.Errorf("%v", values)
	}
	var set []byte
	for _, key := range config.LiveKeys {
		if set, err = config.Set(set, key, values[key]); err != nil {
			t.Fatal(key, err)
		}
	}
	again, err := config.Default().With(set)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Live(); err != nil || string(got) != string(document) {
		t.Errorf("%s, %v; want %s", got, err, document)
	}
	for _, key := range config.LiveKeys {
		if set, err = config.Unset(set, key); err != nil {
			t.Fatal(key, err)
		}
	}
	if strings.TrimSpace(string(set)) != "{}" {
		t.Errorf("nothing is left: %s", set)
	}
}

func TestLiveRefuses(t *testing.T) {
	for document, want := range map[string]string{
		"log: {level: loud}":                "log.level",
		"listen: ':80'":                     "cannot unmarshal",
		"log: {format: json}":               "log.format is not a setting that changes",
		"limits: {uploads: 5}":              "limits.uploads is not",
		"limits: {userRate: 5}":             "limits.userRate",
		"dedupe: {scope: all}":              "dedupe.scope",
		"dedupe: {minSize: much}":           "cannot unmarshal",
		"blob: {policies: [{store: moon}]}": "moon",
		"drive: {quota: -1}":                "drive.quota",
	} {
		c := config.Default()
		got, err := c.With([]byte(document))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", document, err, want)
		}
		if got.Log.Level != c.Log.Level || got.Dedupe != c.Dedupe || got.Limits != c.Limits || got.Drive != c.Drive || len(got.Blob.Policies) > 0 {
			t.Errorf("%s has changed something", document)
		}
	}
	for _, document := range []string{"", "null", "{}", "log:", "log: {level: debug}"} {
		if _, err := config.Default().With([]byte(document)); err != nil {
			t.Errorf("%q: %v", document, err)
		}
	}
	if _, err := config.Set(nil, "listen", ":80"); err == nil {
		t.Error("listen is live")
	}
	if _, err := config.Set(nil, "log.level", ""); err == nil {
		t.Error("no value is a value")
	}
}
