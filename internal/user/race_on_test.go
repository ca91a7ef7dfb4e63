//go:build race

package user

// raced is whether the race detector runs, which takes several times the program's own memory.
const raced = true
