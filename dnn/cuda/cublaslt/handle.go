package cublaslt

import (
	"errors"
	"fmt"

	"alexnet/dnn/cuda/cu"
	"alexnet/internal/handle"
)

// Handle is cuBLASLt on one GPU.
type Handle struct {
	lib  *Library
	ctx  *cu.Context
	raw  RawHandle
	life *handle.Life
}

// NewHandle starts cuBLASLt on a context's GPU (cublasLtCreate).
func (l *Library) NewHandle(ctx *cu.Context) (*Handle, error) {
	const name = "cublasLtCreate"
	if ctx == nil {
		return nil, fmt.Errorf("%s: no context", name)
	}
	if err := ctx.Enter(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer ctx.Leave()
	h := &Handle{lib: l, ctx: ctx}
	err := l.check(l.f.Create(&h.raw), name+"(device %d)", ctx.Device())
	if err != nil {
		return nil, err
	}
	if h.life, err = handle.New(fmt.Sprintf("a cuBLASLt handle of device %d", ctx.Device()), func() error {
		if err := ctx.EnterToRelease(); err != nil {
			return fmt.Errorf("cublasLtDestroy: %w", err)
		}
		defer ctx.Leave()
		return l.check(l.f.Destroy(h.raw), "cublasLtDestroy(device %d)", ctx.Device())
	}, ctx.Life()); err != nil {
		return nil, err
	}
	return h, nil
}

// WrapHandle returns a handle, made in ctx, that somebody else made and will
// destroy.
func (l *Library) WrapHandle(ctx *cu.Context, raw RawHandle) (*Handle, error) {
	if ctx == nil {
		return nil, errors.New("a foreign cuBLASLt handle: no context")
	}
	life, err := handle.New(fmt.Sprintf("a foreign cuBLASLt handle of device %d", ctx.Device()), nil, ctx.Life())
	if err != nil {
		return nil, err
	}
	return &Handle{l, ctx, raw, life}, nil
}

// Raw returns the handle as cuBLASLt knows it.
func (h *Handle) Raw() RawHandle { return h.raw }

// Close gives the handle back, once all products that were made with it are
// closed.
func (h *Handle) Close() error { return h.life.Close() }
