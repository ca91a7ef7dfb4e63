//go:build !race

package user

const raced = false
