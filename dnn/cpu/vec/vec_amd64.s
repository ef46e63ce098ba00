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
	MOVL         AX, X3
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

DATA steps<>+0(SB)/8, $0
DATA steps<>+8(SB)/8, $1
DATA steps<>+16(SB)/8, $2
DATA steps<>+24(SB)/8, $3
DATA steps<>+32(SB)/8, $4
DATA steps<>+40(SB)/8, $5
DATA steps<>+48(SB)/8, $6
DATA steps<>+56(SB)/8, $7
GLOBL steps<>(SB), RODATA|NOPTR, $64

DATA evens<>+0(SB)/8, $0
DATA evens<>+8(SB)/8, $2
DATA evens<>+16(SB)/8, $4
DATA evens<>+24(SB)/8, $6
DATA evens<>+32(SB)/8, $8
DATA evens<>+40(SB)/8, $10
DATA evens<>+48(SB)/8, $12
DATA evens<>+56(SB)/8, $14
GLOBL evens<>(SB), RODATA|NOPTR, $64

// func raiseByPixels(ranks *int64, x *float32, n int, below int64)
TEXT ·raiseByPixels(SB), NOSPLIT, $0-32
	MOVQ         ranks+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	MOVQ         below+24(FP), DX
	VPBROADCASTQ DX, Z8
	VPSUBQ       steps<>(SB), Z8, Z8 // places of the first 8
	MOVQ         $8, DX
	VPBROADCASTQ DX, Z9
	MOVL         $0x7fffffff, DX
	VPBROADCASTD DX, Y10             // the size of a number, and its largest
	MOVL         $0x7f800000, DX
	VPBROADCASTD DX, Y11             // infinity

next:
	VMOVDQU   (SI), Y0
	VPSRAD    $31, Y0, Y1    // sign
	VPAND     Y10, Y0, Y0    // size
	VPCMPGTD  Y11, Y0, Y2    // NaN
	VPXOR     Y1, Y0, Y0
	VPSUBD    Y1, Y0, Y0
	VPBLENDVB Y2, Y10, Y0, Y0
	VPMOVSXDQ Y0, Z0
	VPSLLQ    $32, Z0, Z0
	VPORQ     Z8, Z0, Z0
	VPMAXSQ   (DI), Z0, Z0
	VMOVDQU64 Z0, (DI)
	VPSUBQ    Z9, Z8, Z8
	ADDQ      $32, SI
	ADDQ      $64, DI
	SUBQ      $8, CX
	JNZ       next
	VZEROUPPER
	RET

// func raise1(ranks, others *int64, n int)
TEXT ·raise1(SB), NOSPLIT, $0-24
	MOVQ ranks+0(FP), DI
	MOVQ others+8(FP), SI
	MOVQ n+16(FP), CX

next:
	VMOVDQU64 (SI), Z0
	VPMAXSQ   (DI), Z0, Z0
	VMOVDQU64 Z0, (DI)
	ADDQ      $64, SI
	ADDQ      $64, DI
	SUBQ      $8, CX
	JNZ       next
	VZEROUPPER
	RET

// func raise2(ranks, others *int64, n int)
TEXT ·raise2(SB), NOSPLIT, $0-24
	MOVQ      ranks+0(FP), DI
	MOVQ      others+8(FP), SI
	MOVQ      n+16(FP), CX
	VMOVDQU64 evens<>(SB), Z3

next:
	VMOVDQU64 (SI), Z0
	VMOVDQU64 64(SI), Z1
	VMOVDQA64 Z3, Z2
	VPERMI2Q  Z1, Z0, Z2
	VPMAXSQ   (DI), Z2, Z2
	VMOVDQU64 Z2, (DI)
	ADDQ      $128, SI
	ADDQ      $64, DI
	SUBQ      $8, CX
	JNZ       next
	VZEROUPPER
	RET
