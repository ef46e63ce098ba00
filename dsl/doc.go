// Package dsl turns the text of a network into a [model.Net] and back into
// text. Every error has a position and shows its line; all errors of a text
// come at once, and no network comes with them.
//
// # A network
//
//	net small
//
//	input 3x32x32
//
//	conv1   conv 32 5x5 pad 2              # 32 kernels; one more line reads what this one makes
//	        relu
//	        maxpool 3x3 stride 2 ceil
//	conv2   conv 64 5x5 pad 2 init 0.05
//	        relu
//	pool2   maxpool 3x3 stride 2 ceil
//	fc3     full 10 from pool2
//	        softmax
//
//	data {
//	    mirror
//	    mean channel
//	}
//
//	train {
//	    batch 64
//	    rate 0.01
//	    divide 10 at 8 10
//	}
//
// # Grammar
//
//	file       = "net" name newline "input" shape newline [ "columns" count newline ]
//	             { layer newline | data newline | train newline } .
//	layer      = [ name ] ( conv | full | activation | pool | lrn | dropout | softmax ) .
//	conv       = ( "conv" | "local" ) count window
//	             { "stride" count | "pad" count | "ceil" | "groups" count | "across" | from | learning } .
//	full       = "full" count { "across" | from | learning } .
//	activation = ( "relu" | "tanh" | "sigmoid" ) [ from ] .
//	pool       = ( "maxpool" | "avgpool" ) window { "stride" count | "pad" count | "ceil" | from } .
//	lrn        = "lrn" { "size" count | "alpha" number | "beta" number | "k" number | "within" | from } .
//	dropout    = "dropout" number [ from ] .
//	softmax    = "softmax" [ from ] .
//	from       = "from" source { "," source } .
//	source     = name | "input" .
//	learning   = "init" number | "bias" number | "rate" number | "bias-rate" number
//	           | "decay" number | "bias-decay" number .
//	data       = "data" "{" newline { crop newline | mirror newline | mean newline | color newline | views newline } "}" .
//	crop       = "crop" count .
//	mirror     = "mirror" .
//	mean       = "mean" ( "pixel" | "channel" | "none" ) .
//	color      = "color" "pca" number [ "until" count ] .
//	views      = "views" count .
//	train      = "train" "{" newline { batch newline | passes newline | rate newline | momentum newline
//	           | decay newline | seed newline | divide newline | at newline } "}" .
//	batch      = "batch" count .
//	passes     = "passes" count .
//	rate       = "rate" number .
//	momentum   = "momentum" number .
//	decay      = "decay" number .
//	seed       = "seed" count .
//	divide     = "divide" number ( "at" count { count } | "plateau" count "times" count ) .
//	at         = "at" count "rate" number [ "layer" name ] .
//
// A newline ends each line; spaces, tabs, blank lines and comments, from # to
// the end of the line, stand anywhere between. A name is letters, digits, _ and
// -, begins with a letter or _, and is no word of the language that can stand
// outside the blocks. A count is a whole number, a number such as -1, 0.5 or
// 1e-4, a window HxW such as 11x11, or 11 for the same, and a shape CxHxW such
// as 3x224x224. Keywords come in any order, each at most once a line; so do
// statements in a block, but for at, and blocks in a file.
//
// # Layers
//
// A layer reads the line above it, and the first one the input, unless it says
// from; several names are joined along the channels. A line without a name is
// called after the nearest name above it and its kind, as in conv1.relu, and
// conv1.relu2 for the second; above all names, input.relu.
//
// The count of conv and local is their kernels, that of full its outputs, the
// number of dropout the probability that a neuron is set to zero. pad adds zeros on all
// four sides. ceil rounds the output size up: the last window hangs over the
// right and bottom edge. groups divides what one column sees. With columns N,
// across makes a layer see all columns, and not its own alone.
//
// init is the deviation of the normal distribution that weights start from, bias
// what biases start at. rate and decay are factors on those of the train block,
// for weights and, unless bias-rate and bias-decay say otherwise, for biases.
//
// alpha of lrn is the paper's (section 3.3): it multiplies the sum of squares
// and is not divided by the count of its terms. cuDNN, Caffe and the code of
// 2012 divide theirs, so their alpha of 5e-4 with 5 maps is 1e-4 here. With
// within, the sum runs over size x size pixels of one map.
//
// # Defaults
//
//	columns 1
//	stride 1   pad 0   groups 1
//	init 0.01   bias 0   rate 1   decay 1          (section 5)
//	size 5   alpha 1e-4   beta 0.75   k 2          (section 3.3)
//	crop: the input's side   mean pixel   views 1; no mirror, no color
//	batch 128   passes 90   rate 0.01   momentum 0.9   decay 0.0005   seed 1; no divide
//
// divide 10 at 8 10 divides the learning rate by 10 after passes 8 and 10;
// divide 10 plateau 5 times 3 does so after 5 passes without a lower test error,
// at most three times. at 67 rate 1e-5 sets the rate after pass 67, and with layer
// conv1 that of conv1 alone, which from then on has its own; a division at a given
// pass after it divides it too, one on a plateau does not. color pca 0.1 until 67 ends the colour noise after pass 67.
//
// # Bounds
//
// A file has at most 1 MiB and 10,000 layers, a name at most 64 characters, and
// at most 1000 errors are collected. How large a network may be is package
// model's to say.
package dsl
