//go:build !faults

package faultpoint

// Hit does nothing in this build.
func Hit(string) {}
