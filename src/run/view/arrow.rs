//! Arrays of Arrow, slices too, read where they lie. Kernels know no nulls, so there may be none.

use super::super::error::RunError;
use super::View;
use arrow_array::{
    Array, Float16Array, Float32Array, Float64Array, Int32Array, Int64Array, UInt8Array,
};

macro_rules! read_arrays {
    ($($array:ident),*) => {
        $(impl<'a> TryFrom<&'a $array> for View<'a> {
            type Error = RunError;

            fn try_from(array: &'a $array) -> Result<View<'a>, RunError> {
                match array.null_count() {
                    0 => Ok(View::from(&array.values()[..])),
                    nulls => Err(RunError::Nulls { nulls, length: array.len() }),
                }
            }
        })*

        impl<'a> TryFrom<&'a dyn Array> for View<'a> {
            type Error = RunError;

            fn try_from(array: &'a dyn Array) -> Result<View<'a>, RunError> {
                let any = array.as_any();
                $(if let Some(array) = any.downcast_ref::<$array>() {
                    return array.try_into();
                })*
                Err(RunError::Column { found: array.data_type().to_string() })
            }
        }
    };
}

read_arrays!(Float16Array, Float32Array, Float64Array, UInt8Array, Int32Array, Int64Array);

#[cfg(test)]
mod tests {
    use crate::{RunError, Tensor, View, compile_text};
    use arrow_array::{
        Array, ArrayRef, BooleanArray, Date32Array, Float32Array, Float64Array, Int32Array,
        UInt8Array,
    };
    use std::sync::Arc;

    #[test]
    fn slices_are_read_where_they_lie() {
        let kernel = compile_text("|x: f32, n: i32| x + f32(n)").unwrap();
        let whole = Float32Array::from_iter_values((0..100).map(|i| i as f32));
        let x = whole.slice(7, 20);
        let n: ArrayRef = Arc::new(Int32Array::from_iter_values(0..25).slice(5, 20));
        let view = View::try_from(&x).unwrap();
        assert_eq!((view.shape(), view.strides()), (&[20][..], &[4][..]));
        let outputs = kernel.run(&[view, n.as_ref().try_into().unwrap()]).unwrap();
        let [y] = <[Tensor; 1]>::try_from(outputs).unwrap();
        // The memory of the result becomes an array's.
        let y = Float32Array::from(y.into_f32().unwrap().into_raw_vec_and_offset().0);
        assert_eq!(y, Float32Array::from_iter_values((0..20).map(|i| (7 + i + 5 + i) as f32)));
        assert!(View::try_from(&whole.slice(50, 0)).unwrap().is_empty());
        assert!(View::try_from(&UInt8Array::from(Vec::<u8>::new())).unwrap().is_empty());
    }

    #[test]
    fn nulls_are_refused_where_there_are_any() {
        let x = Float64Array::from_iter((0..10).map(|i| (i > 3).then_some(f64::from(i))));
        let error = View::try_from(&x).unwrap_err();
        assert_eq!(error, RunError::Nulls { nulls: 4, length: 10 });
        assert!(error.to_string().contains("`array.values()`"), "{error}");
        let error = View::try_from(&x as &dyn Array).unwrap_err();
        assert_eq!(error, RunError::Nulls { nulls: 4, length: 10 });
        // A slice without a null is like any other, and the numbers under nulls can be read, too.
        assert_eq!(View::try_from(&x.slice(4, 6)).unwrap().len(), 6);
        assert_eq!(View::from(&x.values()[..]).len(), 10);
    }

    #[test]
    fn columns_of_other_types_are_refused() {
        for (array, name) in [
            (Arc::new(Date32Array::from(vec![1])) as ArrayRef, "Date32"),
            (Arc::new(BooleanArray::from(vec![true])), "Boolean"),
        ] {
            let error = View::try_from(array.as_ref()).unwrap_err();
            assert_eq!(error, RunError::Column { found: name.into() });
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
