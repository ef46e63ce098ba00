package main

import "alexnet/scripts/gpucheck/result"

// What the parts fill in, by short names.
type (
	Result  = result.Result
	Machine = result.Machine
	Part    = result.Part
	Table   = result.Table
	Row     = result.Row
	Status  = result.Status
)

const (
	Passed     = result.Passed
	Failed     = result.Failed
	Skipped    = result.Skipped
	Unfinished = result.Unfinished
)
