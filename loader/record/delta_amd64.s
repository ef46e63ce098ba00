#include "textflag.h"

// The halves of bytes, and bit 3 of each half: see delta.go.
DATA lows<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA lows<>+8(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL lows<>(SB), RODATA|NOPTR, $16
DATA highs<>+0(SB)/8, $0xf0f0f0f0f0f0f0f0
DATA highs<>+8(SB)/8, $0xf0f0f0f0f0f0f0f0
GLOBL highs<>(SB), RODATA|NOPTR, $16
DATA signs<>+0(SB)/8, $0x8888888888888888
DATA signs<>+8(SB)/8, $0x8888888888888888
GLOBL signs<>(SB), RODATA|NOPTR, $16

// From which byte of its own 16 each red and blue of 48 bytes gets its green;
// 0x80: from none.
DATA greens0<>+0(SB)/8, $0x8007048004018001
DATA greens0<>+8(SB)/8, $0x800d800d0a800a07 // byte 15 gets byte 0 of the next 16
GLOBL greens0<>(SB), RODATA|NOPTR, $16
DATA greens1<>+0(SB)/8, $0x0680060380030080
DATA greens1<>+8(SB)/8, $0x800f0c800c098009
GLOBL greens1<>(SB), RODATA|NOPTR, $16
DATA greens2<>+0(SB)/8, $0x0805800502800280 // byte 0 gets byte 15 of the last 16
DATA greens2<>+8(SB)/8, $0x0e800e0b800b0880
GLOBL greens2<>(SB), RODATA|NOPTR, $16

// ROWS makes 16 bytes of the first row, in A, and of the second, in B and above.
#define ROWS(at, A, B) \
	MOVOU at(R8), X6  \ // high bits
	MOVOU at(R9), X7  \ // low bits
	MOVO  X7, X8      \ // flip
	PAND  X13, X8     \
	MOVO  X8, X9      \
	PSLLQ $1, X8      \
	PSRLQ $3, X9      \
	PSUBQ X9, X8      \
	PXOR  X8, X6      \
	MOVO  X6, X8      \
	PAND  X15, X8     \
	PSLLQ $4, X8      \
	MOVO  X7, X9      \
	PAND  X15, X9     \
	POR   X9, X8      \
	MOVOU at(DX), A   \
	PADDB X8, A       \
	PAND  X14, X6     \
	PSRLQ $4, X7      \
	PAND  X15, X7     \
	POR   X7, X6      \
	MOVO  A, B        \
	PADDB X6, B       \
	MOVOU B, at(DX)

// CORRELATE writes 48 bytes with green added to red and blue.
#define CORRELATE(row, A, B, C) \
	MOVO   A, X6         \
	PSHUFB X10, X6       \
	MOVO   B, X7         \
	PSLLO  $15, X7       \
	POR    X7, X6        \
	PADDB  A, X6         \
	MOVOU  X6, 0(row)    \
	MOVO   B, X6         \
	PSHUFB X11, X6       \
	PADDB  B, X6         \
	MOVOU  X6, 16(row)   \
	MOVO   C, X6         \
	PSHUFB X12, X6       \
	MOVO   B, X7         \
	PSRLO  $15, X7       \
	POR    X7, X6        \
	PADDB  C, X6         \
	MOVOU  X6, 32(row)

// func restore48(first, second, above, high, low *byte, blocks int)
TEXT ·restore48(SB), NOSPLIT, $0-48
	MOVQ  first+0(FP), DI
	MOVQ  second+8(FP), SI
	MOVQ  above+16(FP), DX
	MOVQ  high+24(FP), R8
	MOVQ  low+32(FP), R9
	MOVQ  blocks+40(FP), CX
	MOVOU greens0<>(SB), X10
	MOVOU greens1<>(SB), X11
	MOVOU greens2<>(SB), X12
	MOVOU signs<>(SB), X13
	MOVOU highs<>(SB), X14
	MOVOU lows<>(SB), X15

loop:
	ROWS(0, X0, X3)
	ROWS(16, X1, X4)
	ROWS(32, X2, X5)
	CORRELATE(SI, X3, X4, X5)
	CORRELATE(DI, X0, X1, X2)
	ADDQ $48, DI
	ADDQ $48, SI
	ADDQ $48, DX
	ADDQ $48, R8
	ADDQ $48, R9
	DECQ CX
	JNZ  loop
	RET
