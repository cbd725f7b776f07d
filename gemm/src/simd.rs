//! Vectors of numbers, and what a kernel does with them.

/// The most lanes of a vector.
const MOST_LANES: usize = 16;

/// The vectors of a processor, for one type of number.
pub(crate) trait Simd: Copy {
    /// An element.
    type Element: Copy;
    /// Several elements.
    type Vector: Copy;
    /// How many.
    const LANES: usize;

    /// # Safety
    ///
    /// The processor must have such vectors, here and below.
    unsafe fn zero() -> Self::Vector;

    /// # Safety
    ///
    /// `LANES` elements must be readable.
    unsafe fn load(from: *const Self::Element) -> Self::Vector;

    /// # Safety
    ///
    /// `LANES` elements must be writable.
    unsafe fn store(to: *mut Self::Element, vector: Self::Vector);

    /// The first `count` elements, not all, and zeros.
    ///
    /// # Safety
    ///
    /// They must be readable.
    unsafe fn load_part(from: *const Self::Element, count: usize) -> Self::Vector;

    /// Stores the first `count` elements, not all.
    ///
    /// # Safety
    ///
    /// They must be writable.
    unsafe fn store_part(to: *mut Self::Element, vector: Self::Vector, count: usize);

    /// One element in every lane.
    ///
    /// # Safety
    ///
    /// The element must be readable.
    unsafe fn splat(from: *const Self::Element) -> Self::Vector;

    /// Vectors of half as many bits, if there are any.
    type Half: Simd<Element = Self::Element>;

    /// Turns rows that are `down` apart into columns, as many of each as a vector has lanes. They are given in order, some at a
    /// time, with how many came before.
    ///
    /// # Safety
    ///
    /// The rows must be readable.
    unsafe fn turn(from: *const Self::Element, down: isize, to: &mut impl Take<Self::Vector>);

    /// The same of rows of `count` elements, fewer than a vector has lanes.
    ///
    /// # Safety
    ///
    /// The rows must be readable.
    #[inline(always)]
    unsafe fn turn_part(
        from: *const Self::Element,
        down: isize,
        count: usize,
        to: &mut impl Take<Self::Vector>,
    ) {
        // SAFETY: required of the caller; there is room for so many rows.
        unsafe {
            let mut rows = [Self::zero(); MOST_LANES];
            for (row, vector) in rows[..Self::LANES].iter_mut().enumerate() {
                *vector = Self::load_part(from.offset(row as isize * down), count);
            }
            Self::turn(rows.as_ptr().cast(), Self::LANES as isize, &mut Part { count, to });
        }
    }

    /// Asks for what will be read or written.
    #[inline(always)]
    fn prefetch(at: *const Self::Element) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint, which no address makes fail.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }

    /// Asks for what will be read, without room for it in L1.
    #[inline(always)]
    fn prefetch_near(at: *const Self::Element) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint, which no address makes fail.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }

    /// `a * b + c`, rounded once.
    ///
    /// # Safety
    ///
    /// The processor must have such vectors.
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
}

/// What takes vectors, some at a time. It is no closure, for these are not inlined wherever they are called, and what is not has
/// no such vectors.
pub(crate) trait Take<V> {
    /// These come after as many others.
    ///
    /// # Safety
    ///
    /// The processor must have such vectors.
    unsafe fn take(&mut self, before: usize, vectors: &[V]);
}

/// Where vectors are stored, `pitch` elements apart.
pub(crate) struct Place<S: Simd> {
    pub(crate) to: *mut S::Element,
    pub(crate) pitch: isize,
}

impl<S: Simd> Take<S::Vector> for Place<S> {
    #[inline(always)]
    unsafe fn take(&mut self, before: usize, vectors: &[S::Vector]) {
        for (ahead, &vector) in vectors.iter().enumerate() {
            // SAFETY: there is room for all of them.
            unsafe { S::store(self.to.offset((before + ahead) as isize * self.pitch), vector) };
        }
    }
}

/// Takes the first vectors alone.
struct Part<'t, T> {
    count: usize,
    to: &'t mut T,
}

impl<V, T: Take<V>> Take<V> for Part<'_, T> {
    #[inline(always)]
    unsafe fn take(&mut self, before: usize, vectors: &[V]) {
        let within = self.count.saturating_sub(before).min(vectors.len());
        // SAFETY: required of the caller.
        unsafe { self.to.take(before, &vectors[..within]) };
    }
}

/// Plain arrays, which compilers make vectors of where there are any.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T>(std::marker::PhantomData<T>);

macro_rules! plain {
    ($($element:ty, $lanes:literal;)*) => {$(
        impl Simd for Plain<$element> {
            type Element = $element;
            type Vector = [$element; $lanes];
            const LANES: usize = $lanes;
            type Half = Self;

            #[inline(always)]
            unsafe fn turn(
                from: *const $element,
                down: isize,
                to: &mut impl Take<Self::Vector>,
            ) {
                let columns: [Self::Vector; $lanes] = std::array::from_fn(|l| {
                    // SAFETY: required of the caller.
                    std::array::from_fn(|row| unsafe { *from.offset(row as isize * down).add(l) })
                });
                // SAFETY: required of the caller.
                unsafe { to.take(0, &columns) };
            }

            #[inline(always)]
            unsafe fn zero() -> Self::Vector {
                [0.0; $lanes]
            }

            #[inline(always)]
            unsafe fn load(from: *const $element) -> Self::Vector {
                // SAFETY: required of the caller.
                unsafe { from.cast::<Self::Vector>().read_unaligned() }
            }

            #[inline(always)]
            unsafe fn store(to: *mut $element, vector: Self::Vector) {
                // SAFETY: required of the caller.
                unsafe { to.cast::<Self::Vector>().write_unaligned(vector) };
            }

            #[inline(always)]
            unsafe fn load_part(from: *const $element, count: usize) -> Self::Vector {
                let mut vector = [0.0; $lanes];
                for (at, element) in vector[..count].iter_mut().enumerate() {
                    // SAFETY: required of the caller.
                    *element = unsafe { *from.add(at) };
                }
                vector
            }

            #[inline(always)]
            unsafe fn store_part(to: *mut $element, vector: Self::Vector, count: usize) {
                for (at, &element) in vector[..count].iter().enumerate() {
                    // SAFETY: required of the caller.
                    unsafe { *to.add(at) = element };
                }
            }

            #[inline(always)]
            unsafe fn splat(from: *const $element) -> Self::Vector {
                // SAFETY: required of the caller.
                [unsafe { *from }; $lanes]
            }

            #[inline(always)]
            unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
                std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
            }
        }
    )*};
}

plain! {
    f32, 4;
    f64, 2;
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    //! The vectors of x86-64.

    use super::{Simd, Take};
    use crate::turn::{turn_f32x8, turn_f32x16, turn_f64x4, turn_f64x8};
    use std::arch::x86_64::{
        __m256, __m256d, __m256i, __m512, __m512d, _mm_castps_pd, _mm_cvtsd_f64, _mm_movehl_ps,
        _mm_store_ss, _mm_storeu_pd, _mm_storeu_ps, _mm256_castpd256_pd128, _mm256_castps256_ps128,
        _mm256_extractf128_pd, _mm256_extractf128_ps, _mm256_fmadd_pd, _mm256_fmadd_ps,
        _mm256_loadu_pd, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskload_pd,
        _mm256_maskload_ps, _mm256_set1_pd, _mm256_set1_ps, _mm256_setzero_pd, _mm256_setzero_ps,
        _mm256_storeu_pd, _mm256_storeu_ps, _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_loadu_pd,
        _mm512_loadu_ps, _mm512_mask_storeu_pd, _mm512_mask_storeu_ps, _mm512_maskz_loadu_pd,
        _mm512_maskz_loadu_ps, _mm512_set1_pd, _mm512_set1_ps, _mm512_setzero_pd,
        _mm512_setzero_ps, _mm512_storeu_pd, _mm512_storeu_ps,
    };

    /// Vectors of 512 bits.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512<T>(std::marker::PhantomData<T>);

    /// Vectors of 256 bits.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2<T>(std::marker::PhantomData<T>);

    macro_rules! vectors {
        ($($simd:ident $half:ident $element:ty, $vector:ty, $lanes:literal,
            $zero:ident $load:ident $store:ident $set:ident $fma:ident
            $turn:ident $load_part:ident $store_part:ident;)*) => {$(
            impl Simd for $simd<$element> {
                type Element = $element;
                type Vector = $vector;
                const LANES: usize = $lanes;
                type Half = $half<$element>;

                #[inline(always)]
                unsafe fn turn(
                    from: *const $element,
                    down: isize,
                    to: &mut impl Take<$vector>,
                ) {
                    // SAFETY: required of the caller.
                    unsafe { $turn(from, down, to) };
                }

                #[inline(always)]
                unsafe fn zero() -> $vector {
                    // SAFETY: the caller has such vectors.
                    unsafe { $zero() }
                }

                #[inline(always)]
                unsafe fn load(from: *const $element) -> $vector {
                    // SAFETY: required of the caller.
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn store(to: *mut $element, vector: $vector) {
                    // SAFETY: required of the caller.
                    unsafe { $store(to, vector) };
                }

                #[inline(always)]
                unsafe fn load_part(from: *const $element, count: usize) -> $vector {
                    // SAFETY: required of the caller.
                    unsafe { $load_part(from, count) }
                }

                #[inline(always)]
                unsafe fn store_part(to: *mut $element, vector: $vector, count: usize) {
                    // SAFETY: required of the caller.
                    unsafe { $store_part(to, vector, count) };
                }

                #[inline(always)]
                unsafe fn splat(from: *const $element) -> $vector {
                    // SAFETY: required of the caller.
                    unsafe { $set(*from) }
                }

                #[inline(always)]
                unsafe fn fma(a: $vector, b: $vector, c: $vector) -> $vector {
                    // SAFETY: the caller has such vectors.
                    unsafe { $fma(a, b, c) }
                }
            }
        )*};
    }

    vectors! {
        Avx512 Avx2 f32, __m512, 16,
            _mm512_setzero_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_fmadd_ps
            turn_f32x16 load_part_f32x16 store_part_f32x16;
        Avx512 Avx2 f64, __m512d, 8,
            _mm512_setzero_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_fmadd_pd
            turn_f64x8 load_part_f64x8 store_part_f64x8;
        Avx2 Avx2 f32, __m256, 8,
            _mm256_setzero_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_fmadd_ps
            turn_f32x8 load_part_f32x8 store_part_f32x8;
        Avx2 Avx2 f64, __m256d, 4,
            _mm256_setzero_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_fmadd_pd
            turn_f64x4 load_part_f64x4 store_part_f64x4;
    }

    macro_rules! parts {
        ($($vector:ty, $element:ty, $mask:ty: $load_part:ident $masked_load:ident
            $store_part:ident $masked_store:ident;)*) => {$(
            /// # Safety
            ///
            /// As for [`Simd::load_part`].
            #[inline(always)]
            unsafe fn $load_part(from: *const $element, count: usize) -> $vector {
                // SAFETY: required of the caller.
                unsafe { $masked_load(((1 as $mask) << count) - 1, from) }
            }

            /// # Safety
            ///
            /// As for [`Simd::store_part`].
            #[inline(always)]
            unsafe fn $store_part(to: *mut $element, vector: $vector, count: usize) {
                // SAFETY: required of the caller.
                unsafe { $masked_store(to, ((1 as $mask) << count) - 1, vector) };
            }
        )*};
    }

    parts! {
        __m512, f32, u16: load_part_f32x16 _mm512_maskz_loadu_ps store_part_f32x16 _mm512_mask_storeu_ps;
        __m512d, f64, u8: load_part_f64x8 _mm512_maskz_loadu_pd store_part_f64x8 _mm512_mask_storeu_pd;
    }

    /// The first lanes of 32 bits.
    ///
    /// # Safety
    ///
    /// There must be `count` lanes, and the processor must have such vectors.
    #[inline(always)]
    unsafe fn mask(count: usize) -> __m256i {
        const LANES: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        // SAFETY: eight numbers from there on are within.
        unsafe { _mm256_loadu_si256(LANES[8 - count..].as_ptr().cast()) }
    }

    /// # Safety
    ///
    /// As for [`Simd::load_part`].
    #[inline(always)]
    unsafe fn load_part_f32x8(from: *const f32, count: usize) -> __m256 {
        // SAFETY: required of the caller.
        unsafe { _mm256_maskload_ps(from, mask(count)) }
    }

    /// # Safety
    ///
    /// As for [`Simd::load_part`].
    #[inline(always)]
    unsafe fn load_part_f64x4(from: *const f64, count: usize) -> __m256d {
        // SAFETY: required of the caller.
        unsafe { _mm256_maskload_pd(from, mask(2 * count)) }
    }

    /// Stores halves of halves: a store by a mask takes AMD's cores many times as long.
    ///
    /// # Safety
    ///
    /// As for [`Simd::store_part`].
    #[inline(always)]
    unsafe fn store_part_f32x8(mut to: *mut f32, vector: __m256, count: usize) {
        // SAFETY: required of the caller.
        unsafe {
            let mut rest = _mm256_castps256_ps128(vector);
            if count & 4 != 0 {
                _mm_storeu_ps(to, rest);
                (to, rest) = (to.add(4), _mm256_extractf128_ps::<1>(vector));
            }
            if count & 2 != 0 {
                to.cast::<f64>().write_unaligned(_mm_cvtsd_f64(_mm_castps_pd(rest)));
                (to, rest) = (to.add(2), _mm_movehl_ps(rest, rest));
            }
            if count & 1 != 0 {
                _mm_store_ss(to, rest);
            }
        }
    }

    /// As [`store_part_f32x8`].
    ///
    /// # Safety
    ///
    /// As for [`Simd::store_part`].
    #[inline(always)]
    unsafe fn store_part_f64x4(mut to: *mut f64, vector: __m256d, count: usize) {
        // SAFETY: required of the caller.
        unsafe {
            let mut rest = _mm256_castpd256_pd128(vector);
            if count & 2 != 0 {
                _mm_storeu_pd(to, rest);
                (to, rest) = (to.add(2), _mm256_extractf128_pd::<1>(vector));
            }
            if count & 1 != 0 {
                *to = _mm_cvtsd_f64(rest);
            }
        }
    }
}
