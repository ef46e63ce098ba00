// Words: every word of the language, what follows it, and in which order the
// formatter writes it. The parser, the formatter and the messages read these
// tables; the EBNF in the package documentation is held against them by a test.

package dsl

import (
	"slices"

	"alexnet/model"
)

// valueKind says what is written after a word.
type valueKind int

const (
	flagValue    valueKind = iota // nothing
	countValue                    // a whole number
	seedValue                     // a whole number of 64 bits, not negative
	numberValue                   // a number
	windowValue                   // HxW, or N for NxN
	shapeValue                    // CxHxW
	nameValue                     // a word that is not one of the language
	sourcesValue                  // names of layers, or input, with commas between them
	countsValue                   // one or more whole numbers
	meanValue                     // what model.Mean can be
)

// String returns how messages call the value.
func (k valueKind) String() string {
	return [...]string{
		"nothing", "a whole number", "a whole number from 0 to 18446744073709551615", "a number", "a window such as 3x3",
		"a shape such as 3x224x224", "a name", "the name of a layer above or input", "whole numbers", either(means),
	}[k]
}

var means = []string{string(model.MeanPixel), string(model.MeanChannel), string(model.MeanNone)}

// param is a value of a line and the word for it. The words of sizes are not
// written, but are what [model.Problem] and settings call them.
type param struct {
	word     string
	value    valueKind
	required bool // of a clause; sizes always are
}

// form is what a line may hold.
type form struct {
	word    string  // that the line is known by
	example string  // of the word and its sizes
	sizes   []param // all of them, in this order
	clauses []param // each at most once, in any order; canonical is this one
	many    bool    // whether a block can hold several
}

type forms []form

// find returns the form of a word, or nil.
func (fs forms) find(word string) *form {
	if i := slices.IndexFunc(fs, func(f form) bool { return f.word == word }); i >= 0 {
		return &fs[i]
	}
	return nil
}

func (fs forms) words() []string {
	words := make([]string, len(fs))
	for i, f := range fs {
		words[i] = f.word
	}
	return words
}

// clause returns the form's clause of a word, or nil.
func (f *form) clause(word string) *param {
	if i := slices.IndexFunc(f.clauses, func(p param) bool { return p.word == word }); i >= 0 {
		return &f.clauses[i]
	}
	return nil
}

// size returns the index of the form's size of a word, or -1.
func (f *form) size(word string) int {
	return slices.IndexFunc(f.sizes, func(p param) bool { return p.word == word })
}

func words(params []param) []string {
	words := make([]string, len(params))
	for i, p := range params {
		words[i] = p.word
	}
	return words
}

// The clauses that several kinds share.
var (
	from   = []param{{word: "from", value: sourcesValue}}
	stride = []param{{word: "stride", value: countValue}, {word: "pad", value: countValue}, {word: "ceil"}}
	learn  = []param{
		{word: "init", value: numberValue}, {word: "bias", value: numberValue},
		{word: "rate", value: numberValue}, {word: "bias-rate", value: numberValue},
		{word: "decay", value: numberValue}, {word: "bias-decay", value: numberValue},
	}
	across      = []param{{word: "across"}}
	convSizes   = []param{{word: "kernels", value: countValue}, {word: "window", value: windowValue}}
	convClauses = slices.Concat(stride, []param{{word: "groups", value: countValue}}, across, from, learn)
	poolSizes   = []param{{word: "window", value: windowValue}}
	poolClauses = slices.Concat(stride, from)
)

// header are the lines that a file begins with, in this order. Those after the
// first two may be left out.
var header = forms{
	{word: "net", example: "net alexnet", sizes: []param{{word: "net", value: nameValue}}},
	{word: "input", example: "input 3x224x224", sizes: []param{{word: "input", value: shapeValue}}},
	{word: "columns", example: "columns 2", sizes: []param{{word: "columns", value: countValue}}},
}

// kinds are the kinds of layers.
var kinds = forms{
	{word: "conv", example: "conv 96 11x11", sizes: convSizes, clauses: convClauses},
	{word: "local", example: "local 32 3x3", sizes: convSizes, clauses: convClauses},
	{word: "full", example: "full 4096", sizes: []param{{word: "outputs", value: countValue}}, clauses: slices.Concat(across, from, learn)},
	{word: string(model.Relu), example: "relu", clauses: from},
	{word: string(model.Tanh), example: "tanh", clauses: from},
	{word: string(model.Sigmoid), example: "sigmoid", clauses: from},
	{word: string(model.Max), example: "maxpool 3x3", sizes: poolSizes, clauses: poolClauses},
	{word: string(model.Avg), example: "avgpool 3x3", sizes: poolSizes, clauses: poolClauses},
	{word: "lrn", example: "lrn", clauses: slices.Concat([]param{
		{word: "size", value: countValue}, {word: "alpha", value: numberValue},
		{word: "beta", value: numberValue}, {word: "k", value: numberValue}, {word: "within"},
	}, from)},
	{word: "dropout", example: "dropout 0.5", sizes: []param{{word: "probability", value: numberValue}}, clauses: from},
	{word: "softmax", example: "softmax", clauses: from},
}

// block is a part of a file in braces.
type block struct {
	word       string
	statements forms
}

// blocks are the blocks, in canonical order.
var blocks = []block{
	{"data", forms{
		{word: "crop", example: "crop 224", sizes: []param{{word: "crop", value: countValue}}},
		{word: "mirror", example: "mirror"},
		{word: "mean", example: "mean pixel", sizes: []param{{word: "mean", value: meanValue}}},
		{word: "color", example: "color pca 0.1", clauses: []param{
			{word: "pca", value: numberValue, required: true}, {word: "until", value: countValue},
		}},
		{word: "views", example: "views 10", sizes: []param{{word: "views", value: countValue}}},
	}},
	{"train", forms{
		{word: "batch", example: "batch 128", sizes: []param{{word: "batch", value: countValue}}},
		{word: "passes", example: "passes 90", sizes: []param{{word: "passes", value: countValue}}},
		{word: "rate", example: "rate 0.01", sizes: []param{{word: "rate", value: numberValue}}},
		{word: "momentum", example: "momentum 0.9", sizes: []param{{word: "momentum", value: numberValue}}},
		{word: "decay", example: "decay 0.0005", sizes: []param{{word: "decay", value: numberValue}}},
		{word: "seed", example: "seed 1", sizes: []param{{word: "seed", value: seedValue}}},
		{word: "divide", example: "divide 10", sizes: []param{{word: "divide", value: numberValue}}, clauses: []param{
			{word: "at", value: countsValue}, {word: "plateau", value: countValue}, {word: "times", value: countValue},
		}},
		{word: "at", example: "at 67 rate 1e-5 layer conv1", many: true, sizes: []param{{word: "at", value: countValue}}, clauses: []param{
			{word: "rate", value: numberValue, required: true}, {word: "layer", value: nameValue},
		}},
	}},
}

func findBlock(word string) *block {
	if i := slices.IndexFunc(blocks, func(b block) bool { return b.word == word }); i >= 0 {
		return &blocks[i]
	}
	return nil
}

// topWords are the words that a line outside the blocks can begin with.
var topWords = func() []string {
	words := slices.Concat(kinds.words(), header.words())
	for _, b := range blocks {
		words = append(words, b.word)
	}
	return words
}()

// reserved are the words that cannot be names: all that can stand on a line
// outside the blocks.
var reserved = func() map[string]bool {
	set := map[string]bool{}
	for _, w := range topWords {
		set[w] = true
	}
	for _, k := range kinds {
		for _, c := range k.clauses {
			set[c.word] = true
		}
	}
	return set
}()
