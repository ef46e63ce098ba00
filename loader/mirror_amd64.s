#include "textflag.h"

// From which byte of the word `from` each byte of the word `to` comes; 0x80: from
// none. Three words of 16 bytes are 16 pixels.
DATA to0from1<>+0(SB)/8, $0x8080808080808080
DATA to0from1<>+8(SB)/8, $0x0e80808080808080
GLOBL to0from1<>(SB), RODATA|NOPTR, $16
DATA to0from2<>+0(SB)/8, $0x08070c0b0a0f0e0d
DATA to0from2<>+8(SB)/8, $0x8003020106050409
GLOBL to0from2<>(SB), RODATA|NOPTR, $16
DATA to1from0<>+0(SB)/8, $0x8080808080808080
DATA to1from0<>+8(SB)/8, $0x800f808080808080
GLOBL to1from0<>(SB), RODATA|NOPTR, $16
DATA to1from1<>+0(SB)/8, $0x0a09080d0c0b800f
DATA to1from1<>+8(SB)/8, $0x0080040302070605
GLOBL to1from1<>(SB), RODATA|NOPTR, $16
DATA to1from2<>+0(SB)/8, $0x8080808080800080
DATA to1from2<>+8(SB)/8, $0x8080808080808080
GLOBL to1from2<>(SB), RODATA|NOPTR, $16
DATA to2from0<>+0(SB)/8, $0x060b0a090e0d0c80
DATA to2from0<>+8(SB)/8, $0x0201000504030807
GLOBL to2from0<>(SB), RODATA|NOPTR, $16
DATA to2from1<>+0(SB)/8, $0x8080808080808001
DATA to2from1<>+8(SB)/8, $0x8080808080808080
GLOBL to2from1<>(SB), RODATA|NOPTR, $16

// func mirror48(to, from *byte, blocks int)
TEXT ·mirror48(SB), NOSPLIT, $0-24
	MOVQ  to+0(FP), DI
	MOVQ  from+8(FP), SI
	MOVQ  blocks+16(FP), CX
	MOVOU to0from1<>(SB), X9
	MOVOU to0from2<>(SB), X10
	MOVOU to1from0<>(SB), X11
	MOVOU to1from1<>(SB), X12
	MOVOU to1from2<>(SB), X13
	MOVOU to2from0<>(SB), X14
	MOVOU to2from1<>(SB), X15

loop:
	MOVOU  0(SI), X0
	MOVOU  16(SI), X1
	MOVOU  32(SI), X2
	MOVO   X1, X3
	PSHUFB X9, X3
	MOVO   X2, X4
	PSHUFB X10, X4
	POR    X4, X3
	MOVOU  X3, 0(DI)
	MOVO   X0, X3
	PSHUFB X11, X3
	MOVO   X1, X4
	PSHUFB X12, X4
	POR    X4, X3
	PSHUFB X13, X2
	POR    X2, X3
	MOVOU  X3, 16(DI)
	PSHUFB X14, X0
	PSHUFB X15, X1
	POR    X1, X0
	MOVOU  X0, 32(DI)
	ADDQ   $48, DI
	SUBQ   $48, SI
	DECQ   CX
	JNZ    loop
	RET
