package loader

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Benchmark is what a run of the loader alone took.
type Benchmark struct {
	Batch           int       `json:"batch"`
	Crop            [2]int    `json:"crop"`  // height and width
	Cores           int       `json:"cores"` // that the program may use
	Images          int64     `json:"images"`
	Seconds         float64   `json:"seconds"`
	ImagesPerSecond float64   `json:"images_per_second"`
	PerCore         float64   `json:"images_per_second_per_core"`
	ReadMBPerSecond float64   `json:"read_mb_per_second"` // of records, 10^6 bytes
	CropMBPerSecond float64   `json:"crop_mb_per_second"` // of batches
	Stages          []Stage   `json:"stages"`
	Minutes         []float64 `json:"minutes"` // images a second in each whole minute
}

// Stage is a part of the work.
type Stage struct {
	Name         string  `json:"name"`
	Share        float64 `json:"share"`                  // of the workers' time, what they waited for the disk included
	Microseconds float64 `json:"microseconds_per_image"` // that share of the cores' time for an image
}

// warmup is how long batches are made before the clock starts.
const warmup = time.Second

// Measure makes training batches for about the given time, after a second that does
// not count, and says how fast that went. progress, if not nil, is told time done
// and time in all, in milliseconds.
func (s *Set) Measure(ctx context.Context, o Options, length time.Duration, progress func(done, total int64)) (m Benchmark, err error) {
	b, err := s.Train(ctx, o, 0)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.drain(ctx, time.Now().Add(warmup), func(time.Time) {}); err != nil {
		return m, err
	}
	before, start := b.Times(), time.Now()
	rows := int64(b.options.Rows)
	minute, inMinute := start, int64(0)
	err = b.drain(ctx, start.Add(length), func(now time.Time) {
		m.Images += rows
		inMinute += rows
		if d := now.Sub(minute); d >= time.Minute {
			m.Minutes = append(m.Minutes, float64(inMinute)/d.Seconds())
			minute, inMinute = now, 0
		}
		if progress != nil {
			progress(now.Sub(start).Milliseconds(), length.Milliseconds())
		}
	})
	if err != nil {
		return m, err
	}
	m.Seconds = time.Since(start).Seconds()
	m.fill(b, before, b.Times())
	return m, nil
}

// drain takes batches until the time is over, and calls each after every one.
func (b *Batches) drain(ctx context.Context, until time.Time, each func(now time.Time)) error {
	for {
		t, err := b.Next(ctx)
		if err != nil {
			return err
		}
		b.Release(t)
		now := time.Now()
		each(now)
		if now.After(until) {
			return nil
		}
	}
}

// fill works out what follows from what was counted.
func (m *Benchmark) fill(b *Batches, before, after Times) {
	m.Batch, m.Crop, m.Cores = b.options.Rows, [2]int{b.options.Height, b.options.Width}, runtime.GOMAXPROCS(0)
	m.ImagesPerSecond = float64(m.Images) / m.Seconds
	m.PerCore = m.ImagesPerSecond / float64(m.Cores)
	images := float64(max(1, after.Images-before.Images))
	m.ReadMBPerSecond = float64(after.Bytes-before.Bytes) / images * m.ImagesPerSecond / 1e6
	m.CropMBPerSecond = float64(m.Crop[0]*m.Crop[1]*3) * m.ImagesPerSecond / 1e6
	var total time.Duration
	stage := func(name string, d time.Duration) {
		total += d
		m.Stages = append(m.Stages, Stage{Name: name, Share: float64(d)})
	}
	stage("read", after.Read-before.Read)
	stage("check", after.Check-before.Check)
	stage("decompress", after.Decompress-before.Decompress)
	stage("restore", after.Restore-before.Restore)
	stage("crop", after.Crop-before.Crop)
	for i := range m.Stages {
		st := &m.Stages[i]
		st.Share /= float64(max(1, total))
		st.Microseconds = st.Share * 1e6 / m.PerCore
	}
}
