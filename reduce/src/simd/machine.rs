//! What machines with vectors of `f32` and `f64` have in common, said once.

/// See [`Vector::store_integers`].
macro_rules! define_store {
    ($element:ident) => {
        #[inline(always)]
        unsafe fn store_integers(self, to: *mut i64, count: usize) {
            let mut lanes = [0.0 as $element; <Self as Vector>::LANES];
            // SAFETY: required of the caller: the numbers fit.
            unsafe {
                self.store(lanes.as_mut_ptr());
                let integers = lanes.map(|lane| lane.to_int_unchecked::<i64>());
                if count == <Self as Vector>::LANES {
                    return to.cast::<[i64; <Self as Vector>::LANES]>().write_unaligned(integers);
                }
                // A few at a time: copying so many as nobody knows takes longer than all else.
                let (fours, rest) = integers[..count].as_chunks::<4>();
                for (index, &four) in fours.iter().enumerate() {
                    to.add(index * 4).cast::<[i64; 4]>().write_unaligned(four);
                }
                let to = to.add(count - rest.len());
                for at in [2, 1, 0] {
                    if at < rest.len() {
                        to.add(at).write(rest[at]);
                    }
                }
            }
        }
    };
}
pub(super) use define_store;

/// A machine with vectors of `f32` and `f64`: so many of the largest are all stripes; short rows fill one
/// of those before.
macro_rules! define_machine {
    (
        $machine:ident $features:literal: $($short:ty),* => $single:ty, $single_lanes:literal;
        $($brief:ty),* => $double:ty, $double_lanes:literal; $count:literal
    ) => {
        impl Machine for $machine {
            #[inline(always)]
            fn sum<T: Copy + 'static>(block: &[T]) -> Option<T> {
                // SAFETY: what is compiled for this machine runs on it alone.
                unsafe {
                    if let Some(block) = of_type::<T, f32>(block) {
                        $(if block.len() <= <$short>::LANES {
                            return Some(back(sum::<$short, 1>(block)));
                        })*
                        return Some(back(sum::<$single, $count>(block)));
                    }
                    let block = of_type::<T, f64>(block)?;
                    $(if block.len() <= <$brief>::LANES {
                        return Some(back(sum::<$brief, 1>(block)));
                    })*
                    Some(back(sum::<$double, $count>(block)))
                }
            }

            #[inline(always)]
            fn extreme<T: Copy + 'static, const LARGEST: bool>(block: &[T]) -> Option<T> {
                // SAFETY: as above.
                unsafe {
                    if let Some(block) = of_type::<T, f32>(block) {
                        $(if block.len() <= <$short>::LANES {
                            return Some(back(extreme::<$short, 1, LARGEST>(block)));
                        })*
                        return Some(back(extreme::<$single, $count, LARGEST>(block)));
                    }
                    let block = of_type::<T, f64>(block)?;
                    $(if block.len() <= <$brief>::LANES {
                        return Some(back(extreme::<$brief, 1, LARGEST>(block)));
                    })*
                    Some(back(extreme::<$double, $count, LARGEST>(block)))
                }
            }

            #[inline(always)]
            fn has_vectors_of<T: 'static>() -> bool {
                is::<T, f32>() || is::<T, f64>()
            }

            #[inline(always)]
            unsafe fn add<T: Copy + 'static, const STRIPES: usize, const CHAIN: usize>(
                from: [[*const T; CHAIN]; STRIPES],
                sums: Sums<T>,
            ) {
                /// By itself, so that all pointers have a register.
                #[inline(never)]
                #[target_feature(enable = $features)]
                unsafe fn add<V: Vector, const STRIPES: usize, const CHAIN: usize>(
                    from: *const [[*const V::Element; CHAIN]; STRIPES],
                    sums: Sums<V::Element>,
                ) {
                    // SAFETY: required of the caller.
                    unsafe { rows::add::<V, STRIPES, CHAIN>(&*from, sums) }
                }
                // SAFETY: required of the caller.
                unsafe {
                    match is::<T, f32>() {
                        true => add::<$single, STRIPES, CHAIN>((&raw const from).cast(), sums.of()),
                        false => add::<$double, STRIPES, CHAIN>((&raw const from).cast(), sums.of()),
                    }
                }
            }

            #[inline(always)]
            unsafe fn add_short<T: Copy + 'static>(
                from: *const T,
                rows: usize,
                len: usize,
                to: *mut T,
            ) -> bool {
                // SAFETY: required of the caller.
                unsafe {
                    if is::<T, f32>() {
                        rows::add_short::<$single>(from.cast(), rows, len, to.cast())
                    } else if is::<T, f64>() {
                        rows::add_short::<$double>(from.cast(), rows, len, to.cast())
                    } else {
                        false
                    }
                }
            }

            #[inline(always)]
            unsafe fn sums<T: Copy + 'static>(rows: Blocked<T>, to: *mut T) -> usize {
                // SAFETY: required of the caller.
                unsafe {
                    if is::<T, f32>() {
                        rows::sums::<$single, $single_lanes, $count>(rows.of(), to.cast())
                    } else if is::<T, f64>() {
                        rows::sums::<$double, $double_lanes, $count>(rows.of(), to.cast())
                    } else {
                        0
                    }
                }
            }

            #[inline(always)]
            unsafe fn extremes<T: Copy + 'static, const LARGEST: bool>(
                rows: Blocked<T>,
                to: *mut T,
            ) -> usize {
                // SAFETY: required of the caller.
                unsafe {
                    if is::<T, f32>() {
                        rows::extremes::<$single, $single_lanes, $count, LARGEST>(rows.of(), to.cast())
                    } else if is::<T, f64>() {
                        rows::extremes::<$double, $double_lanes, $count, LARGEST>(rows.of(), to.cast())
                    } else {
                        0
                    }
                }
            }

            #[inline(always)]
            unsafe fn places<T: Copy + 'static, const LARGEST: bool>(
                rows: Blocked<T>,
                to: *mut (T, usize),
            ) -> usize {
                // SAFETY: required of the caller.
                unsafe {
                    if is::<T, f32>() {
                        rows::places::<$single, LARGEST>(rows.of(), to.cast())
                    } else if is::<T, f64>() {
                        rows::places::<$double, LARGEST>(rows.of(), to.cast())
                    } else {
                        0
                    }
                }
            }

            #[inline(always)]
            unsafe fn sum_columns<T: Copy + 'static>(rows: Columns<T>, to: Results<T>) -> bool {
                // SAFETY: required of the caller.
                unsafe {
                    if is::<T, f32>() {
                        columns::fold::<$single, SumOf>(&rows.of(), to.of());
                    } else if is::<T, f64>() {
                        columns::fold::<$double, SumOf>(&rows.of(), to.of());
                    }
                }
                Self::has_vectors_of::<T>()
            }

            #[inline(always)]
            unsafe fn best_of_columns<T: Copy + 'static, const LARGEST: bool>(
                rows: Columns<T>,
                to: Results<T>,
            ) -> bool {
                // SAFETY: required of the caller.
                unsafe {
                    if is::<T, f32>() {
                        columns::fold::<$single, BestOf<LARGEST>>(&rows.of(), to.of());
                    } else if is::<T, f64>() {
                        columns::fold::<$double, BestOf<LARGEST>>(&rows.of(), to.of());
                    }
                }
                Self::has_vectors_of::<T>()
            }

            #[inline(always)]
            unsafe fn places_of_columns<T: Copy + 'static, const LARGEST: bool>(
                rows: Columns<T>,
                to: Results<i64>,
            ) -> bool {
                // SAFETY: required of the caller.
                unsafe {
                    if is::<T, f32>() {
                        columns::fold::<$single, PlaceOf<LARGEST>>(&rows.of(), to);
                    } else if is::<T, f64>() {
                        columns::fold::<$double, PlaceOf<LARGEST>>(&rows.of(), to);
                    }
                }
                Self::has_vectors_of::<T>()
            }
        }
    };
}
pub(super) use define_machine;
