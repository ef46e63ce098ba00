package train

import (
	"encoding/json"
	"math"
	"testing"

	"alexnet/model"
)

func TestResultWithoutANumber(t *testing.T) {
	b, err := json.Marshal(Result{Images: 3, Views: 10, Top1Error: 1, Top5Error: 0.5, Loss: math.NaN()})
	if want := `{"images":3,"views":10,"top1_error":1,"top5_error":0.5,"loss":null}`; err != nil || string(b) != want {
		t.Errorf("%s, error %v, want %s", b, err, want)
	}
	b, err = json.Marshal(Result{Images: 3, Views: 1, Loss: 0.5})
	if want := `{"images":3,"views":1,"top1_error":0,"top5_error":0,"loss":0.5}`; err != nil || string(b) != want {
		t.Errorf("%s, error %v, want %s", b, err, want)
	}
}

func TestMeanOf(t *testing.T) {
	image, rgb := []float32{1, 2, 3, 4, 5, 6}, [3]float64{7, 8, 9}
	for how, want := range map[model.Mean][]float32{
		model.MeanPixel: image, model.MeanChannel: {7, 8, 9, 7, 8, 9}, model.MeanNone: {0, 0, 0, 0, 0, 0},
	} {
		mean := meanOf(how, image, rgb, 1, 2)
		for i, v := range mean.Data {
			if v != want[i] {
				t.Errorf("%s: %v, want %v", how, mean.Data, want)
				break
			}
		}
	}
}
