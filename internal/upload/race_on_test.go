//go:build race

package upload_test

// checks of the property test: the race detector makes each many times slower.
const checks = 12
