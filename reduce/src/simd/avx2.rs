//! Vectors of 256 bits.

use super::columns::{BestOf, PlaceOf, SumOf};
use super::machine::{define_machine, define_store};
use super::{
    Blocked, Columns, Machine, Ordered, Results, Sums, Vector, back, columns, extreme, is, of_type,
    rows, sum,
};
use std::arch::x86_64::{
    __m128, __m128i, __m256, __m256d, __m256i, _CMP_NGE_UQ, _CMP_NLE_UQ, _CMP_UNORD_Q, _mm_add_ps,
    _mm_andnot_ps, _mm_blendv_ps, _mm_castsi128_ps, _mm_cmp_ps, _mm_cmpgt_epi32, _mm_cvtss_f32,
    _mm_loadu_ps, _mm_maskload_ps, _mm_maskstore_ps, _mm_max_ps, _mm_min_ps, _mm_movemask_ps,
    _mm_or_ps, _mm_permute_ps, _mm_set1_epi32, _mm_set1_ps, _mm_setr_epi32, _mm_setzero_ps,
    _mm_storeu_ps, _mm256_add_pd, _mm256_add_ps, _mm256_andnot_pd, _mm256_andnot_ps,
    _mm256_blendv_pd, _mm256_blendv_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_castsi256_pd,
    _mm256_castsi256_ps, _mm256_cmp_pd, _mm256_cmp_ps, _mm256_cmpgt_epi32, _mm256_cmpgt_epi64,
    _mm256_cvtsd_f64, _mm256_cvtss_f32, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_maskload_pd, _mm256_maskload_ps, _mm256_maskstore_pd, _mm256_maskstore_ps,
    _mm256_max_pd, _mm256_max_ps, _mm256_min_pd, _mm256_min_ps, _mm256_movemask_pd,
    _mm256_movemask_ps, _mm256_or_pd, _mm256_or_ps, _mm256_permute_pd, _mm256_permute_ps,
    _mm256_permute2f128_pd, _mm256_permute2f128_ps, _mm256_permutevar8x32_ps, _mm256_set1_epi32,
    _mm256_set1_epi64x, _mm256_set1_pd, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setr_epi64x,
    _mm256_setzero_pd, _mm256_setzero_ps, _mm256_storeu_pd, _mm256_storeu_ps,
};

/// AVX2.
pub(crate) struct Avx2;

define_machine!(Avx2 "avx2": __m128, __m256 => __m256, 8; __m256d => __m256d, 4; 8);

#[inline(always)]
unsafe fn first_four(count: usize) -> __m128i {
    // SAFETY: required of the caller.
    unsafe { _mm_cmpgt_epi32(_mm_set1_epi32(count as i32), _mm_setr_epi32(0, 1, 2, 3)) }
}

#[inline(always)]
unsafe fn first_singles(count: usize) -> __m256i {
    // SAFETY: required of the caller.
    unsafe {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
    }
}

#[inline(always)]
unsafe fn first_doubles(count: usize) -> __m256i {
    // SAFETY: required of the caller.
    unsafe {
        let lanes = _mm256_setr_epi64x(0, 1, 2, 3);
        _mm256_cmpgt_epi64(_mm256_set1_epi64x(count as i64), lanes)
    }
}

/// The instructions of a type of vector; `swaps` bring the upper half of 8, 4 and 2 lanes down.
macro_rules! define_vector {
    (
        $vector:ty, $element:ident: $splat:ident $load:ident $mask:ident $load_some:ident
        $store:ident $store_some:ident $cast:ident $blend:ident $add:ident $max:ident
        $min:ident $zero:ident $compare:ident
        $or:ident $except:ident $any:ident $first:ident;
        $($swap:expr),*
    ) => {
        impl Vector for $vector {
            type Element = $element;
            type Mask = $vector;
            const LANES: usize = size_of::<$vector>() / size_of::<$element>();
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
                // SAFETY: as above; lanes outside of the mask are not read.
                unsafe {
                    let mask = $mask(count);
                    $blend(others, $load_some(from, mask), $cast(mask))
                }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $element) {
                // SAFETY: as above.
                unsafe { $store(to, self) }
            }

            #[inline(always)]
            unsafe fn store_some(self, to: *mut $element, count: usize) {
                // SAFETY: as above; lanes outside of the mask are not written.
                unsafe { $store_some(to, $mask(count), self) }
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
            unsafe fn no_lane() -> $vector {
                // SAFETY: as above.
                unsafe { $zero() }
            }

            #[inline(always)]
            unsafe fn odd(mask: $vector, a: $vector, b: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $or(mask, $compare::<_CMP_UNORD_Q>(a, b)) }
            }

            #[inline(always)]
            unsafe fn is_any(mask: $vector) -> bool {
                // SAFETY: as above.
                unsafe { $any(mask) != 0 }
            }

            #[inline(always)]
            unsafe fn beyond<const LARGEST: bool>(self, other: $vector, but: $vector) -> $vector {
                // SAFETY: as above.
                unsafe {
                    let takes = match LARGEST {
                        true => $compare::<_CMP_NLE_UQ>(self, other),
                        false => $compare::<_CMP_NGE_UQ>(self, other),
                    };
                    $except(but, takes)
                }
            }

            #[inline(always)]
            unsafe fn choose(mask: $vector, these: $vector, others: $vector) -> $vector {
                // SAFETY: as above.
                unsafe { $blend(others, these, mask) }
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
    __m128, f32: _mm_set1_ps _mm_loadu_ps first_four _mm_maskload_ps
    _mm_storeu_ps _mm_maskstore_ps _mm_castsi128_ps
    _mm_blendv_ps _mm_add_ps _mm_max_ps _mm_min_ps _mm_setzero_ps _mm_cmp_ps _mm_or_ps
    _mm_andnot_ps _mm_movemask_ps _mm_cvtss_f32;
    |x| _mm_permute_ps::<0b11_10_11_10>(x),
    |x| _mm_permute_ps::<0b01_01_01_01>(x)
}

define_vector! {
    __m256, f32: _mm256_set1_ps _mm256_loadu_ps first_singles _mm256_maskload_ps
    _mm256_storeu_ps _mm256_maskstore_ps
    _mm256_castsi256_ps _mm256_blendv_ps _mm256_add_ps _mm256_max_ps _mm256_min_ps
    _mm256_setzero_ps _mm256_cmp_ps _mm256_or_ps _mm256_andnot_ps _mm256_movemask_ps
    _mm256_cvtss_f32;
    |x| _mm256_permute2f128_ps::<0x11>(x, x),
    |x| _mm256_permute_ps::<0b11_10_11_10>(x),
    |x| _mm256_permute_ps::<0b01_01_01_01>(x)
}

define_vector! {
    __m256d, f64: _mm256_set1_pd _mm256_loadu_pd first_doubles _mm256_maskload_pd
    _mm256_storeu_pd _mm256_maskstore_pd
    _mm256_castsi256_pd _mm256_blendv_pd _mm256_add_pd _mm256_max_pd _mm256_min_pd
    _mm256_setzero_pd _mm256_cmp_pd _mm256_or_pd _mm256_andnot_pd _mm256_movemask_pd
    _mm256_cvtsd_f64;
    |x| _mm256_permute2f128_pd::<0x11>(x, x),
    |x| _mm256_permute_pd::<0b1111>(x)
}

/// Where each lane comes from, as numbers of parts of 32 bits, and whether it is of the other vector.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    parts: __m256i,
    is_other: __m256i,
}

impl Order {
    #[inline(always)]
    unsafe fn new(lanes: usize, from: impl Fn(usize) -> usize) -> Order {
        let (mut parts, mut is_other) = ([0i32; 8], [0i32; 8]);
        let each = 8 / lanes;
        for at in 0..8 {
            let lane = from(at / each);
            parts[at] = (lane % lanes * each + at % each) as i32;
            is_other[at] = -i32::from(lane >= lanes);
        }
        // SAFETY: required of the caller; there are eight.
        unsafe {
            Order {
                parts: _mm256_loadu_si256(parts.as_ptr().cast()),
                is_other: _mm256_loadu_si256(is_other.as_ptr().cast()),
            }
        }
    }
}

impl Ordered for __m256 {
    type Order = Order;

    #[inline(always)]
    unsafe fn order(from: impl Fn(usize) -> usize) -> Order {
        // SAFETY: required of the caller, here and below.
        unsafe { Order::new(8, from) }
    }

    #[inline(always)]
    unsafe fn pick(self, other: __m256, order: Order) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let of = |vector| _mm256_permutevar8x32_ps(vector, order.parts);
            _mm256_blendv_ps(of(self), of(other), _mm256_castsi256_ps(order.is_other))
        }
    }
}

impl Ordered for __m256d {
    type Order = Order;

    #[inline(always)]
    unsafe fn order(from: impl Fn(usize) -> usize) -> Order {
        // SAFETY: as above.
        unsafe { Order::new(4, from) }
    }

    #[inline(always)]
    unsafe fn pick(self, other: __m256d, order: Order) -> __m256d {
        // SAFETY: as above.
        unsafe {
            let (one, other) = (_mm256_castpd_ps(self), _mm256_castpd_ps(other));
            _mm256_castps_pd(Ordered::pick(one, other, order))
        }
    }
}
