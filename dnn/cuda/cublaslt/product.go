package cublaslt

import "fmt"

// Matrix is a matrix in memory, column by column.
type Matrix struct {
	Type           DataType
	Rows, Cols, LD int // the leading dimension, LD, is Rows if it is 0
	// Align is a number of bytes, a power of two, that the matrix's addresses are
	// multiples of; 0 stands for 256. More gives faster algorithms.
	Align int
}

func (m Matrix) String() string {
	s := fmt.Sprintf("%s %dx%d", m.Type, m.Rows, m.Cols)
	if m.LD != m.Rows {
		s += fmt.Sprintf(" (leading dimension %d)", m.LD)
	}
	return s
}

// Product is d = op(a)·op(b), where op transposes the matrix or leaves it as it is.
type Product struct {
	A, B, D        Matrix
	TransA, TransB Operation
	Compute        ComputeType
	// Epilogue is what is done to the product before it is stored; 0 stands for
	// EpilogueDefault, nothing.
	Epilogue Epilogue
	BiasType DataType // if the epilogue adds one
}

func (p Product) String() string {
	factor := func(m Matrix, op Operation) string {
		if op == Trans {
			return fmt.Sprintf("T(%v)", m)
		}
		return m.String()
	}
	return fmt.Sprintf("d %v = %s · %s, compute type %d, epilogue %d, addresses multiples of %d, %d and %d",
		p.D, factor(p.A, p.TransA), factor(p.B, p.TransB), p.Compute, p.Epilogue, p.D.Align, p.A.Align, p.B.Align)
}

// bias reports whether the epilogue adds a bias.
func (p Product) bias() bool { return p.Epilogue&EpilogueBias != 0 }

// fill puts the values in that zeros stand for.
func (p *Product) fill() {
	for _, m := range []*Matrix{&p.A, &p.B, &p.D} {
		if m.LD == 0 {
			m.LD = m.Rows
		}
		if m.Align == 0 {
			m.Align = 256
		}
	}
	if p.Epilogue == 0 {
		p.Epilogue = EpilogueDefault
	}
}

// check returns an error if the matrices do not fit each other.
func (p Product) check() error {
	for _, m := range []struct {
		name string
		Matrix
	}{{"a", p.A}, {"b", p.B}, {"d", p.D}} {
		if m.Rows < 1 || m.Cols < 1 {
			return fmt.Errorf("%s is %v: there must be rows and columns", m.name, m.Matrix)
		}
		if m.LD < m.Rows {
			return fmt.Errorf("%s is %v: its columns overlap", m.name, m.Matrix)
		}
		if m.Align < 1 || m.Align&(m.Align-1) != 0 || m.Align > 1<<30 {
			return fmt.Errorf("addresses of %s are said to be multiples of %d, which is no power of two", m.name, m.Align)
		}
	}
	turned := func(m Matrix, op Operation) (rows, cols int) {
		if op == Trans {
			return m.Cols, m.Rows
		}
		return m.Rows, m.Cols
	}
	m, k := turned(p.A, p.TransA)
	k2, n := turned(p.B, p.TransB)
	if k != k2 {
		return fmt.Errorf("op(a) has %d columns and op(b) %d rows", k, k2)
	}
	if p.D.Rows != m || p.D.Cols != n {
		return fmt.Errorf("the product is %dx%d, not %dx%d as d", m, n, p.D.Rows, p.D.Cols)
	}
	return nil
}
