//! What a call costs besides its work: by types, untyped, and a loop over slices.

use crate::Suite;
use crate::table::{Cell, Table, timed};
use kiln::profile::Race;
use kiln::{CompileOptions, Function, KernelCache, View, ViewMut, fuse};
use ndarray::Array1;
use std::hint::black_box;

/// Arrays of numbers near 1.
fn arrays<const N: usize>(size: usize) -> [Array1<f32>; N] {
    std::array::from_fn(|at| Array1::from_shape_fn(size, |i| 1.0 + (at * 7 + i % 13) as f32 / 32.0))
}

/// Races the ways to call a function. The loop is given slices of the inputs' names, and `out`.
macro_rules! race_calls {
    ($suite:ident, $table:ident, $name:literal, $function:expr, [$($input:ident),+], $out:ident, $loop:block) => {
        let function = $function.expect("the suite's kernels compile");
        for size in $suite.sizes(&[1, 16, 256, 4096]) {
            let [$($input),+] = &arrays(size);
            let mut outputs: [Array1<f32>; 3] = arrays(size);
            let [first, second, third] = &mut outputs;
            let mut race = Race::new();
            race.add(timed(|| {
                let views = [$(View::from(black_box($input))),+];
                black_box(function.kernel().run(&views).expect("they fit"));
            }));
            race.add(timed(|| {
                let views = [$(View::from(black_box($input))),+];
                let done = function.kernel().run_into(&views, &mut [ViewMut::from(&mut *first)]);
                done.expect("they fit");
                black_box(&mut *first);
            }));
            race.add(timed(|| function.call(($(black_box($input),)+)).expect("they fit")));
            race.add(timed(|| {
                function.call_into(($(black_box($input),)+), &mut *second).expect("they fit");
                black_box(&mut *second);
            }));
            race.add(timed(|| {
                let $out = third.as_slice_mut().expect("it is dense");
                $(let $input = black_box($input).as_slice().expect("it is dense");)+
                $loop
                black_box(&mut *third);
            }));
            let times = race.run_for($suite.budget(2)).expect("nothing fails");
            let mut row = vec![Cell::Text($name.into()), Cell::Size(size)];
            row.extend((0..5).map(|at| Cell::Time(times[at].latency().median())));
            row.push(Cell::Ratio(times.ratio(3, 4)));
            $table.row(&row);
        }
    };
}

pub(crate) fn calls(suite: Suite) {
    let note = "f32, one thread, ns a call, untyped and typed, and a loop over slices; views are \
                made for each call";
    let columns = ["", "size", "run", "run_into", "call", "call_into", "loop", "call_into/loop"];
    let table = Table::new("calls", note, 16, &columns);
    let options = CompileOptions::new().threads(1);
    race_calls!(suite, table, "relu(a)", fuse!(options, |a| a.relu()), [a], out, {
        out.iter_mut().zip(a).for_each(|(out, a)| *out = a.max(0.0));
    });
    race_calls!(suite, table, "a*b", fuse!(options, |a, b| a * b), [a, b], out, {
        out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = a * b);
    });
    race_calls!(suite, table, "a*b+c", fuse!(options, |a, b, c| a * b + c), [a, b, c], out, {
        let inputs = a.iter().zip(b).zip(c);
        out.iter_mut().zip(inputs).for_each(|(out, ((a, b), c))| *out = a * b + c);
    });
    race_calls!(
        suite,
        table,
        "a*b+c*d",
        fuse!(options, |a, b, c, d| a * b + c * d),
        [a, b, c, d],
        out,
        {
            let inputs = a.iter().zip(b).zip(c).zip(d);
            out.iter_mut().zip(inputs).for_each(|(out, (((a, b), c), d))| *out = a * b + c * d);
        }
    );
    race_calls!(
        suite,
        table,
        "a*b+c*d+e",
        fuse!(options, |a, b, c, d, e| a * b + c * d + e),
        [a, b, c, d, e],
        out,
        {
            let inputs = a.iter().zip(b).zip(c).zip(d).zip(e);
            out.iter_mut()
                .zip(inputs)
                .for_each(|(out, ((((a, b), c), d), e))| *out = a * b + c * d + e);
        }
    );
    others(suite);
}

/// Scalars, states in place, and a cache.
fn others(suite: Suite) {
    let options = CompileOptions::new().threads(1);
    let note = "ns a call on 16 elements: what else there is";
    let table = Table::new("calls", note, 40, &["", "ns"]);
    let [p, mut q, g, mut m] = arrays::<4>(16);
    let sgd: Function<(f32, f32, f32), (f32,)> =
        fuse!(options, |p, lr, g| p - lr * g).expect("it compiles");
    let adam = fuse!(options, |p, m, g, lr| (p - lr * m, 0.9 * m + g)).expect("it compiles");
    let (mut out, mut r) = (p.clone(), p.clone());
    let cache = KernelCache::new(10);
    let mut race = Race::new();
    race.add(timed(|| sgd.call_into((&p, 0.1, &g), black_box(&mut out)).expect("they fit")));
    race.add(timed(|| sgd.call_in_place(&mut q, (1e-9, black_box(&g))).expect("they fit")));
    race.add(timed(|| {
        adam.call_in_place((&mut r, &mut m), (black_box(&g), 1e-9)).expect("they fit");
    }));
    race.add(timed(|| {
        black_box(
            cache.get_or_compile_text(black_box("x*sigmoid(x)"), options).expect("it compiles"),
        );
    }));
    race.add(timed(|| fuse!(in cache, options, |x| x * x.sigmoid()).expect("it compiles")));
    let names = [
        "p - lr*g, lr a number, call_into",
        "the same, call_in_place",
        "p and m in place",
        "a kernel of text, from a cache",
        "a function of a closure, from a cache",
    ];
    let times = race.run_for(suite.budget(4)).expect("nothing fails");
    for (at, name) in names.into_iter().enumerate() {
        table.row(&[Cell::Text(name.into()), Cell::Time(times[at].latency().median())]);
    }
}
