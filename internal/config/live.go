package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// LiveKeys are the settings that change while processes run. The others are read at start: they say what there is to
// share among requests, where to listen, and which servers to use.
var LiveKeys = []string{
	"blob.policies", "dedupe.minSize", "dedupe.scope", "drive.quota", "limits.archiveBytes", "limits.archiveEntries",
	"limits.batchBytes", "limits.batchFiles", "limits.userDownloads", "limits.userRate", "limits.userUploads", "log.level",
}

// With gives the settings with those of a YAML document over them, which must be live ones. It says everything that is
// wrong with the outcome.
func (c Config) With(document []byte) (Config, error) {
	tree, err := parse(document)
	if err != nil {
		return c, err
	}
	for section, keys := range tree {
		for name := range keys {
			if key := section + "." + name; !slices.Contains(LiveKeys, key) {
				return c, notLive(key)
			}
		}
	}
	next := c
	if err := next.read(document); err != nil {
		return c, err
	}
	if err := next.Check(); err != nil {
		return c, err
	}
	return next, nil
}

func notLive(key string) error {
	return fmt.Errorf("%s is not a setting that changes while the drive runs; those are: %s", key, strings.Join(LiveKeys, ", "))
}

// parse reads a document of settings as section → name → value.
func parse(document []byte) (map[string]map[string]any, error) {
	tree := make(map[string]map[string]any)
	if err := yaml.Unmarshal(document, &tree); err != nil {
		return nil, err
	}
	if tree == nil { // a document of nothing but "null"
		tree = make(map[string]map[string]any)
	}
	return tree, nil
}

// Live gives the live settings as a document.
func (c Config) Live() ([]byte, error) {
	all, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	whole := make(map[string]any)
	if err := yaml.Unmarshal(all, &whole); err != nil {
		return nil, err
	}
	tree := make(map[string]map[string]any)
	for _, key := range LiveKeys {
		section, name, _ := strings.Cut(key, ".")
		values, ok := whole[section].(map[string]any)
		if !ok {
			return nil, errors.New(section + " is no section")
		}
		put(tree, section, name, values[name])
	}
	return yaml.Marshal(tree)
}

func put(tree map[string]map[string]any, section, name string, value any) {
	if tree[section] == nil {
		tree[section] = make(map[string]any)
	}
	tree[section][name] = value
}

// Set gives a document with one live setting changed to a value, which is YAML.
func Set(document []byte, key, value string) ([]byte, error) {
	if !slices.Contains(LiveKeys, key) {
		return nil, notLive(key)
	}
	tree, err := parse(document)
	if err != nil {
		return nil, err
	}
	var v any
	if err := yaml.Unmarshal([]byte(value), &v); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("%s: no value; unset gives the setting back to the file", key)
	}
	section, name, _ := strings.Cut(key, ".")
	put(tree, section, name, v)
	return yaml.Marshal(tree)
}

// Unset gives a document without a setting.
func Unset(document []byte, key string) ([]byte, error) {
	if !slices.Contains(LiveKeys, key) {
		return nil, notLive(key)
	}
	tree, err := parse(document)
	if err != nil {
		return nil, err
	}
	section, name, _ := strings.Cut(key, ".")
	delete(tree[section], name)
	if len(tree[section]) == 0 {
		delete(tree, section)
	}
	return yaml.Marshal(tree)
}

// Values gives each setting of a document in one line of YAML.
func Values(document []byte) (map[string]string, error) {
	tree, err := parse(document)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	for section, values := range tree {
		for name, value := range values {
			var node yaml.Node
			if err := node.Encode(value); err != nil {
				return nil, err
			}
			flow(&node)
			line, err := yaml.Marshal(&node)
			if err != nil {
				return nil, err
			}
			out[section+"."+name] = string(bytes.TrimSpace(line))
		}
	}
	return out, nil
}

// flow has a node and all below it written in one line.
func flow(n *yaml.Node) {
	n.Style |= yaml.FlowStyle
	for _, c := range n.Content {
		flow(c)
	}
}
