//! Vectors of numbers, and what a kernel does with them.

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

    /// One element in every lane.
    ///
    /// # Safety
    ///
    /// The element must be readable.
    unsafe fn splat(from: *const Self::Element) -> Self::Vector;

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

    /// `a * b + c`, rounded once.
    ///
    /// # Safety
    ///
    /// The processor must have such vectors.
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
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

    use super::Simd;
    use std::arch::x86_64::{
        __m256, __m256d, __m512, __m512d, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_loadu_pd,
        _mm256_loadu_ps, _mm256_set1_pd, _mm256_set1_ps, _mm256_setzero_pd, _mm256_setzero_ps,
        _mm256_storeu_pd, _mm256_storeu_ps, _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_loadu_pd,
        _mm512_loadu_ps, _mm512_set1_pd, _mm512_set1_ps, _mm512_setzero_pd, _mm512_setzero_ps,
        _mm512_storeu_pd, _mm512_storeu_ps,
    };

    /// Vectors of 512 bits.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512<T>(std::marker::PhantomData<T>);

    /// Vectors of 256 bits.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2<T>(std::marker::PhantomData<T>);

    macro_rules! vectors {
        ($($simd:ident $element:ty, $vector:ty, $lanes:literal,
            $zero:ident $load:ident $store:ident $set:ident $fma:ident;)*) => {$(
            impl Simd for $simd<$element> {
                type Element = $element;
                type Vector = $vector;
                const LANES: usize = $lanes;

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
        Avx512 f32, __m512, 16,
            _mm512_setzero_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_fmadd_ps;
        Avx512 f64, __m512d, 8,
            _mm512_setzero_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_fmadd_pd;
        Avx2 f32, __m256, 8,
            _mm256_setzero_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_fmadd_ps;
        Avx2 f64, __m256d, 4,
            _mm256_setzero_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_fmadd_pd;
    }
}
