package picture

// The two loops in which scaling spends its time. Go's compiler checks the bounds
// of an array of fixed length once, so they take their operands 6 at a time, or 4
// and 2: photographs of 500x375 become 256x256 with 6 bicubic weights a pixel.

// across scales a row: each pixel of dst is made of taps pixels of row from
// start on, with as many weights.
func across(dst []uint64, row []uint64, start []int, weights []uint64, taps int) {
	start = start[:len(dst)]
	if taps == 6 {
		for i := range dst {
			w, p := (*[6]uint64)(weights), (*[6]uint64)(row[start[i]:])
			dst[i] = rounded(seed + w[0]*p[0] + w[1]*p[1] + w[2]*p[2] + w[3]*p[3] + w[4]*p[4] + w[5]*p[5])
			weights = weights[6:]
		}
		return
	}
	for i := range dst {
		sum, p := uint64(seed), row[start[i]:][:taps]
		for len(p) >= 4 {
			w, q := (*[4]uint64)(weights), (*[4]uint64)(p)
			sum += w[0]*q[0] + w[1]*q[1] + w[2]*q[2] + w[3]*q[3]
			weights, p = weights[4:], p[4:]
		}
		if len(p) >= 2 {
			w, q := (*[2]uint64)(weights), (*[2]uint64)(p)
			sum += w[0]*q[0] + w[1]*q[1]
			weights = weights[2:]
		}
		dst[i] = rounded(sum)
	}
}

// down makes a row of pixels of the rows in ring from number start on, modulo
// their count, one for each weight.
func down(dst []uint64, ring [][]uint64, start int, weights []uint64) {
	row := func(k int) []uint64 { return ring[(start+k)%len(ring)][:len(dst)] }
	for i := range dst {
		dst[i] = seed
	}
	k := 0
	for ; len(weights)-k > 6; k += 4 {
		p0, p1, p2, p3 := row(k), row(k+1), row(k+2), row(k+3)
		w := (*[4]uint64)(weights[k:])
		w0, w1, w2, w3 := w[0], w[1], w[2], w[3]
		for i := range dst {
			dst[i] += w0*p0[i] + w1*p1[i] + w2*p2[i] + w3*p3[i]
		}
	}
	switch weights = weights[k:]; len(weights) {
	case 6:
		p0, p1, p2, p3, p4, p5 := row(k), row(k+1), row(k+2), row(k+3), row(k+4), row(k+5)
		w0, w1, w2, w3, w4, w5 := weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
		for i := range dst {
			dst[i] = rounded(dst[i] + w0*p0[i] + w1*p1[i] + w2*p2[i] + w3*p3[i] + w4*p4[i] + w5*p5[i])
		}
	case 4:
		p0, p1, p2, p3 := row(k), row(k+1), row(k+2), row(k+3)
		w0, w1, w2, w3 := weights[0], weights[1], weights[2], weights[3]
		for i := range dst {
			dst[i] = rounded(dst[i] + w0*p0[i] + w1*p1[i] + w2*p2[i] + w3*p3[i])
		}
	case 2:
		p0, p1 := row(k), row(k+1)
		w0, w1 := weights[0], weights[1]
		for i := range dst {
			dst[i] = rounded(dst[i] + w0*p0[i] + w1*p1[i])
		}
	}
}
