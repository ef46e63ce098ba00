// Package record is the format in which data sets are kept, version 1: decoded
// images behind an index, so that reading costs no image decoding and every
// byte is covered by a checksum.
//
// A data set is a folder of
//
//	dataset.json      what it holds: geometry, classes, splits, shards (type Dataset)
//	statistics.bin    mean image and covariance of the training split (type Statistics)
//	train-00000.rec   shards of the split "train"
//	test-00000.rec    shards of the split "test"
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
//	header, 36 bytes
//	 0  8  magic "ALEXNETR"
//	 8  4  version, 1
//	12  4  codec: 1 is one zstd frame (RFC 8878) a chunk
//	16  4  height of every image
//	20  4  width
//	24  4  channels, 3
//	28  4  images a chunk: every chunk but the last has this many, the last at most
//	32  4  checksum of bytes 0 to 31
//
//	chunk: the pixels of its images one after the other, compressed
//
//	index: an entry of 20 bytes for each chunk,
//	 0  8  offset of the chunk in the file
//	 8  4  its compressed size
//	12  4  its images
//	16  4  checksum of the compressed bytes
//	then 4 bytes for each image: its label, counted from 0,
//	then 8 bytes for each image: its number in the source it was packed from
//
//	trailer, 40 bytes, the last of the file
//	 0  8  offset of the index
//	 8  8  size of the index, 20 x chunks + 12 x images
//	16  4  chunks
//	20  4  images
//	24  4  checksum of the index
//	28  4  checksum of bytes 0 to 27
//	32  8  magic "ALEXNETE"
//
// A decoded chunk is about 1 MiB, or one image where that is more. An image has
// at most 64 MiB (MaxImage), and a shard at most 2^20 images (MaxImages): what
// a reader allocates is bounded whatever a file claims.
//
// # Statistics
//
//	  0   8  magic "ALEXNETS"
//	  8   4  version, 1
//	 12   4  height
//	 16   4  width
//	 20   4  channels, 3
//	 24   8  images that were counted
//	 32  24  mean of R, G and B over all pixels, float64
//	 56  72  covariance of R, G and B over all pixels, 3 rows of 3 float64
//	128   .  mean image, height x width x 3 float32
//	  .   4  checksum of all before
package record
