package plan

import "slices"

// segments returns the operations that can be issued as one: at least two steps in
// a row on one stream, whatever other streams do between them, of which only the
// first waits and only the last is waited for. They are issued in the place of the
// last. None reaches from one part of the program, forward, backward and update, to
// the next, so that each can be launched by itself.
func (p *Program) segments() [][]int {
	var all [][]int
	open := make([][]int, len(p.Devices)*int(streams))
	end := func(stream int) {
		if len(open[stream]) > 1 {
			all = append(all, open[stream])
		}
		open[stream] = nil
	}
	for i := range p.Steps {
		if i == p.Forward || i == p.Update {
			for stream := range open {
				end(stream)
			}
		}
		s := &p.Steps[i]
		stream := s.Device*int(streams) + int(s.Stream)
		_, launch := s.Action.(Launch)
		if run := open[stream]; len(run) > 0 && !(launch && p.extends(run, i)) {
			end(stream)
		}
		if launch {
			open[stream] = append(open[stream], i)
		}
	}
	for stream := range open {
		end(stream)
	}
	return all
}

// extends reports whether step i can join a run of steps before it. What the first
// of them waits for must not stand between the two: that is of the run of the
// program before, and would be of this one by the time that step i is issued.
func (p *Program) extends(run []int, i int) bool {
	first, last := run[0], run[len(run)-1]
	return len(p.Steps[i].Waits) == 0 && !p.Steps[last].Signal &&
		!slices.ContainsFunc(p.Steps[first].Waits, func(w int) bool { return w > first && w < i })
}
