// Package neighbors finds the images of a data set that are nearest to others, by
// vectors that describe them: what a layer of a network makes of them (figure 4,
// right), or their pixels.
//
// [Nearest] compares with every image, exactly. Short binary codes find nearly the
// same far quicker (section 6.1): an [Encoder] makes them of the vectors, either
// the bottleneck of an auto-encoder, [TrainAutoencoder], or the sides of random
// planes, [NewPlanes], which is what an auto-encoder has to be better than.
//
// Vectors are read in blocks from where they lie, so that there may be far more
// than fit into memory: a million of 4096 numbers are 16 GiB on the disk and take
// 32 MiB of memory a core while they are searched.
package neighbors
