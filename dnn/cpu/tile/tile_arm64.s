#include "go_asm.h"
#include "textflag.h"

// R0 is the block; R1 to R6 are at the rows of a, R7 at b; R8 and R9 are the strides of
// the inner loop in bytes, R10 counts it down; R11 counts the outer one, of which R12
// and R13 are the strides from where the inner loop ends. Sums of row m are in V(4m) to
// V(4m+3).

// BYTES turns a count of numbers of the block into bytes.
#define BYTES(field, to) \
	MOVD field(R0), to; \
	LSL  $2, to, to

// ROW adds to a row, whose number of a goes into x.
#define ROW(a, x, s0, s1, s2, s3) \
	VLD1R.P (a)(R8), [x.S4]; \
	VFMLA   x.S4, V24.S4, s0.S4; \
	VFMLA   x.S4, V25.S4, s1.S4; \
	VFMLA   x.S4, V26.S4, s2.S4; \
	VFMLA   x.S4, V27.S4, s3.S4

// ADDROW adds init to the sums of a row. The assembler has no addition of vectors: it
// is a product with V28, which is 1.
#define ADDROW(s0, s1, s2, s3) \
	VLD1.P (R14)(R15), [V24.S4, V25.S4, V26.S4, V27.S4]; \
	VFMLA  V28.S4, V24.S4, s0.S4; \
	VFMLA  V28.S4, V25.S4, s1.S4; \
	VFMLA  V28.S4, V26.S4, s2.S4; \
	VFMLA  V28.S4, V27.S4, s3.S4

#define ZERO(s0, s1, s2, s3) \
	VEOR s0.B16, s0.B16, s0.B16; \
	VEOR s1.B16, s1.B16, s1.B16; \
	VEOR s2.B16, s2.B16, s2.B16; \
	VEOR s3.B16, s3.B16, s3.B16

// func blockNEON(t *Block, col int)
TEXT ·blockNEON(SB), NOSPLIT, $0-16
	MOVD t+0(FP), R0
	MOVD col+8(FP), R20
	LSL  $2, R20, R20

	ZERO(V0, V1, V2, V3)
	ZERO(V4, V5, V6, V7)
	ZERO(V8, V9, V10, V11)
	ZERO(V12, V13, V14, V15)
	ZERO(V16, V17, V18, V19)
	ZERO(V20, V21, V22, V23)

	MOVD (Block_A+0)(R0), R1
	MOVD (Block_A+8)(R0), R2
	MOVD (Block_A+16)(R0), R3
	MOVD (Block_A+24)(R0), R4
	MOVD (Block_A+32)(R0), R5
	MOVD (Block_A+40)(R0), R6
	MOVD Block_B(R0), R7
	ADD  R20, R7, R7
	BYTES(Block_StepA, R8)
	BYTES(Block_StepB, R9)
	BYTES(Block_JumpA, R12)
	BYTES(Block_JumpB, R13)
	MOVD Block_Inner(R0), R10
	MUL  R10, R8, R14
	SUB  R14, R12, R12
	MUL  R10, R9, R14
	SUB  R14, R13, R13
	MOVD Block_Outer(R0), R11

outer:
	MOVD Block_Inner(R0), R10

inner:
	VLD1.P (R7)(R9), [V24.S4, V25.S4, V26.S4, V27.S4]
	ROW(R1, V28, V0, V1, V2, V3)
	ROW(R2, V29, V4, V5, V6, V7)
	ROW(R3, V30, V8, V9, V10, V11)
	ROW(R4, V31, V12, V13, V14, V15)
	ROW(R5, V28, V16, V17, V18, V19)
	ROW(R6, V29, V20, V21, V22, V23)
	SUBS $1, R10, R10
	BNE  inner

	ADD  R12, R1, R1
	ADD  R12, R2, R2
	ADD  R12, R3, R3
	ADD  R12, R4, R4
	ADD  R12, R5, R5
	ADD  R12, R6, R6
	ADD  R13, R7, R7
	SUBS $1, R11, R11
	BNE  outer

	MOVD  Block_Init(R0), R14
	CBZ   R14, store
	ADD   R20, R14, R14
	BYTES(Block_LDInit, R15)
	FMOVS $1.0, F28
	VDUP  V28.S[0], V28.S4
	ADDROW(V0, V1, V2, V3)
	ADDROW(V4, V5, V6, V7)
	ADDROW(V8, V9, V10, V11)
	ADDROW(V12, V13, V14, V15)
	ADDROW(V16, V17, V18, V19)
	ADDROW(V20, V21, V22, V23)

store:
	MOVD Block_C(R0), R14
	ADD  R20, R14, R14
	BYTES(Block_LDC, R15)
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], (R14)(R15)
	VST1.P [V4.S4, V5.S4, V6.S4, V7.S4], (R14)(R15)
	VST1.P [V8.S4, V9.S4, V10.S4, V11.S4], (R14)(R15)
	VST1.P [V12.S4, V13.S4, V14.S4, V15.S4], (R14)(R15)
	VST1.P [V16.S4, V17.S4, V18.S4, V19.S4], (R14)(R15)
	VST1.P [V20.S4, V21.S4, V22.S4, V23.S4], (R14)(R15)
	RET
