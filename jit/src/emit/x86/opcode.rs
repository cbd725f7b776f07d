//! The machine instruction of each operation, by instruction set and lane width: one row each.

use super::isa::Isa;
use iced_x86::Code;

macro_rules! opcodes {
    ($($name:ident: $z32:ident $z64:ident $y32:ident $y64:ident;)+) => {
        /// An operation on whole vectors of 32-bit or 64-bit lanes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Opcode { $($name),+ }

        impl Opcode {
            /// Its machine instruction; `INVALID` where the instruction set has none.
            pub(super) fn code(self, isa: Isa, bits: u32) -> Code {
                let row = match self {
                    $(Opcode::$name => [Code::$z32, Code::$z64, Code::$y32, Code::$y64]),+
                };
                row[usize::from(isa == Isa::Avx2) * 2 + usize::from(bits == 64)]
            }
        }
    };
}

opcodes! {
    Add:           EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er        EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er        VEX_Vaddps_ymm_ymm_ymmm256           VEX_Vaddpd_ymm_ymm_ymmm256;
    Sub:           EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er        EVEX_Vsubpd_zmm_k1z_zmm_zmmm512b64_er        VEX_Vsubps_ymm_ymm_ymmm256           VEX_Vsubpd_ymm_ymm_ymmm256;
    Mul:           EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er        EVEX_Vmulpd_zmm_k1z_zmm_zmmm512b64_er        VEX_Vmulps_ymm_ymm_ymmm256           VEX_Vmulpd_ymm_ymm_ymmm256;
    Div:           EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er        EVEX_Vdivpd_zmm_k1z_zmm_zmmm512b64_er        VEX_Vdivps_ymm_ymm_ymmm256           VEX_Vdivpd_ymm_ymm_ymmm256;
    Min:           EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae       EVEX_Vminpd_zmm_k1z_zmm_zmmm512b64_sae       VEX_Vminps_ymm_ymm_ymmm256           VEX_Vminpd_ymm_ymm_ymmm256;
    Max:           EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae       EVEX_Vmaxpd_zmm_k1z_zmm_zmmm512b64_sae       VEX_Vmaxps_ymm_ymm_ymmm256           VEX_Vmaxpd_ymm_ymm_ymmm256;
    Scale:         EVEX_Vscalefps_zmm_k1z_zmm_zmmm512b32_er     EVEX_Vscalefpd_zmm_k1z_zmm_zmmm512b64_er     INVALID                              INVALID;
    Sqrt:          EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er           EVEX_Vsqrtpd_zmm_k1z_zmmm512b64_er           VEX_Vsqrtps_ymm_ymmm256              VEX_Vsqrtpd_ymm_ymmm256;
    Round:         EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae EVEX_Vrndscalepd_zmm_k1z_zmmm512b64_imm8_sae VEX_Vroundps_ymm_ymmm256_imm8        VEX_Vroundpd_ymm_ymmm256_imm8;
    FloatAnd:      EVEX_Vandps_zmm_k1z_zmm_zmmm512b32           EVEX_Vandpd_zmm_k1z_zmm_zmmm512b64           VEX_Vandps_ymm_ymm_ymmm256           VEX_Vandpd_ymm_ymm_ymmm256;
    FloatOr:       EVEX_Vorps_zmm_k1z_zmm_zmmm512b32            EVEX_Vorpd_zmm_k1z_zmm_zmmm512b64            VEX_Vorps_ymm_ymm_ymmm256            VEX_Vorpd_ymm_ymm_ymmm256;
    FloatXor:      EVEX_Vxorps_zmm_k1z_zmm_zmmm512b32           EVEX_Vxorpd_zmm_k1z_zmm_zmmm512b64           VEX_Vxorps_ymm_ymm_ymmm256           VEX_Vxorpd_ymm_ymm_ymmm256;
    Fmadd132:      EVEX_Vfmadd132ps_zmm_k1z_zmm_zmmm512b32_er   EVEX_Vfmadd132pd_zmm_k1z_zmm_zmmm512b64_er   VEX_Vfmadd132ps_ymm_ymm_ymmm256      VEX_Vfmadd132pd_ymm_ymm_ymmm256;
    Fmadd213:      EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er   EVEX_Vfmadd213pd_zmm_k1z_zmm_zmmm512b64_er   VEX_Vfmadd213ps_ymm_ymm_ymmm256      VEX_Vfmadd213pd_ymm_ymm_ymmm256;
    Fmadd231:      EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er   EVEX_Vfmadd231pd_zmm_k1z_zmm_zmmm512b64_er   VEX_Vfmadd231ps_ymm_ymm_ymmm256      VEX_Vfmadd231pd_ymm_ymm_ymmm256;
    Fmsub132:      EVEX_Vfmsub132ps_zmm_k1z_zmm_zmmm512b32_er   EVEX_Vfmsub132pd_zmm_k1z_zmm_zmmm512b64_er   VEX_Vfmsub132ps_ymm_ymm_ymmm256      VEX_Vfmsub132pd_ymm_ymm_ymmm256;
    Fmsub213:      EVEX_Vfmsub213ps_zmm_k1z_zmm_zmmm512b32_er   EVEX_Vfmsub213pd_zmm_k1z_zmm_zmmm512b64_er   VEX_Vfmsub213ps_ymm_ymm_ymmm256      VEX_Vfmsub213pd_ymm_ymm_ymmm256;
    Fmsub231:      EVEX_Vfmsub231ps_zmm_k1z_zmm_zmmm512b32_er   EVEX_Vfmsub231pd_zmm_k1z_zmm_zmmm512b64_er   VEX_Vfmsub231ps_ymm_ymm_ymmm256      VEX_Vfmsub231pd_ymm_ymm_ymmm256;
    Fnmadd132:     EVEX_Vfnmadd132ps_zmm_k1z_zmm_zmmm512b32_er  EVEX_Vfnmadd132pd_zmm_k1z_zmm_zmmm512b64_er  VEX_Vfnmadd132ps_ymm_ymm_ymmm256     VEX_Vfnmadd132pd_ymm_ymm_ymmm256;
    Fnmadd213:     EVEX_Vfnmadd213ps_zmm_k1z_zmm_zmmm512b32_er  EVEX_Vfnmadd213pd_zmm_k1z_zmm_zmmm512b64_er  VEX_Vfnmadd213ps_ymm_ymm_ymmm256     VEX_Vfnmadd213pd_ymm_ymm_ymmm256;
    Fnmadd231:     EVEX_Vfnmadd231ps_zmm_k1z_zmm_zmmm512b32_er  EVEX_Vfnmadd231pd_zmm_k1z_zmm_zmmm512b64_er  VEX_Vfnmadd231ps_ymm_ymm_ymmm256     VEX_Vfnmadd231pd_ymm_ymm_ymmm256;
    Fnmsub132:     EVEX_Vfnmsub132ps_zmm_k1z_zmm_zmmm512b32_er  EVEX_Vfnmsub132pd_zmm_k1z_zmm_zmmm512b64_er  VEX_Vfnmsub132ps_ymm_ymm_ymmm256     VEX_Vfnmsub132pd_ymm_ymm_ymmm256;
    Fnmsub213:     EVEX_Vfnmsub213ps_zmm_k1z_zmm_zmmm512b32_er  EVEX_Vfnmsub213pd_zmm_k1z_zmm_zmmm512b64_er  VEX_Vfnmsub213ps_ymm_ymm_ymmm256     VEX_Vfnmsub213pd_ymm_ymm_ymmm256;
    Fnmsub231:     EVEX_Vfnmsub231ps_zmm_k1z_zmm_zmmm512b32_er  EVEX_Vfnmsub231pd_zmm_k1z_zmm_zmmm512b64_er  VEX_Vfnmsub231ps_ymm_ymm_ymmm256     VEX_Vfnmsub231pd_ymm_ymm_ymmm256;
    IntAdd:        EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32           EVEX_Vpaddq_zmm_k1z_zmm_zmmm512b64           VEX_Vpaddd_ymm_ymm_ymmm256           VEX_Vpaddq_ymm_ymm_ymmm256;
    IntSub:        EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32           EVEX_Vpsubq_zmm_k1z_zmm_zmmm512b64           VEX_Vpsubd_ymm_ymm_ymmm256           VEX_Vpsubq_ymm_ymm_ymmm256;
    IntMul:        EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32          EVEX_Vpmullq_zmm_k1z_zmm_zmmm512b64          VEX_Vpmulld_ymm_ymm_ymmm256          INVALID;
    HalfMul:       INVALID                                      INVALID                                      INVALID                              VEX_Vpmuludq_ymm_ymm_ymmm256;
    And:           EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32           EVEX_Vpandq_zmm_k1z_zmm_zmmm512b64           VEX_Vpand_ymm_ymm_ymmm256            VEX_Vpand_ymm_ymm_ymmm256;
    Or:            EVEX_Vpord_zmm_k1z_zmm_zmmm512b32            EVEX_Vporq_zmm_k1z_zmm_zmmm512b64            VEX_Vpor_ymm_ymm_ymmm256             VEX_Vpor_ymm_ymm_ymmm256;
    Xor:           EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32           EVEX_Vpxorq_zmm_k1z_zmm_zmmm512b64           VEX_Vpxor_ymm_ymm_ymmm256            VEX_Vpxor_ymm_ymm_ymmm256;
    IntMin:        EVEX_Vpminsd_zmm_k1z_zmm_zmmm512b32          EVEX_Vpminsq_zmm_k1z_zmm_zmmm512b64          VEX_Vpminsd_ymm_ymm_ymmm256          INVALID;
    IntMax:        EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32          EVEX_Vpmaxsq_zmm_k1z_zmm_zmmm512b64          VEX_Vpmaxsd_ymm_ymm_ymmm256          INVALID;
    Shl:           EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8          EVEX_Vpsllq_zmm_k1z_zmmm512b64_imm8          VEX_Vpslld_ymm_ymm_imm8              VEX_Vpsllq_ymm_ymm_imm8;
    Shr:           EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8          EVEX_Vpsrlq_zmm_k1z_zmmm512b64_imm8          VEX_Vpsrld_ymm_ymm_imm8              VEX_Vpsrlq_ymm_ymm_imm8;
    Sar:           EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8          EVEX_Vpsraq_zmm_k1z_zmmm512b64_imm8          VEX_Vpsrad_ymm_ymm_imm8              INVALID;
    FloatCompare:  EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae    EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae    VEX_Vcmpps_ymm_ymm_ymmm256_imm8      VEX_Vcmppd_ymm_ymm_ymmm256_imm8;
    IntCompare:    EVEX_Vpcmpd_kr_k1_zmm_zmmm512b32_imm8        EVEX_Vpcmpq_kr_k1_zmm_zmmm512b64_imm8        INVALID                              INVALID;
    IntEqual:      INVALID                                      INVALID                                      VEX_Vpcmpeqd_ymm_ymm_ymmm256         VEX_Vpcmpeqq_ymm_ymm_ymmm256;
    IntGreater:    INVALID                                      INVALID                                      VEX_Vpcmpgtd_ymm_ymm_ymmm256         VEX_Vpcmpgtq_ymm_ymm_ymmm256;
    Blend:         EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32        EVEX_Vblendmpd_zmm_k1z_zmm_zmmm512b64        VEX_Vblendvps_ymm_ymm_ymmm256_ymm    VEX_Vblendvpd_ymm_ymm_ymmm256_ymm;
    PermuteTwo:    EVEX_Vpermt2ps_zmm_k1z_zmm_zmmm512b32        INVALID                                      INVALID                              INVALID;
    Ternary:       EVEX_Vpternlogd_zmm_k1z_zmm_zmmm512b32_imm8  EVEX_Vpternlogq_zmm_k1z_zmm_zmmm512b64_imm8  INVALID                              INVALID;
    MaskBits:      EVEX_Vpmovm2d_zmm_kr                         EVEX_Vpmovm2q_zmm_kr                         INVALID                              INVALID;
    Constant:      EVEX_Vbroadcastss_zmm_k1z_xmmm32             EVEX_Vbroadcastsd_zmm_k1z_xmmm64             VEX_Vmovups_ymm_ymmm256              VEX_Vmovups_ymm_ymmm256;
    Broadcast:     EVEX_Vbroadcastss_zmm_k1z_xmmm32             EVEX_Vbroadcastsd_zmm_k1z_xmmm64             VEX_Vbroadcastss_ymm_m32             VEX_Vbroadcastsd_ymm_m64;
    Gather:        EVEX_Vgatherdps_zmm_k1_vm32z                 EVEX_Vgatherqpd_zmm_k1_vm64z                 VEX_Vgatherdps_ymm_vm32y_ymm         VEX_Vgatherqpd_ymm_vm64y_ymm;
    Move:          EVEX_Vmovaps_zmm_k1z_zmmm512                 EVEX_Vmovapd_zmm_k1z_zmmm512                 VEX_Vmovaps_ymm_ymmm256              VEX_Vmovapd_ymm_ymmm256;
    Load:          EVEX_Vmovups_zmm_k1z_zmmm512                 EVEX_Vmovupd_zmm_k1z_zmmm512                 VEX_Vmovups_ymm_ymmm256              VEX_Vmovupd_ymm_ymmm256;
    Store:         EVEX_Vmovups_zmmm512_k1z_zmm                 EVEX_Vmovupd_zmmm512_k1z_zmm                 VEX_Vmovups_ymmm256_ymm              VEX_Vmovupd_ymmm256_ymm;
    MaskedLoad:    INVALID                                      INVALID                                      VEX_Vmaskmovps_ymm_ymm_m256          VEX_Vmaskmovpd_ymm_ymm_m256;
    MaskedStore:   INVALID                                      INVALID                                      VEX_Vmaskmovps_m256_ymm_ymm          VEX_Vmaskmovpd_m256_ymm_ymm;
    Promote:       EVEX_Vcvtps2pd_zmm_k1z_ymmm256b32_sae        INVALID                                      VEX_Vcvtps2pd_ymm_xmmm128            INVALID;
    Demote:        INVALID                                      EVEX_Vcvtpd2ps_ymm_k1z_zmmm512b64_er         INVALID                              VEX_Vcvtpd2ps_xmm_ymmm256;
    UpperHalf:     EVEX_Vextractf32x8_ymmm256_k1z_zmm_imm8      INVALID                                      VEX_Vextractf128_xmmm128_ymm_imm8    INVALID;
    Quarter:       EVEX_Vextractf32x4_xmmm128_k1z_ymm_imm8      INVALID                                      VEX_Vextractf128_xmmm128_ymm_imm8    INVALID;
    Shuffle:       EVEX_Vshufps_xmm_k1z_xmm_xmmm128b32_imm8     INVALID                                      VEX_Vshufps_xmm_xmm_xmmm128_imm8     INVALID;
    StoreLane:     EVEX_Vmovss_m32_k1_xmm                       EVEX_Vmovsd_m64_k1_xmm                       VEX_Vmovss_m32_xmm                   VEX_Vmovsd_m64_xmm;
    JoinHalves:    EVEX_Vinsertf32x8_zmm_k1z_zmm_ymmm256_imm8   INVALID                                      VEX_Vinsertf128_ymm_ymm_xmmm128_imm8 INVALID;
    LoadBytes:     EVEX_Vpmovzxbd_zmm_k1z_xmmm128               INVALID                                      VEX_Vpmovzxbd_ymm_xmmm64             INVALID;
    LoadF16:       EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae           INVALID                                      VEX_Vcvtph2ps_ymm_xmmm128            INVALID;
    StoreF16:      EVEX_Vcvtps2ph_ymmm256_k1z_zmm_imm8_sae      INVALID                                      VEX_Vcvtps2ph_xmmm128_ymm_imm8       INVALID;
    LoadWords:     EVEX_Vpmovzxwd_zmm_k1z_ymmm256               INVALID                                      VEX_Vpmovzxwd_ymm_xmmm128            INVALID;
    StoreWords:    EVEX_Vpmovdw_ymmm256_k1z_zmm                 INVALID                                      VEX_Vmovdqu_xmmm128_xmm              INVALID;
    StoreBytes:    EVEX_Vmovdqu8_xmmm128_k1z_xmm                INVALID                                      VEX_Vmovq_xmmm64_xmm                 INVALID;
}

macro_rules! half_opcodes {
    ($($name:ident: $y32:ident $y64:ident;)+) => {
        /// The machine instructions on half a vector of AVX-512.
        const HALVES: &[(Opcode, [Code; 2])] = &[$((Opcode::$name, [Code::$y32, Code::$y64])),+];
    };
}

impl Opcode {
    /// The machine instruction on half a vector of AVX-512, of those that merge; else `INVALID`.
    pub(super) fn half_code(self, bits: u32) -> Code {
        let half = HALVES.iter().find(|(whole, _)| *whole == self);
        half.map_or(Code::INVALID, |(_, codes)| codes[usize::from(bits == 64)])
    }
}

/// What does on half a vector of AVX-512 what `code` does on all of it, where that is known.
pub(super) fn half(code: Code) -> Option<Code> {
    let halves = HALVES.iter().flat_map(|&(whole, halves)| {
        [32, 64]
            .into_iter()
            .zip(halves)
            .map(move |(bits, half)| (whole.code(Isa::Avx512, bits), half))
    });
    halves
        .filter(|&(_, half)| half != Code::INVALID)
        .find(|&(whole, _)| whole == code)
        .map(|(_, half)| half)
}

half_opcodes! {
    Add:     EVEX_Vaddps_ymm_k1z_ymm_ymmm256b32      EVEX_Vaddpd_ymm_k1z_ymm_ymmm256b64;
    Mul:     EVEX_Vmulps_ymm_k1z_ymm_ymmm256b32      EVEX_Vmulpd_ymm_k1z_ymm_ymmm256b64;
    Min:     EVEX_Vminps_ymm_k1z_ymm_ymmm256b32      EVEX_Vminpd_ymm_k1z_ymm_ymmm256b64;
    Max:     EVEX_Vmaxps_ymm_k1z_ymm_ymmm256b32      EVEX_Vmaxpd_ymm_k1z_ymm_ymmm256b64;
    FloatOr: EVEX_Vorps_ymm_k1z_ymm_ymmm256b32       EVEX_Vorpd_ymm_k1z_ymm_ymmm256b64;
    IntAdd:  EVEX_Vpaddd_ymm_k1z_ymm_ymmm256b32      EVEX_Vpaddq_ymm_k1z_ymm_ymmm256b64;
    And:     EVEX_Vpandd_ymm_k1z_ymm_ymmm256b32      EVEX_Vpandq_ymm_k1z_ymm_ymmm256b64;
    Or:      EVEX_Vpord_ymm_k1z_ymm_ymmm256b32       EVEX_Vporq_ymm_k1z_ymm_ymmm256b64;
    IntMin:  EVEX_Vpminsd_ymm_k1z_ymm_ymmm256b32     EVEX_Vpminsq_ymm_k1z_ymm_ymmm256b64;
    IntMax:  EVEX_Vpmaxsd_ymm_k1z_ymm_ymmm256b32     EVEX_Vpmaxsq_ymm_k1z_ymm_ymmm256b64;
    Sub:       EVEX_Vsubps_ymm_k1z_ymm_ymmm256b32    EVEX_Vsubpd_ymm_k1z_ymm_ymmm256b64;
    Div:       EVEX_Vdivps_ymm_k1z_ymm_ymmm256b32    EVEX_Vdivpd_ymm_k1z_ymm_ymmm256b64;
    Sqrt:      EVEX_Vsqrtps_ymm_k1z_ymmm256b32       EVEX_Vsqrtpd_ymm_k1z_ymmm256b64;
    Broadcast: EVEX_Vbroadcastss_ymm_k1z_xmmm32      EVEX_Vbroadcastsd_ymm_k1z_xmmm64;
    Promote:   EVEX_Vcvtps2pd_ymm_k1z_xmmm128b32     INVALID;
    Demote:    INVALID                               EVEX_Vcvtpd2ps_xmm_k1z_ymmm256b64;
}

/// A multiply-add with the signs of its product and its addend: the forms 132, 213 and 231, which
/// differ in the operand that the result replaces.
pub(super) fn multiply_add(negative_product: bool, negative_addend: bool) -> [Opcode; 3] {
    match (negative_product, negative_addend) {
        (false, false) => [Opcode::Fmadd132, Opcode::Fmadd213, Opcode::Fmadd231],
        (false, true) => [Opcode::Fmsub132, Opcode::Fmsub213, Opcode::Fmsub231],
        (true, false) => [Opcode::Fnmadd132, Opcode::Fnmadd213, Opcode::Fnmadd231],
        (true, true) => [Opcode::Fnmsub132, Opcode::Fnmsub213, Opcode::Fnmsub231],
    }
}
