// Package record is the format in which data sets are kept, version 2: decoded
// images behind an index, so that reading costs no image decoding and every
// byte is covered by a checksum.
//
// A data set is a folder of
//
//	dataset.json      what it holds: geometry, classes, splits, shards (type Dataset)
//	statistics.bin    mean image and covariance of the training split (type Statistics)
//	train-00000.rec   shards of the split "train"
//	test-00000.rec    shards of the split "test"
//	rejected.tsv      files of the source that are no images, with the reason, if there were any
//
// All numbers in .rec and .bin files are little-endian and unsigned unless said
// otherwise. Checksums are CRC-32C (Castagnoli). Pixels are 8-bit RGB, rows from
// the top, pixels from the left, the three colours of a pixel together (HWC).
//
// # Shard
//
// A shard is a header, chunks, an index and a trailer, with nothing between
// them. It is written once, under another name, synced and renamed; nothing is
// ever appended to it.
//
//	header, 40 bytes
//	 0  8  magic "ALEXNETR"
//	 8  4  version, 2
//	12  4  codec of the chunks: 1 raw, 2 delta
//	16  4  height of every image
//	20  4  width
//	24  4  0; or, where images are whole, the longest side that one may have:
//	       height and width, which are equal, are then the shorter side of each
//	28  4  channels, 3
//	32  4  images a chunk: every chunk but the last has this many, the last at most
//	36  4  checksum of bytes 0 to 35
//
//	chunk: its images, compressed
//
//	index: an entry of 20 bytes for each chunk,
//	 0  8  offset of the chunk in the file
//	 8  4  its compressed size
//	12  4  its images
//	16  4  checksum of the compressed bytes
//	then an entry of 20 bytes for each image,
//	 0  4  its label, counted from 0
//	 4  8  its number in the source it was packed from
//	12  4  its height
//	16  4  its width
//
//	trailer, 40 bytes, the last of the file
//	 0  8  offset of the index
//	 8  8  size of the index, 20 x chunks + 20 x images
//	16  4  chunks
//	20  4  images
//	24  4  checksum of the index
//	28  4  checksum of bytes 0 to 27
//	32  8  magic "ALEXNETE"
//
// The pixels of a chunk are about 1 MiB, or one image where that is more, and at
// most 64 MiB (MaxImage); a compressed chunk has at most 129 MiB; a shard has at
// most 2^20 images (MaxImages): what a reader allocates is bounded whatever a file
// claims.
//
// # Codecs
//
// A chunk is one or more zstd frames (RFC 8878), one after the other, whose
// contents are joined.
//
// raw (1) joins to the pixels of the images, one after the other. Pixels of
// photographs have few repetitions, and reading is fastest where the encoder
// leaves them at that: the one of this package uses no entropy coding.
//
// delta (2) joins to residuals, in about 2/3 of the room of raw and at about half
// its speed. For each image, all in bytes that wrap around at 256:
//
//	s = (R-G, G, B-G) for every pixel
//	d = s - s of the pixel above; above the first row is 0
//	h = d / 16, or, where d has the bit 8, 15 - d / 16
//	l = d mod 16
//
// For differences from -8 to 7, and so for most, h is 0; l is mostly noise. They
// are kept apart, two rows at a time: for rows y = 0, 2, 4, ... and each of the 3W
// bytes of a row, h[y] + 16 h[y+1] and l[y] + 16 l[y+1]. Where there is no row y+1,
// its bits are 0. A chunk is the bytes of h of all its images, then those of l.
// The encoder of this package makes a frame of each, and uses entropy coding for
// h alone.
//
// # Statistics
//
//	  0   8  magic "ALEXNETS"
//	  8   4  version, 2
//	 12   4  height
//	 16   4  width
//	 20   4  channels, 3
//	 24   8  images that were counted
//	 32  24  mean of R, G and B over all pixels, float64
//	 56  72  covariance of R, G and B over all pixels, 3 rows of 3 float64
//	128   .  mean image, height x width x 3 float32
//	  .   4  checksum of all before
//
// Of whole images the square in the middle counts, at [Middle].
package record
