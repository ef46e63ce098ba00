//go:build !race

package plan_test

// raceEnabled says that everything is about ten times slower.
const raceEnabled = false
