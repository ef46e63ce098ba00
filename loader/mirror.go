package loader

import (
	"encoding/binary"
	"math/bits"
)

// mirror copies the pixels of a row in reverse, eight of them, three words, at a
// time: the bytes in reverse, and then red and blue, which are two bytes apart,
// exchanged.
func mirror(to, from []byte) {
	const (
		a = 0x0000ff0000ff0000 // bytes 2 and 5 of a word
		b = 0xff0000ff0000ff00 // 1, 4, 7
		c = 0x00ff0000ff0000ff // 0, 3, 6
	)
	le := binary.LittleEndian
	for len(to) >= 24 && len(from) >= 24 {
		last := from[len(from)-24:]
		w0 := bits.ReverseBytes64(le.Uint64(last[16:]))
		w1 := bits.ReverseBytes64(le.Uint64(last[8:]))
		w2 := bits.ReverseBytes64(le.Uint64(last))
		// As bytes: BGRBGRBG RBGRBGRB GRBGRBGR.
		le.PutUint64(to, w0&b|w0>>16&c&^(0xff<<48)|w0<<16&a|w1<<48&(0xff<<48))
		le.PutUint64(to[8:], w1&a|w1>>16&b&^(0xff<<56)|w1<<16&c&^0xff|w0>>48&0xff|w2<<48&(0xff<<56))
		le.PutUint64(to[16:], w2&c|w2>>16&a|w2<<16&b&^(0xff<<8)|w1>>48&(0xff<<8))
		to, from = to[24:], from[:len(from)-24]
	}
	for len(to) >= 3 && len(from) >= 3 {
		copy(to[:3], from[len(from)-3:])
		to, from = to[3:], from[:len(from)-3]
	}
}
