package result

// FeedingTitle is that of the table of the part feeding, which is read again.
const FeedingTitle = "Training from records, and the step alone"

// PaperImages are those of the paper's training: "roughly 90 cycles through the
// training set of 1.2 million images, which took five to six days on two NVIDIA GTX
// 580 3GB GPUs".
const PaperImages = 90 * 1.2e6

// Fed is the speed of a training from records, and the ratio to that of its bare step.
type Fed struct {
	Batch           int
	ImagesPerSecond float64
	Ratio           float64
}

// Feeding returns what the part feeding has measured, of a result that was read from a
// file.
func (r *Result) Feeding() (all []Fed) {
	for _, row := range r.rows("feeding", FeedingTitle) {
		if f := (Fed{int(number(row["batch"])), number(row["training"]), number(row["ratio"])}); f.Ratio > 0 {
			all = append(all, f)
		}
	}
	return all
}
