//go:build !race

package testenv

// Race says that the race detector is on: everything is about ten times slower,
// and pools forget what they hold.
const Race = false
