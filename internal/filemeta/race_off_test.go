//go:build !race

package filemeta

const checks = 30
