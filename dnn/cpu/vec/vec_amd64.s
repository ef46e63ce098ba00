#include "textflag.h"

// Each loop does 8 numbers at a time; n is a multiple of 8 above 0. AX counts
// bytes from 0 up to CX.

// func add(dst, a *float32, n int)
TEXT ·add(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ n+16(FP), CX
	SHLQ $2, CX
	XORQ AX, AX

next:
	VMOVUPS (DI)(AX*1), Y0
	VADDPS  (SI)(AX*1), Y0, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, CX
	JLT     next
	VZEROUPPER
	RET

// func mul(dst, a, b *float32, n int)
TEXT ·mul(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ n+24(FP), CX
	SHLQ $2, CX
	XORQ AX, AX

next:
	VMOVUPS (SI)(AX*1), Y0
	VMULPS  (DX)(AX*1), Y0, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, CX
	JLT     next
	VZEROUPPER
	RET

// func relu(dst, a *float32, n int)
TEXT ·relu(SB), NOSPLIT, $0-24
	MOVQ   dst+0(FP), DI
	MOVQ   a+8(FP), SI
	MOVQ   n+16(FP), CX
	SHLQ   $2, CX
	XORQ   AX, AX
	VXORPS Y1, Y1, Y1

next:
	VMAXPS  (SI)(AX*1), Y1, Y0 // the number itself if it is NaN
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, CX
	JLT     next
	VZEROUPPER
	RET

// func reluGradient(dst, y, dy *float32, n int)
TEXT ·reluGradient(SB), NOSPLIT, $0-32
	MOVQ   dst+0(FP), DI
	MOVQ   y+8(FP), SI
	MOVQ   dy+16(FP), DX
	MOVQ   n+24(FP), CX
	SHLQ   $2, CX
	XORQ   AX, AX
	VXORPS Y1, Y1, Y1

next:
	VMOVUPS (SI)(AX*1), Y0
	VCMPPS  $0x16, Y1, Y0, Y0 // not at most 0
	VANDPS  (DX)(AX*1), Y0, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, CX
	JLT     next
	VZEROUPPER
	RET

// func affine(dst *float32, n int, shift, scale float32)
TEXT ·affine(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         n+8(FP), CX
	VBROADCASTSS shift+16(FP), Y1
	VBROADCASTSS scale+20(FP), Y2
	SHLQ         $2, CX
	XORQ         AX, AX

next:
	VMULPS  (DI)(AX*1), Y2, Y0
	VADDPS  Y1, Y0, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, CX
	JLT     next
	VZEROUPPER
	RET

// func power75(dst *float32, n int)
TEXT ·power75(SB), NOSPLIT, $0-16
	MOVQ         dst+0(FP), DI
	MOVQ         n+8(FP), CX
	MOVL         $0x3f800000, AX // 1
	VMOVD        AX, X3
	VBROADCASTSS X3, Y3
	SHLQ         $2, CX
	XORQ         AX, AX

next:
	VSQRTPS (DI)(AX*1), Y0
	VSQRTPS Y0, Y1
	VMULPS  Y1, Y0, Y0
	VDIVPS  Y0, Y3, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, CX
	JLT     next
	VZEROUPPER
	RET

// func mulDiv(dst, a, b, c *float32, n int)
TEXT ·mulDiv(SB), NOSPLIT, $0-40
	MOVQ dst+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ c+24(FP), BX
	MOVQ n+32(FP), CX
	SHLQ $2, CX
	XORQ AX, AX

next:
	VMOVUPS (SI)(AX*1), Y0
	VMULPS  (DX)(AX*1), Y0, Y0
	VDIVPS  (BX)(AX*1), Y0, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, CX
	JLT     next
	VZEROUPPER
	RET

// func mulSub(dst, a, b, c, d *float32, n int, scale float32)
TEXT ·mulSub(SB), NOSPLIT, $0-52
	MOVQ         dst+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), DX
	MOVQ         c+24(FP), BX
	MOVQ         d+32(FP), R8
	MOVQ         n+40(FP), CX
	VBROADCASTSS scale+48(FP), Y3
	SHLQ         $2, CX
	XORQ         AX, AX

next:
	VMOVUPS (SI)(AX*1), Y0
	VMULPS  (DX)(AX*1), Y0, Y0
	VMULPS  (BX)(AX*1), Y3, Y1
	VMULPS  (R8)(AX*1), Y1, Y1
	VSUBPS  Y1, Y0, Y0
	VMOVUPS Y0, (DI)(AX*1)
	ADDQ    $32, AX
	CMPQ    AX, CX
	JLT     next
	VZEROUPPER
	RET

// What tanh takes: the bound, 2/ln 2, ln 2 in two parts, and 1/n!.
DATA tanhs<>+0(SB)/4, $0x41180000 // beyond, where 1 is what rounds to it
DATA tanhs<>+4(SB)/4, $0xc1180000 // the same below
DATA tanhs<>+8(SB)/4, $0x4038aa3b // 2 / ln 2
DATA tanhs<>+12(SB)/4, $0x3f318000 // ln 2, whose product with k is exact
DATA tanhs<>+16(SB)/4, $0xb95e8083 // and the rest of it
DATA tanhs<>+20(SB)/4, $0x3f800000 // 1
DATA tanhs<>+24(SB)/4, $0x40000000 // 2
DATA tanhs<>+28(SB)/4, $0x3f000000 // 1/2!
DATA tanhs<>+32(SB)/4, $0x3e2aaaab // 1/3!
DATA tanhs<>+36(SB)/4, $0x3d2aaaab // 1/4!
DATA tanhs<>+40(SB)/4, $0x3c088889 // 1/5!
DATA tanhs<>+44(SB)/4, $0x3ab60b61 // 1/6!
DATA tanhs<>+48(SB)/4, $0x39500d01 // 1/7!
GLOBL tanhs<>(SB), RODATA|NOPTR, $52

// func tanh(dst, a *float32, n int)
TEXT ·tanh(SB), NOSPLIT, $0-24
	MOVQ         dst+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS tanhs<>+0(SB), Y15
	VBROADCASTSS tanhs<>+4(SB), Y14
	VBROADCASTSS tanhs<>+8(SB), Y13
	VBROADCASTSS tanhs<>+12(SB), Y12
	VBROADCASTSS tanhs<>+16(SB), Y11
	VBROADCASTSS tanhs<>+20(SB), Y10 // 1
	VBROADCASTSS tanhs<>+24(SB), Y9  // 2
	SHLQ         $2, CX
	XORQ         AX, AX

next:
	VMOVUPS  (SI)(AX*1), Y0
	VMINPS   Y0, Y15, Y0          // NaN stays
	VMAXPS   Y0, Y14, Y0
	VMULPS   Y13, Y0, Y1
	VROUNDPS $0, Y1, Y1           // k
	VADDPS   Y0, Y0, Y0           // 2x
	VFNMADD231PS Y12, Y1, Y0
	VFNMADD231PS Y11, Y1, Y0      // r
	VBROADCASTSS tanhs<>+48(SB), Y2
	VBROADCASTSS tanhs<>+44(SB), Y3
	VFMADD213PS  Y3, Y0, Y2
	VBROADCASTSS tanhs<>+40(SB), Y3
	VFMADD213PS  Y3, Y0, Y2
	VBROADCASTSS tanhs<>+36(SB), Y3
	VFMADD213PS  Y3, Y0, Y2
	VBROADCASTSS tanhs<>+32(SB), Y3
	VFMADD213PS  Y3, Y0, Y2
	VBROADCASTSS tanhs<>+28(SB), Y3
	VFMADD213PS  Y3, Y0, Y2
	VFMADD213PS  Y10, Y0, Y2
	VMULPS   Y0, Y2, Y2           // exp(r) - 1
	VCVTPS2DQ Y1, Y1
	VPSLLD   $23, Y1, Y1
	VPADDD   Y10, Y1, Y1          // 2^k
	VSUBPS   Y10, Y1, Y3
	VFMADD213PS Y3, Y1, Y2        // e
	VADDPS   Y9, Y2, Y3
	VDIVPS   Y3, Y2, Y2
	VMOVUPS  Y2, (DI)(AX*1)
	ADDQ     $32, AX
	CMPQ     AX, CX
	JLT      next
	VZEROUPPER
	RET

DATA evens<>+0(SB)/4, $0
DATA evens<>+4(SB)/4, $2
DATA evens<>+8(SB)/4, $4
DATA evens<>+12(SB)/4, $6
GLOBL evens<>(SB), RODATA|NOPTR, $16

// func maxWindows2(y *float32, where *int32, x *float32, rows, cols, pitch, n int, place int32)
//
// Four windows at a time, the last of which begin where four are left: some may
// be done twice. AX is the first of them.
TEXT ·maxWindows2(SB), NOSPLIT, $0-60
	MOVQ         y+0(FP), DI
	MOVQ         where+8(FP), SI
	MOVQ         x+16(FP), R8
	MOVQ         rows+24(FP), R9
	MOVQ         cols+32(FP), R10
	MOVQ         pitch+40(FP), R11
	MOVQ         n+48(FP), R12
	MOVL         place+56(FP), DX
	VMOVD        DX, X8
	VPBROADCASTD X8, X8
	VPADDD       evens<>(SB), X8, X8
	VPCMPEQD     X9, X9, X9   // -1
	VMOVD        R11, X10
	VPBROADCASTD X10, X10
	XORQ         AX, AX

windows:
	LEAQ         (R8)(AX*8), BX
	LEAQ         (AX)(AX*1), DX
	VMOVD        DX, X7
	VPBROADCASTD X7, X7
	VPADDD       X8, X7, X7   // the places of a row's first numbers
	VMOVUPS      (BX), X0     // the largest: of the first numbers
	VSHUFPS      $0xD8, 12(BX), X0, X0
	VMOVDQA      X7, X1       // and its place
	MOVQ         R9, R13

row:
	MOVQ    BX, CX
	MOVQ    R10, DX
	VMOVDQA X7, X6

number:
	VMOVUPS   (CX), X2                // 0 1 2 3
	VSHUFPS   $0xD8, 12(CX), X2, X2   // with 3 4 5 6: 0 2 4 6
	VCMPPS    $0x16, X0, X2, X3       // not at most the largest,
	VCMPPS    $7, X0, X0, X4          // which is not NaN
	VANDPS    X4, X3, X3
	VBLENDVPS X3, X2, X0, X0
	VBLENDVPS X3, X6, X1, X1
	VPSUBD    X9, X6, X6
	ADDQ      $4, CX
	DECQ      DX
	JNZ       number
	VPADDD    X10, X7, X7
	LEAQ      (BX)(R11*4), BX
	DECQ      R13
	JNZ       row

	VMOVUPS X0, (DI)(AX*4)
	VMOVDQU X1, (SI)(AX*4)
	ADDQ    $4, AX
	CMPQ    AX, R12
	JGE     done
	LEAQ    -4(R12), DX
	CMPQ    AX, DX
	CMOVQGT DX, AX
	JMP     windows

done:
	RET
