package live

import "fmt"

// maxMistakes of a test are kept, the last ones.
const maxMistakes = 24

// mistakes are images of one test that were taken for something else.
type mistakes struct {
	step   int64
	images int       // tested
	list   []mistake // in the order of the test
}

// mistake is one of them.
type mistake struct {
	Image       int64  `json:"image"` // its number in the split "test"
	Label       string `json:"label"` // what it is
	Given       string `json:"given"` // the likeliest class
	Probability number `json:"probability"`
}

func (m *mistakes) add(one mistake) {
	if len(m.list) == maxMistakes {
		copy(m.list, m.list[1:])
		m.list = m.list[:maxMistakes-1]
	}
	m.list = append(m.list, one)
}

// class returns the name of a label.
func (p *Page) class(label int32) string {
	if int(label) < len(p.run.Classes) {
		return p.run.Classes[label]
	}
	return fmt.Sprintf("class %d", label) // the network may have more outputs than the data set has classes
}
