package live

import (
	"encoding/json"
	"math"
	"slices"
	"sort"
	"strconv"
)

// point is a line of the record as a curve needs it.
type point struct {
	step  int64
	epoch float64
	loss  float64 // cross-entropy in nats
	top1  float64 // errors, 0 to 1
	top5  float64
}

// MarshalJSON writes [epoch, loss, top-1 error, top-5 error].
func (p point) MarshalJSON() ([]byte, error) {
	return json.Marshal([]number{number(p.epoch), number(p.loss), number(p.top1), number(p.top5)})
}

// number is one that JSON may not have: not finite, it is written as null.
type number float64

// MarshalJSON writes six digits, more than a picture shows.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 6, 64), nil
}

// maxPoints of a curve are kept. Then each two become one, their mean, and so do
// those that come: the longer the run, the coarser its curve.
const maxPoints = 4096

// curve is points by step, each the mean of so many lines of the record. Those that
// were added stay as they are until the version changes, so that who has some needs
// only what came after them.
type curve struct {
	version int
	points  []point
	halved  int     // times: a point is the mean of 1<<halved lines
	lines   []point // of the next point
}

func (c *curve) add(p point) {
	c.lines = append(c.lines, p)
	if len(c.lines) < 1<<c.halved {
		return
	}
	c.points = append(c.points, mean(c.lines))
	c.lines = c.lines[:0]
	if len(c.points) == maxPoints {
		half := make([]point, 0, maxPoints)
		for pair := range slices.Chunk(c.points, 2) {
			half = append(half, mean(pair))
		}
		c.points = half
		c.halved++
		c.version++
	}
}

// mean returns what stands for points, at the step of the last.
func mean(points []point) point {
	m := point{step: points[len(points)-1].step}
	n := float64(len(points))
	for _, p := range points {
		m.epoch += p.epoch / n
		m.loss += p.loss / n
		m.top1 += p.top1 / n
		m.top5 += p.top5 / n
	}
	return m
}

// cut takes the points of later steps away, and the lines of which there is none yet.
func (c *curve) cut(step int64) {
	n := sort.Search(len(c.points), func(i int) bool { return c.points[i].step > step })
	if n < len(c.points) {
		c.points = slices.Clone(c.points[:n])
		c.version++
	}
	c.lines = c.lines[:0]
}

// have is which points of a curve a browser has: the first count of a version.
type have struct{ version, count int }

// after returns the points that come after those that a browser has, or all if
// they are of another version.
func (c *curve) after(h have) points {
	if h.version != c.version || h.count < 0 || h.count > len(c.points) {
		h.count = 0
	}
	return points{c.version, h.count, append([]point{}, c.points[h.count:]...)}
}
