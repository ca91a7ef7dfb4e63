//go:build race

package filemeta

// checks of the property test: the race detector makes each many times slower.
const checks = 8
