//go:build !race

package upload_test

// checks of the property test.
const checks = 40
