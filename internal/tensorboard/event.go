package tensorboard

import (
	"image"
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields that are written, by message, from TensorBoard's
// event.proto, summary.proto, tensor.proto and tensor_shape.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	sessionLogStatus = 1 // enum
	statusStart      = 1

	summaryValue = 1 // Value, repeated

	valueTag         = 1 // string
	valueSimpleValue = 2 // float
	valueImage       = 4 // Image
	valueTensor      = 8 // TensorProto
	valueMetadata    = 9 // SummaryMetadata

	imageHeight     = 1 // int32
	imageWidth      = 2 // int32
	imageColorspace = 3 // int32
	colorspaceRGBA  = 4
	imageEncoded    = 4 // bytes

	metadataPlugin    = 1 // PluginData
	pluginName        = 1 // string
	metadataDataClass = 4 // enum
	dataClassTensor   = 2

	tensorType   = 1 // enum
	typeString   = 7
	tensorShape  = 2 // TensorShapeProto
	tensorString = 8 // bytes, repeated
	shapeDim     = 2 // Dim, repeated
	dimSize      = 1 // int64
)

// appendEvent begins an event. What it says is appended behind.
func appendEvent(b []byte, step int64, at time.Time) []byte {
	b = protowire.AppendTag(b, eventWallTime, protowire.Fixed64Type)
	b = protowire.AppendFixed64(b, math.Float64bits(float64(at.UnixMicro())/1e6))
	return appendInt(b, eventStep, step)
}

// appendVersion is what the first event of a file says.
func appendVersion(b []byte) []byte { return appendString(b, eventFileVersion, "brain.Event:2") }

// appendStart says that the events of this step and later ones in earlier files
// are void.
func appendStart(b []byte) []byte {
	return appendMessage(b, eventSessionLog, func(b []byte) []byte { return appendInt(b, sessionLogStatus, statusStart) })
}

func appendScalars(b []byte, values []Scalar) []byte {
	return appendMessage(b, eventSummary, func(b []byte) []byte {
		for _, s := range values {
			b = appendValue(b, s.Tag, func(b []byte) []byte {
				b = protowire.AppendTag(b, valueSimpleValue, protowire.Fixed32Type)
				return protowire.AppendFixed32(b, math.Float32bits(float32(s.Value)))
			})
		}
		return b
	})
}

func appendImage(b []byte, tag string, size image.Point, png []byte) []byte {
	return appendMessage(b, eventSummary, func(b []byte) []byte {
		return appendValue(b, tag, func(b []byte) []byte {
			return appendMessage(b, valueImage, func(b []byte) []byte {
				b = appendInt(b, imageHeight, int64(size.Y))
				b = appendInt(b, imageWidth, int64(size.X))
				b = appendInt(b, imageColorspace, colorspaceRGBA)
				return protowire.AppendBytes(protowire.AppendTag(b, imageEncoded, protowire.BytesType), png)
			})
		})
	})
}

// appendText writes a text as TensorBoard's text plugin wants it: a tensor of one
// string.
func appendText(b []byte, tag, markdown string) []byte {
	return appendMessage(b, eventSummary, func(b []byte) []byte {
		return appendValue(b, tag, func(b []byte) []byte {
			b = appendMessage(b, valueTensor, func(b []byte) []byte {
				b = appendInt(b, tensorType, typeString)
				b = appendMessage(b, tensorShape, func(b []byte) []byte {
					return appendMessage(b, shapeDim, func(b []byte) []byte { return appendInt(b, dimSize, 1) })
				})
				return appendString(b, tensorString, markdown)
			})
			return appendMessage(b, valueMetadata, func(b []byte) []byte {
				b = appendMessage(b, metadataPlugin, func(b []byte) []byte { return appendString(b, pluginName, "text") })
				return appendInt(b, metadataDataClass, dataClassTensor)
			})
		})
	})
}

// appendValue appends a value of a summary: its tag, and what what appends.
func appendValue(b []byte, tag string, what func([]byte) []byte) []byte {
	return appendMessage(b, summaryValue, func(b []byte) []byte { return what(appendString(b, valueTag, tag)) })
}

// appendMessage appends a message in the place of a field: what what appends,
// with its length before it.
func appendMessage(b []byte, field protowire.Number, what func([]byte) []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), what(nil))
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendInt(b []byte, field protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}
