package servers

import (
	"context"
	"fmt"
	"slices"
)

// component is one kind of server, with all of its nodes.
type component struct {
	name string
	// needs are the components that must be up before.
	needs []string
	// up installs it if need be, starts what does not run of it, and returns once it does what it is there for. It is
	// called again when it is up already, and then changes nothing.
	up func(context.Context, *Cluster) error
	// env gives the variables by which programs and tests find it, once it is up.
	env func(*Cluster) map[string]string
}

// components in the order of their start; they stop in reverse.
var components = []component{mysqlComponent, routerComponent, redisComponent, kafkaComponent, etcdComponent, minioComponent, traefikComponent, gopanComponent}

// Names of all components.
func Names() []string {
	all := make([]string, len(components))
	for i, c := range components {
		all[i] = c.name
	}
	return all
}

// selected gives the chosen components and what they need, in the order of their start; no choice means all.
func selected(chosen []string) []component {
	if len(chosen) == 0 {
		return components
	}
	want := make(map[string]bool)
	var add func(name string)
	add = func(name string) {
		i := slices.IndexFunc(components, func(c component) bool { return c.name == name })
		if i < 0 {
			panic(fmt.Sprintf("component %s is needed and not there", name))
		}
		want[name] = true
		for _, n := range components[i].needs {
			add(n)
		}
	}
	for _, name := range chosen {
		add(name)
	}
	var out []component
	for _, c := range components {
		if want[c.name] {
			out = append(out, c)
		}
	}
	return out
}
