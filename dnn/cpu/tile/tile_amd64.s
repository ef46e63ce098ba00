#include "go_asm.h"
#include "textflag.h"

// What the kernels share. DI is the block; R8 to R13 are where the rows of a start;
// AX is how far each of them is; BX is at b. The inner loop counts CX down and adds
// SI to AX; DX is AX where the inner loop began. On the stack: steps that are left of the
// outer loop, where b was when the inner loop began, and strides in bytes.
#define LEFT   0(SP)
#define FROMB  8(SP)
#define STEPB 16(SP)
#define JUMPA 24(SP)
#define JUMPB 32(SP)

// BYTES turns a count of numbers of the block into bytes.
#define BYTES(field, to) \
	MOVQ field(DI), to; \
	SHLQ $2, to

#define STRIDES \
	MOVQ Block_Outer(DI), AX; \
	MOVQ AX, LEFT; \
	BYTES(Block_StepB, AX); \
	MOVQ AX, STEPB; \
	BYTES(Block_JumpA, AX); \
	MOVQ AX, JUMPA; \
	BYTES(Block_JumpB, AX); \
	MOVQ AX, JUMPB; \
	BYTES(Block_StepA, SI)

#define ROWS \
	MOVQ (Block_A+0)(DI), R8; \
	MOVQ (Block_A+8)(DI), R9; \
	MOVQ (Block_A+16)(DI), R10; \
	MOVQ (Block_A+24)(DI), R11; \
	MOVQ (Block_A+32)(DI), R12; \
	MOVQ (Block_A+40)(DI), R13

#define ROW512(a, lo, hi) \
	VBROADCASTSS (a)(AX*1), Z30; \
	VFMADD231PS  Z28, Z30, lo; \
	VFMADD231PS  Z29, Z30, hi

// AVX-512 has registers to load init into before the sums begin, so that it is there
// when they end.
#define LOAD512(lo, hi) \
	VMOVUPS (AX), lo; \
	VMOVUPS 64(AX), hi; \
	ADDQ    CX, AX

#define STORE512(lo, hi) \
	VMOVUPS lo, (AX); \
	VMOVUPS hi, 64(AX); \
	ADDQ    CX, AX

// func block512(t *Block)
TEXT ·block512(SB), NOSPLIT, $40-8
	MOVQ  t+0(FP), DI
	MOVQ  Block_Init(DI), AX
	TESTQ AX, AX
	JZ    begin
	BYTES(Block_LDInit, CX)
	LOAD512(Z12, Z13)
	LOAD512(Z14, Z15)
	LOAD512(Z16, Z17)
	LOAD512(Z18, Z19)
	LOAD512(Z20, Z21)
	LOAD512(Z22, Z23)

begin:
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5
	VPXORQ Z6, Z6, Z6
	VPXORQ Z7, Z7, Z7
	VPXORQ Z8, Z8, Z8
	VPXORQ Z9, Z9, Z9
	VPXORQ Z10, Z10, Z10
	VPXORQ Z11, Z11, Z11

	STRIDES
	ROWS
	XORQ DX, DX
	MOVQ Block_B(DI), BX

outer:
	MOVQ DX, AX
	MOVQ BX, FROMB
	MOVQ Block_Inner(DI), CX

inner:
	VMOVUPS (BX), Z28
	VMOVUPS 64(BX), Z29
	ROW512(R8, Z0, Z1)
	ROW512(R9, Z2, Z3)
	ROW512(R10, Z4, Z5)
	ROW512(R11, Z6, Z7)
	ROW512(R12, Z8, Z9)
	ROW512(R13, Z10, Z11)
	ADDQ SI, AX
	ADDQ STEPB, BX
	DECQ CX
	JNZ  inner

	ADDQ JUMPA, DX
	MOVQ FROMB, BX
	ADDQ JUMPB, BX
	DECQ LEFT
	JNZ  outer

	CMPQ Block_Init(DI), $0
	JE   store
	VADDPS Z12, Z0, Z0
	VADDPS Z13, Z1, Z1
	VADDPS Z14, Z2, Z2
	VADDPS Z15, Z3, Z3
	VADDPS Z16, Z4, Z4
	VADDPS Z17, Z5, Z5
	VADDPS Z18, Z6, Z6
	VADDPS Z19, Z7, Z7
	VADDPS Z20, Z8, Z8
	VADDPS Z21, Z9, Z9
	VADDPS Z22, Z10, Z10
	VADDPS Z23, Z11, Z11

store:
	MOVQ Block_C(DI), AX
	BYTES(Block_LDC, CX)
	STORE512(Z0, Z1)
	STORE512(Z2, Z3)
	STORE512(Z4, Z5)
	STORE512(Z6, Z7)
	STORE512(Z8, Z9)
	STORE512(Z10, Z11)
	VZEROUPPER
	RET

#define ROWNARROW(a, sum) \
	VBROADCASTSS (a)(AX*1), Z30; \
	VFMADD231PS  Z28, Z30, sum

#define LOADNARROW(sum) \
	VMOVUPS (AX), sum; \
	ADDQ    CX, AX

#define STORENARROW(sum) \
	VMOVUPS sum, (AX); \
	ADDQ    CX, AX

// func block512Narrow(t *Block)
TEXT ·block512Narrow(SB), NOSPLIT, $40-8
	MOVQ  t+0(FP), DI
	MOVQ  Block_Init(DI), AX
	TESTQ AX, AX
	JZ    begin
	BYTES(Block_LDInit, CX)
	LOADNARROW(Z12)
	LOADNARROW(Z13)
	LOADNARROW(Z14)
	LOADNARROW(Z15)
	LOADNARROW(Z16)
	LOADNARROW(Z17)

begin:
	VPXORQ Z0, Z0, Z0
	VPXORQ Z1, Z1, Z1
	VPXORQ Z2, Z2, Z2
	VPXORQ Z3, Z3, Z3
	VPXORQ Z4, Z4, Z4
	VPXORQ Z5, Z5, Z5

	STRIDES
	ROWS
	XORQ DX, DX
	MOVQ Block_B(DI), BX

outer:
	MOVQ DX, AX
	MOVQ BX, FROMB
	MOVQ Block_Inner(DI), CX

inner:
	VMOVUPS (BX), Z28
	ROWNARROW(R8, Z0)
	ROWNARROW(R9, Z1)
	ROWNARROW(R10, Z2)
	ROWNARROW(R11, Z3)
	ROWNARROW(R12, Z4)
	ROWNARROW(R13, Z5)
	ADDQ SI, AX
	ADDQ STEPB, BX
	DECQ CX
	JNZ  inner

	ADDQ JUMPA, DX
	MOVQ FROMB, BX
	ADDQ JUMPB, BX
	DECQ LEFT
	JNZ  outer

	CMPQ Block_Init(DI), $0
	JE   store
	VADDPS Z12, Z0, Z0
	VADDPS Z13, Z1, Z1
	VADDPS Z14, Z2, Z2
	VADDPS Z15, Z3, Z3
	VADDPS Z16, Z4, Z4
	VADDPS Z17, Z5, Z5

store:
	MOVQ Block_C(DI), AX
	BYTES(Block_LDC, CX)
	STORENARROW(Z0)
	STORENARROW(Z1)
	STORENARROW(Z2)
	STORENARROW(Z3)
	STORENARROW(Z4)
	STORENARROW(Z5)
	VZEROUPPER
	RET

#define ROW256(a, lo, hi) \
	VBROADCASTSS (a)(AX*1), Y14; \
	VFMADD231PS  Y12, Y14, lo; \
	VFMADD231PS  Y13, Y14, hi

#define ADD256(lo, hi) \
	VADDPS (AX), lo, lo; \
	VADDPS 32(AX), hi, hi; \
	ADDQ   CX, AX

#define STORE256(lo, hi) \
	VMOVUPS lo, (AX); \
	VMOVUPS hi, 32(AX); \
	ADDQ    CX, AX

// func block256(t *Block, col int)
TEXT ·block256(SB), NOSPLIT, $40-16
	MOVQ  t+0(FP), DI
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11

	STRIDES
	ROWS
	XORQ DX, DX
	MOVQ Block_B(DI), BX
	MOVQ col+8(FP), CX
	LEAQ (BX)(CX*4), BX

outer:
	MOVQ DX, AX
	MOVQ BX, FROMB
	MOVQ Block_Inner(DI), CX

inner:
	VMOVUPS (BX), Y12
	VMOVUPS 32(BX), Y13
	ROW256(R8, Y0, Y1)
	ROW256(R9, Y2, Y3)
	ROW256(R10, Y4, Y5)
	ROW256(R11, Y6, Y7)
	ROW256(R12, Y8, Y9)
	ROW256(R13, Y10, Y11)
	ADDQ SI, AX
	ADDQ STEPB, BX
	DECQ CX
	JNZ  inner

	ADDQ JUMPA, DX
	MOVQ FROMB, BX
	ADDQ JUMPB, BX
	DECQ LEFT
	JNZ  outer

	MOVQ  Block_Init(DI), AX
	TESTQ AX, AX
	JZ    store
	MOVQ  col+8(FP), CX
	LEAQ  (AX)(CX*4), AX
	BYTES(Block_LDInit, CX)
	ADD256(Y0, Y1)
	ADD256(Y2, Y3)
	ADD256(Y4, Y5)
	ADD256(Y6, Y7)
	ADD256(Y8, Y9)
	ADD256(Y10, Y11)

store:
	MOVQ Block_C(DI), AX
	MOVQ col+8(FP), CX
	LEAQ (AX)(CX*4), AX
	BYTES(Block_LDC, CX)
	STORE256(Y0, Y1)
	STORE256(Y2, Y3)
	STORE256(Y4, Y5)
	STORE256(Y6, Y7)
	STORE256(Y8, Y9)
	STORE256(Y10, Y11)
	VZEROUPPER
	RET

// func transpose8(dst *float32, ldd int, src *float32, lds, blocks int)
TEXT ·transpose8(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ ldd+8(FP), R8
	MOVQ src+16(FP), SI
	MOVQ lds+24(FP), R9
	MOVQ blocks+32(FP), CX
	SHLQ $2, R8
	SHLQ $2, R9
	LEAQ (R8)(R8*2), R10 // 3 rows
	LEAQ (R9)(R9*2), R11

next:
	LEAQ    (SI)(R9*4), AX
	VMOVUPS (SI), Y0
	VMOVUPS (SI)(R9*1), Y1
	VMOVUPS (SI)(R9*2), Y2
	VMOVUPS (SI)(R11*1), Y3
	VMOVUPS (AX), Y4
	VMOVUPS (AX)(R9*1), Y5
	VMOVUPS (AX)(R9*2), Y6
	VMOVUPS (AX)(R11*1), Y7

	// Pairs of rows, then pairs of pairs, then halves.
	VUNPCKLPS Y1, Y0, Y8
	VUNPCKHPS Y1, Y0, Y9
	VUNPCKLPS Y3, Y2, Y10
	VUNPCKHPS Y3, Y2, Y11
	VUNPCKLPS Y5, Y4, Y12
	VUNPCKHPS Y5, Y4, Y13
	VUNPCKLPS Y7, Y6, Y14
	VUNPCKHPS Y7, Y6, Y15
	VSHUFPS   $0x44, Y10, Y8, Y0
	VSHUFPS   $0xEE, Y10, Y8, Y1
	VSHUFPS   $0x44, Y11, Y9, Y2
	VSHUFPS   $0xEE, Y11, Y9, Y3
	VSHUFPS   $0x44, Y14, Y12, Y4
	VSHUFPS   $0xEE, Y14, Y12, Y5
	VSHUFPS   $0x44, Y15, Y13, Y6
	VSHUFPS   $0xEE, Y15, Y13, Y7
	VPERM2F128 $0x20, Y4, Y0, Y8
	VPERM2F128 $0x20, Y5, Y1, Y9
	VPERM2F128 $0x20, Y6, Y2, Y10
	VPERM2F128 $0x20, Y7, Y3, Y11
	VPERM2F128 $0x31, Y4, Y0, Y12
	VPERM2F128 $0x31, Y5, Y1, Y13
	VPERM2F128 $0x31, Y6, Y2, Y14
	VPERM2F128 $0x31, Y7, Y3, Y15

	LEAQ    (DI)(R8*4), AX
	VMOVUPS Y8, (DI)
	VMOVUPS Y9, (DI)(R8*1)
	VMOVUPS Y10, (DI)(R8*2)
	VMOVUPS Y11, (DI)(R10*1)
	VMOVUPS Y12, (AX)
	VMOVUPS Y13, (AX)(R8*1)
	VMOVUPS Y14, (AX)(R8*2)
	VMOVUPS Y15, (AX)(R10*1)
	LEAQ    (DI)(R8*8), DI
	ADDQ    $32, SI
	DECQ    CX
	JNZ     next
	VZEROUPPER
	RET
