package main

import (
	"bytes"
	"encoding/json"
)

// ordered is a JSON object that keeps its members in the order in which they were set.
type ordered[V any] struct {
	keys   []string
	values map[string]V
}

func (o *ordered[V]) set(key string, v V) {
	if o.values == nil {
		o.values = map[string]V{}
	}
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

func (o *ordered[V]) get(key string) (V, bool) {
	v, ok := o.values[key]
	return v, ok
}

func (o *ordered[V]) MarshalJSON() ([]byte, error) {
	var w bytes.Buffer
	w.WriteByte('{')
	for i, key := range o.keys {
		if i > 0 {
			w.WriteByte(',')
		}
		for j, part := range []any{key, o.values[key]} {
			if j > 0 {
				w.WriteByte(':')
			}
			data, err := encode(part, "")
			if err != nil {
				return nil, err
			}
			w.Write(bytes.TrimSuffix(data, []byte("\n")))
		}
	}
	w.WriteByte('}')
	return w.Bytes(), nil
}

// encode is json.Marshal for text that people read too: "<", ">" and "&" stay what they are.
func encode(v any, indent string) ([]byte, error) {
	var w bytes.Buffer
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	err := enc.Encode(v)
	return w.Bytes(), err
}
