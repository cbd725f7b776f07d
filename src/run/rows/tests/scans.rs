//! Scans among stages, on whole rows and on parts of them.

use super::{apart, bits, body, fill};
use crate::lower::Tier;
use crate::lower::rows::{Stage, rows};
use crate::run::rows::RowCode;
use crate::run::view::Layout;
use crate::run::{Tensor, View};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::{EmitterKind, compile, compile_sweep};

const BODIES: [&str; 10] = [
    "|x, y| cumsum[A](exp(x)) * y",
    "|x| cumsum[A](softmax[A](x))",
    "|x| cumsum[A](x) / sum[A](x)",
    "|x, y| (cumsum[A](x) - max[A](x), cumprod[A](y + 1))",
    "|x| max[A](cumsum[A](x))",
    "|x| let e = exp(x); (e, cumsum[A](e), sum[A](e))",
    "|x| cumsum[A](cumprod[A](x) * cumsum[A](x))",
    "|x| cumsum[A](x - sum[A](cumsum[A](x)))",
    "|x, s| cumsum[A](x + s) * s",
    "|x| (cumsum[A](x), cumsum[A](x))",
];

fn stages(text: &str) -> String {
    let program = rows(&kiln_ir::parse(text).unwrap(), Tier::Default).unwrap();
    let letter = |stage: &Stage<_>| match stage {
        Stage::Each(_) => 'e',
        Stage::Once(_) => 'o',
        Stage::Fold { .. } => 'f',
        Stage::Scan { .. } => 's',
        Stage::Count { .. } => 'c',
    };
    program.stages.iter().map(letter).collect()
}

/// What a scan reads is computed right before it, and it is done right before what reads it: then no row waits.
#[test]
fn scans_are_done_where_they_are_needed() {
    assert_eq!(stages("|x, y| cumsum[-1](exp(x)) * y"), "ese");
    assert_eq!(stages("|x| cumsum[-1](x) / sum[-1](x)"), "fse");
    assert_eq!(stages("|x| cumsum[-1](exp(x)) / sum[-1](x)"), "fese");
    assert_eq!(stages("|x| max[-1](cumsum[-1](x))"), "sf");
    assert_eq!(stages("|x| cumsum[-1](cumprod[-1](x)) + x"), "sse");
    assert_eq!(stages("|x| let e = exp(x); (cumsum[-1](e), sum[-1](e))"), "efs");
}

#[test]
fn stages_give_the_bits_of_scans_apart() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    pool.install(check_all);
}

fn check_all() {
    let (mut turn, mut ran, mut cut) = (0u64, 0, 0);
    for shape in [
        &[3, 1][..],
        &[40, 8],
        &[300, 17],
        &[130, 21],
        &[6, 1025],
        &[5, 9000],
        &[1, 60_000],
        &[2, 30_001],
        &[9000, 5],
        &[3000, 70],
        &[600, 300],
        &[3, 700, 20],
    ] {
        for axis in 0..shape.len() {
            for text in BODIES {
                turn += 1;
                let dtype = if turn.is_multiple_of(3) { DType::F64 } else { DType::F32 };
                let body = body(text, &format!("[{axis}]"), dtype);
                let program = rows(&body, Tier::Default).unwrap_or_else(|| panic!("{body}"));
                let code = RowCode::compile(
                    program,
                    |r| compile(r, EmitterKind::Auto, Cpu::host()),
                    compile_sweep,
                );
                let code = code.unwrap();
                let array = |name: &str| {
                    let mut own = shape.to_vec();
                    if name == "s" {
                        own[axis] = 1;
                    }
                    let mut tensor = Tensor::zeros(dtype, &own).unwrap();
                    fill(&mut tensor, turn, turn.is_multiple_of(2));
                    tensor
                };
                let arrays: Vec<Tensor> =
                    body.inputs().iter().map(|input| array(&input.name)).collect();
                let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
                let expected = apart(&body, &views);
                for threads in [1, 4] {
                    let mut outputs: Vec<Tensor> = expected
                        .iter()
                        .map(|tensor| Tensor::zeros(tensor.dtype(), tensor.shape()).unwrap())
                        .collect();
                    let written: Vec<_> = outputs.iter_mut().map(Tensor::view_mut).collect();
                    let operands: Vec<&Layout> = views
                        .iter()
                        .map(|v| &v.layout)
                        .chain(written.iter().map(|v| &v.layout))
                        .collect();
                    if !code.can_run(&operands) {
                        continue;
                    }
                    ran += 1;
                    let setup = code.setup(code.program(), &operands).unwrap();
                    let [rows, len] = setup.tile;
                    cut += usize::from(len > 512 && rows < 4);
                    // SAFETY: the shapes of the same body, of arrays that live.
                    let done = unsafe { code.run(&operands, Some(threads)) };
                    assert!(done);
                    drop(written);
                    for (found, expected) in outputs.iter().zip(&expected) {
                        assert_eq!(bits(found), bits(expected), "{body} of {shape:?}, {threads}");
                    }
                }
            }
        }
    }
    assert!(ran > 300 && cut > 30, "{ran} ran, {cut} of parts");
}
