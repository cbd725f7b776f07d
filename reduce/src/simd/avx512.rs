//! Vectors of 512 bits.

use super::columns::{BestOf, PlaceOf, SumOf};
use super::machine::{define_machine, define_store};
use super::{
    Blocked, Columns, Machine, Ordered, Results, Sums, Vector, back, columns, extreme, is, of_type,
    rows, sum,
};
use std::arch::x86_64::{
    __m128, __m256, __m256d, __m512, __m512d, __m512i, __mmask8, __mmask16, _CMP_NGE_UQ,
    _CMP_NLE_UQ, _CMP_UNORD_Q, _mm512_add_pd, _mm512_add_ps, _mm512_cmp_pd_mask,
    _mm512_cmp_ps_mask, _mm512_cvtsd_f64, _mm512_cvtss_f32, _mm512_loadu_epi32, _mm512_loadu_epi64,
    _mm512_loadu_pd, _mm512_loadu_ps, _mm512_mask_blend_pd, _mm512_mask_blend_ps,
    _mm512_mask_loadu_pd, _mm512_mask_loadu_ps, _mm512_mask_storeu_pd, _mm512_mask_storeu_ps,
    _mm512_max_pd, _mm512_max_ps, _mm512_min_pd, _mm512_min_ps, _mm512_permute_pd,
    _mm512_permute_ps, _mm512_permutex2var_pd, _mm512_permutex2var_ps, _mm512_set1_pd,
    _mm512_set1_ps, _mm512_shuffle_f32x4, _mm512_shuffle_f64x2, _mm512_storeu_pd, _mm512_storeu_ps,
};

/// AVX-512.
pub(crate) struct Avx512;

define_machine!(Avx512 "avx512f,avx512bw,avx512dq,avx512vl": __m128, __m256, __m512 => __m512, 16; __m256d, __m512d => __m512d, 8; 4);

/// The instructions of a type of vector; `swaps` bring the upper half of 16, 8, 4 and 2 lanes down.
macro_rules! define_vector {
    (
        $vector:ty, $element:ident, $mask:ty: $splat:ident $load:ident $load_some:ident $store:ident
        $store_some:ident $add:ident $max:ident $min:ident $compare:ident $blend:ident $first:ident;
        $($swap:expr),*
    ) => {
        impl Vector for $vector {
            type Element = $element;
            type Mask = $mask;
            const LANES: usize = 64 / size_of::<$element>();
            const NEGATIVE_ZERO: $element = -0.0;
            const NAN: $element = $element::NAN;
            const ONE: $element = 1.0;

            #[inline(always)]
            fn number(of: usize) -> $element {
                of as $element
            }

            #[inline(always)]
            unsafe fn splat(element: $element) -> $vector {
                // SAFETY: required of the caller, here and below.
                unsafe { $splat(element) }
            }

            #[inline(always)]
            unsafe fn load(from: *const $element) -> $vector {
                // SAFETY: as above.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn load_some(
                from: *const $element,
                count: usize,
                others: $vector,
            ) -> $vector {
                let mask = ((1u32 << count) - 1) as $mask;
                // SAFETY: as above; lanes outside of the mask are not read.
                unsafe { $load_some(others, mask, from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $element) {
                // SAFETY: as above.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn store_some(self, to: *mut $element, count: usize) {
                let mask = ((1u32 << count) - 1) as $mask;
                // SAFETY: as above; lanes outside of the mask are not written.
                unsafe { $store_some(to, mask, self) }
            }

            #[inline(always)]
            unsafe fn add(self, other: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $add(self, other) }
            }

            #[inline(always)]
            unsafe fn better<const LARGEST: bool>(self, other: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { if LARGEST { $max(self, other) } else { $min(self, other) } }
            }

            #[inline(always)]
            unsafe fn no_lane() -> $mask {
                0
            }

            #[inline(always)]
            unsafe fn odd(mask: $mask, a: $vector, b: $vector) -> $mask {
                // SAFETY: as above.
                unsafe { mask | $compare::<_CMP_UNORD_Q>(a, b) }
            }

            #[inline(always)]
            unsafe fn is_any(mask: $mask) -> bool {
                mask != 0
            }

            #[inline(always)]
            unsafe fn beyond<const LARGEST: bool>(self, other: $vector, but: $mask) -> $mask {
                // SAFETY: as above.
                unsafe {
                    !but & match LARGEST {
                        true => $compare::<_CMP_NLE_UQ>(self, other),
                        false => $compare::<_CMP_NGE_UQ>(self, other),
                    }
                }
            }

            #[inline(always)]
            unsafe fn choose(mask: $mask, these: $vector, others: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $blend(mask, others, these) }
            }

            define_store!($element);

            #[inline(always)]
            unsafe fn in_halves(
                self,
                merge: impl Fn($vector, $vector) -> $vector,
            ) -> $element {
                let merged = self;
                // SAFETY: as above.
                unsafe {
                    $(let merged = merge(merged, $swap(merged));)*
                    $first(merged)
                }
            }
        }
    };
}

define_vector! {
    __m512, f32, __mmask16: _mm512_set1_ps _mm512_loadu_ps _mm512_mask_loadu_ps
    _mm512_storeu_ps _mm512_mask_storeu_ps _mm512_add_ps _mm512_max_ps _mm512_min_ps
    _mm512_cmp_ps_mask _mm512_mask_blend_ps _mm512_cvtss_f32;
    |x| _mm512_shuffle_f32x4::<0b11_10_11_10>(x, x),
    |x| _mm512_shuffle_f32x4::<0b01_01_01_01>(x, x),
    |x| _mm512_permute_ps::<0b11_10_11_10>(x),
    |x| _mm512_permute_ps::<0b01_01_01_01>(x)
}

define_vector! {
    __m512d, f64, __mmask8: _mm512_set1_pd _mm512_loadu_pd _mm512_mask_loadu_pd
    _mm512_storeu_pd _mm512_mask_storeu_pd _mm512_add_pd _mm512_max_pd _mm512_min_pd
    _mm512_cmp_pd_mask _mm512_mask_blend_pd _mm512_cvtsd_f64;
    |x| _mm512_shuffle_f64x2::<0b11_10_11_10>(x, x),
    |x| _mm512_shuffle_f64x2::<0b01_01_01_01>(x, x),
    |x| _mm512_permute_pd::<0b1111_1111>(x)
}

/// Lanes of two vectors by their numbers.
macro_rules! define_orders {
    ($($vector:ty, $index:ty: $load:ident $pick:ident;)*) => {
        $(impl Ordered for $vector {
            type Order = __m512i;

            #[inline(always)]
            unsafe fn order(from: impl Fn(usize) -> usize) -> __m512i {
                let mut lanes = [0 as $index; <$vector as Vector>::LANES];
                for (at, lane) in lanes.iter_mut().enumerate() {
                    *lane = from(at) as $index;
                }
                // SAFETY: required of the caller; there are as many numbers as lanes.
                unsafe { $load(lanes.as_ptr()) }
            }

            #[inline(always)]
            unsafe fn pick(self, other: $vector, order: __m512i) -> $vector {
                // SAFETY: required of the caller.
                unsafe { $pick(self, order, other) }
            }
        })*
    };
}

define_orders! {
    __m512, i32: _mm512_loadu_epi32 _mm512_permutex2var_ps;
    __m512d, i64: _mm512_loadu_epi64 _mm512_permutex2var_pd;
}
