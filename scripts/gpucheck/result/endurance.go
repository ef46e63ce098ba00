package result

// Of the part endurance: its table that is read again, and what is in it.
const (
	EnduranceTitle = "The first minute and the end"

	HostMemory = "resident memory"
	GPUMemory  = "memory of the GPU"
	Speed      = "speed"
)

// Endurance is what became of memory and speed in a long training.
type Endurance struct {
	Seconds float64
	Changes []Change
}

// Change is how a figure was after the first minute, or in the second, and at the end.
type Change struct {
	What, Unit  string
	First, Last float64
	AsWanted    bool
}

// Endurance returns what the part endurance has found, of a result that was read from a
// file: with no changes if it found nothing.
func (r *Result) Endurance() (e Endurance) {
	for _, row := range r.rows("endurance", EnduranceTitle) {
		e.Seconds = number(row["seconds"])
		what, _ := row["what"].(string)
		unit, _ := row["unit"].(string)
		e.Changes = append(e.Changes, Change{what, unit, number(row["first"]), number(row["last"]), row["as_wanted"] == true})
	}
	return e
}
