//! Which way rows go, by their lengths, by how many there are, and by where results lie. Nothing is run.

use super::{body, compile, compile_sweep, emitters};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::rows::setup::Setup;
use crate::run::rows::sweep::Stores;
use crate::run::rows::{Reduction, RowCode, Sweeps};
use crate::run::view::Layout;
use crate::run::{Tensor, View, ViewMut};
use kiln_ir::{Call, DType, Node, parse};
use kiln_jit::cpu::{Cpu, last_level_cache, last_level_is_far};
use kiln_jit::emit::EmitterKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Stages,
    Sweep,
    /// A sweep that finishes rows late.
    Late,
    /// A sweep whose results go past the caches.
    Streaming,
    /// The same, late.
    StreamingLate,
    /// A sweep whose results are copied past them.
    Copied,
    /// A sweep whose results go past them in lines of memory, of which rows begin between.
    Realigned,
}

/// What is known of rows at one of these places, and results at the other with so many elements between rows.
fn setup(code: &RowCode, shape: [usize; 2], places: [usize; 2], gap: usize) -> Setup {
    let [from, to] = places.map(std::ptr::without_provenance_mut::<u8>);
    let strides = |gap: usize| [((shape[1] + gap) * 4) as isize, 4];
    // SAFETY: nothing is run on them.
    let (input, output) = unsafe {
        let input = View::from_raw(from, DType::F32, &shape, &strides(0));
        (input, ViewMut::from_raw(to, DType::F32, &shape, &strides(gap)))
    };
    let operands: [&Layout; 2] = [&input.layout, &output.layout];
    code.setup(code.program(), &operands).expect("rows run by stages")
}

/// Results of this shape, a line of memory beginning with the first row or so many bytes before it, and so
/// many elements between rows.
fn way(code: &RowCode, [count, len]: [usize; 2], before: usize, gap: usize) -> Way {
    const LINE: usize = 64;
    // Addresses that nobody reads or writes.
    let places = [LINE << 40, (LINE << 41) + before];
    let setup = setup(code, [count, len], places, gap);
    let (program, bases) = (code.program(), places.map(std::ptr::without_provenance_mut::<u8>));
    let sweeping = setup.sweeping.as_ref().filter(|sweeping| sweeping.fits(program, &bases));
    match sweeping {
        None => Way::Stages,
        Some(sweeping) if sweeping.stores(program, &bases) == Stores::Copied => Way::Copied,
        Some(sweeping) if sweeping.stores(program, &bases) == Stores::Realigned => Way::Realigned,
        Some(sweeping) if sweeping.streams && sweeping.is_late => Way::StreamingLate,
        Some(sweeping) if sweeping.streams => Way::Streaming,
        Some(sweeping) if sweeping.is_late => Way::Late,
        Some(_) => Way::Sweep,
    }
}

#[test]
fn rows_go_the_way_that_was_measured_to_be_the_shortest() {
    // As many elements as are read and written past the caches, whatever they are.
    let large = last_level_cache().max(1 << 20);
    for text in ["|x| softmax[A](x)", "|x| layer_norm[A](x)", "|x| rms_norm[A](x)"] {
        let body = body(text, "[-1]", DType::F32);
        let program = rows(&body, Tier::Default).unwrap();
        let emitter = EmitterKind::Interp;
        let code =
            RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
        assert!(code.sweep.is_some(), "{text}");
        let way = |shape, before, gap| way(&code, shape, before, gap);
        let is = |[count, len]: [usize; 2], before, gap, expected| {
            let found = way([count, len], before, gap);
            assert_eq!(
                found, expected,
                "{text} of {count} rows of {len}, {before} bytes, gaps of {gap}"
            );
        };
        // Much is computed of each element, or rows are long: then they are finished late, if they are many.
        let much = text.contains("softmax");
        let [past, in_cache] = match much {
            true => [Way::StreamingLate, Way::Late],
            false => [Way::Streaming, Way::Sweep],
        };
        is([100, 4096], 0, 0, in_cache);
        // Few elements.
        is([30, 64], 0, 0, Way::Sweep);
        is([2, 1024], 16, 0, Way::Sweep);
        // In a cache, rows of one iteration are swept as long as they are few.
        is([256, 64], 4, 0, Way::Sweep);
        is([1000, 64], 0, 0, Way::Stages);
        is([600, 128], 0, 0, Way::Stages);
        // Past the caches, in lines, beside them and apart.
        for len in [64, 128, 256] {
            is([large / len, len], 0, 0, past);
            is([large / len, len], 16, 0, Way::Copied);
            is([large / len, len], 60, 0, Way::Copied);
            is([large / len, len], 0, 16, past);
            is([large / len, len], 0, 4, Way::Stages);
            is([large / len, len], 16, 16, Way::Stages);
        }
        is([large / 96, 96], 0, 0, Way::Stages);
        is([large / 32, 32], 0, 0, Way::Stages);
        is([large / 32, 32], 16, 0, Way::Stages);
        // Of long ones the first elements are stored by themselves.
        is([large / 4096, 4096], 16, 0, past);
        is([large / 16384, 16384], 0, 0, Way::StreamingLate);
        is([large / 4096, 4096], 16, 4, Way::Stages);
    }
}

/// Where the last level of caches is far, what is in it is asked for as if it were in memory, and so is what results
/// are stored over.
#[test]
fn rows_in_a_cache_that_is_far_go_as_if_they_were_in_memory() {
    let swept = [("softmax", Way::Late), ("rms_norm", Way::Sweep), ("layer_norm", Way::Stages)];
    for (name, expected) in swept {
        let body = body(&format!("|x| {name}[A](x)"), "[-1]", DType::F32);
        let program = rows(&body, Tier::Default).unwrap();
        let emitter = EmitterKind::Interp;
        let code =
            RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
        let is_far = last_level_is_far();
        // 8 MB are more than any second level has, and less than goes past the caches.
        let found = way(&code, [10_000, 100], 0, 0);
        assert_eq!(found, if is_far { expected } else { Way::Stages }, "{name}");
        for (rows, asks) in [(4, false), (1000, is_far)] {
            let sweeping = setup(&code, [rows, 1024], [1 << 46, 1 << 47], 0).sweeping;
            assert_eq!(sweeping.unwrap().tile.results, asks, "{name} of {rows} rows");
        }
    }
}

/// Rows may begin anywhere with AVX-512. (By other emitters, they are copied.)
#[test]
fn rows_that_begin_between_lines_are_realigned() {
    let emitter = EmitterKind::Avx512;
    if !emitters().contains(&emitter) {
        return;
    }
    let large = last_level_cache().max(1 << 20);
    for text in ["|x| softmax[A](x)", "|x| layer_norm[A](x)", "|x| rms_norm[A](x)"] {
        let body = body(text, "[-1]", DType::F32);
        let program = rows(&body, Tier::Default).unwrap();
        let code =
            RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
        let is = |len: usize, before, gap, expected: &[Way]| {
            let found = way(&code, [large / len, len], before, gap);
            assert!(
                expected.contains(&found),
                "{text} of rows of {len}, {before} bytes: {found:?}"
            );
        };
        for len in [128, 256, 1024, 4096, 16384] {
            is(len, 0, 0, &[Way::Streaming, Way::StreamingLate]);
            is(len, 16, 0, &[Way::Realigned]);
            is(len, 60, 0, &[Way::Realigned]);
        }
        for len in [131, 1000, 1008] {
            is(len, 0, 0, &[Way::Realigned]);
            is(len, 16, 0, &[Way::Realigned]);
        }
        is(256, 16, 16, &[Way::Stages]);
    }
}

/// Tests say which way.
#[test]
fn rows_go_where_they_are_told() {
    let body = body("|x| softmax[A](x)", "[-1]", DType::F32);
    for (sweeps, expected) in
        [(Sweeps::Always, Way::Sweep), (Sweeps::Late, Way::Late), (Sweeps::Never, Way::Stages)]
    {
        let program = rows(&body, Tier::Default).unwrap();
        let emitter = EmitterKind::Interp;
        let mut code =
            RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
        super::turn_to(&mut code, sweeps);
        for shape in [[70, 64], [1000, 64], [600, 100]] {
            assert_eq!(way(&code, shape, 0, 0), expected, "{shape:?}");
        }
    }
}

/// Runs that are small and many, and short rows of more than one operand, unless numbers of rows are read again.
#[test]
fn passes_apart_run_what_stages_would_call_too_often() {
    for (text, axis, shape, expected) in [
        ("|x, y| sum[A](exp(x) * y)", 1, &[100, 3, 50][..], true),
        ("|x, y| sum[A](exp(x) * y)", 1, &[4, 3, 50], false),
        ("|x, y| sum[A](exp(x) * y)", 1, &[100, 30, 50], false),
        ("|x| x - max[A](x)", 1, &[100, 3, 50], true),
        ("|x| x - max[A](x)", 1, &[10, 3, 50], false),
        ("|x| x - max[A](x)", 1, &[100, 7, 50], false),
        ("|x, y| argmax[A](x * 2 + y)", 1, &[1000, 4], true),
        ("|x, y| argmax[A](x * 2 + y)", 1, &[100, 4], false),
        ("|x, y| argmax[A](x * 2 + y)", 1, &[1000, 40], false),
        ("|x| argmax[A](x * 2)", 1, &[1000, 4], false),
        ("|x, s| argmax[A](x * s)", 1, &[1000, 4], false),
    ] {
        let body = body(text, &format!("[{axis}]"), DType::F32);
        let program = rows(&body, Tier::Default).unwrap();
        let emitter = EmitterKind::Interp;
        let code =
            RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
        let x = Tensor::zeros(DType::F32, shape).unwrap();
        let mut result = shape.to_vec();
        if !text.contains("x - ") {
            result[axis] = 1;
        }
        let mut result = Tensor::zeros(body.dtype(body.outputs()[0]), &result).unwrap();
        let (x, y) = (x.view(), result.view_mut());
        let one = Tensor::zeros(DType::F32, &[1, shape[1]]).unwrap();
        let one = one.view();
        let of = |name: &str| if name == "s" { &one.layout } else { &x.layout };
        let mut operands: Vec<&Layout> =
            body.inputs().iter().map(|input| of(&input.name)).collect();
        operands.push(&y.layout);
        let stages = code.setup(code.program(), &operands);
        assert_eq!(stages.is_none(), expected, "{text} of {shape:?}");
    }
}

/// Operands across the others, whose neighbours in memory are in no tile, or which are turned in long rows.
#[test]
fn passes_apart_run_what_lies_across() {
    for (text, axis, shape, strides, expected) in [
        ("|x, y| y - mean[A](y + x)", 0, &[256, 64, 64][..], &[64, 1, 16384][..], true),
        ("|x, y| y - mean[A](y + x)", 0, &[20, 20, 20], &[20, 1, 400], false),
        ("|x, y| layer_norm[A](x + y)", 2, &[256, 64, 64], &[1, 16384, 256], true),
        ("|x, y| layer_norm[A](x + y)", 2, &[256, 64, 64], &[64, 1, 16384], false),
        ("|x, y| softmax[A](x + y)", 2, &[256, 64, 64], &[4096, 1, 64], false),
        ("|x, y| softmax[A](x + y)", 1, &[512, 512], &[1, 512], true),
        ("|x, y| softmax[A](x + y)", 1, &[512, 512], &[-512, 1], false),
        ("|x, y| softmax[A](x + y)", 1, &[512, 512], &[0, 1], false),
    ] {
        let body = body(text, &format!("[{axis}]"), DType::F32);
        let program = rows(&body, Tier::Default).unwrap();
        let emitter = EmitterKind::Interp;
        let code =
            RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
        let bytes: Vec<isize> = strides.iter().map(|step| step * 4).collect();
        let mut dense = vec![4; shape.len()];
        for at in (1..shape.len()).rev() {
            dense[at - 1] = dense[at] * shape[at] as isize;
        }
        let [x, y, to] = [40, 41, 42].map(|at| std::ptr::without_provenance_mut::<u8>(1 << at));
        // SAFETY: nothing is run on them.
        let (x, y, to) = unsafe {
            let x = View::from_raw(x, DType::F32, shape, &dense);
            let y = View::from_raw(y, DType::F32, shape, &bytes);
            (x, y, ViewMut::from_raw(to, DType::F32, shape, &dense))
        };
        let of = |name: &str| if name == "x" { &x.layout } else { &y.layout };
        let mut operands: Vec<&Layout> =
            body.inputs().iter().map(|input| of(&input.name)).collect();
        operands.push(&to.layout);
        let stages = code.setup(code.program(), &operands);
        assert_eq!(stages.is_none(), expected, "{text} of {shape:?}, {strides:?}");
    }
}

/// A line of memory that is stored half past the caches and half through them costs more than both: runs, and not
/// only rows, begin with a line.
#[test]
fn few_rows_stream_where_every_run_begins_with_a_line() {
    let body = body("|x| softmax[A](x)", "[1]", DType::F32);
    let program = rows(&body, Tier::Default).unwrap();
    let emitter = EmitterKind::Interp;
    let code =
        RowCode::compile(program, |r| compile(r, emitter, Cpu::host()), compile_sweep).unwrap();
    let large = last_level_cache().max(1 << 20);
    for ([len, columns], gap, expected) in [
        ([128, 2], 0, true),
        ([129, 2], 0, false),
        ([128, 2], 3, false),
        ([1024, 3], 0, true),
        ([1023, 3], 0, true),
    ] {
        let shape = [large / len / columns, len, columns];
        let run = (len * columns + gap) * 4;
        let strides = [run as isize, (columns * 4) as isize, 4];
        let [from, to] = [1 << 40, 1 << 41].map(std::ptr::without_provenance_mut::<u8>);
        // SAFETY: nothing is run on them.
        let (input, output) = unsafe {
            let input = View::from_raw(from, DType::F32, &shape, &strides);
            (input, ViewMut::from_raw(to, DType::F32, &shape, &strides))
        };
        let setup = code.setup(code.program(), &[&input.layout, &output.layout]).unwrap();
        assert!(setup.group.is_some() && setup.is_large, "{shape:?}");
        assert_eq!(setup.streams, expected, "{shape:?}, a gap of {gap}");
    }
}

/// A reduction of short runs of rows takes many runs as one.
#[test]
fn short_runs_are_reduced_one_after_the_other() {
    let is_of_runs = |text: &str, shape: &[usize]| {
        let graph = parse(text).unwrap();
        let Node::Call(Call::Reduce(by), args) = graph.node(graph.outputs()[0]) else {
            panic!("{text}")
        };
        let (dtype, result) = (graph.dtype(args[0]), graph.dtype(graph.outputs()[0]));
        let mut input = Tensor::zeros(dtype, shape).unwrap();
        let reduced = Call::Reduce(*by).infer(&[shape]).unwrap();
        let mut output = Tensor::zeros(result, &reduced).unwrap();
        let operands = [input.view_mut().layout, output.view_mut().layout];
        let Reduction(code) = Reduction::new(*by, [dtype, result]);
        let known = code.known(&[&operands[0], &operands[1]]);
        known.setup.as_ref().unwrap().is_of_runs(code.program())
    };
    for (axis, shape, expected) in [
        (1, [100, 50, 20], true),
        (1, [1000, 8, 16], true),
        (1, [200, 30, 7], true),
        // In one run, of long runs, and where rows lie apart.
        (0, [1000, 8, 16], false),
        (1, [100, 64, 256], false),
        (2, [100, 8, 16], false),
    ] {
        for by in ["sum", "max", "argmax"] {
            let text = format!("|x: f32[..]| {by}[{axis}](x)");
            assert_eq!(is_of_runs(&text, &shape), expected, "{text} {shape:?}");
        }
    }
    // Stripes of more than one element.
    assert!(!is_of_runs("|x: f32[..]| sum[1](x)", &[100, 65, 20]));
    assert!(!is_of_runs("|x: f64[..]| prod[1](x)", &[100, 33, 20]));
    assert!(is_of_runs("|x: f32[..]| min[1](x)", &[100, 65, 20]));
    assert!(is_of_runs("|x: i64[..]| sum[1](x)", &[100, 65, 20]));
}
