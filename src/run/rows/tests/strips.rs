//! Strips of rows side by side, whose sums code adds up.

use super::narrow::{How, check};
use super::{apart, body, compile, compile_sweep, emitters, fill};
use crate::lower::Tier;
use crate::lower::rows::rows;
use crate::run::rows::setup::Setup;
use crate::run::rows::{RowCode, Stage};
use crate::run::{Tensor, View};
use kiln_ir::DType;
use kiln_jit::cpu::Cpu;
use kiln_jit::emit::EmitterKind;

/// What is summed of these is stored nowhere.
const SUMS: [&str; 12] = [
    "|x| layer_norm[A](x)",
    "|x, s, y| layer_norm[A](x) * s + y",
    "|x| (mean[A](x), var[A](x))",
    "|x| norm[A](x)",
    "|x, y| sum[A](x * y) / (norm[A](x) * norm[A](y))",
    "|x, s| (sum[A](x * s), max[A](x * x))",
    "|x| let m = max[A](x); (m, sum[A](x - m), sum[A](x * m))",
    "|x| var[A](f32(f16(x)))",
    // What is folded as it is, beside what is stored, and a number for all that comes last.
    "|x, y, s| (sum[A](y), sum[A](x * x), s + x)",
    // Code that takes longer, which may store where nothing of what takes less is.
    "|x| sum[A](x * x) + sum[A](exp(x - max[A](x)))",
    "|x| norm[A](tanh(x / norm[A](x)))",
    "|x| let z = (x - mean[A](x)) * rsqrt(var[A](x)); (sum[A](exp(z)), mean[A](z * z * z))",
];

/// Blocks and strips that are full, and what is left of either; few stripes and all; numbers that are one for all rows.
#[test]
fn strips_change_no_bit() {
    let shapes = [[128, 64], [130, 129], [511, 80], [513, 200], [700, 65], [1100, 66], [2600, 71]];
    let mut turn = 0;
    for (shape, text) in shapes.iter().flat_map(|shape| SUMS.map(|text| (shape, text))) {
        turn += 1;
        let dtype = if turn % 3 == 0 { DType::F64 } else { DType::F32 };
        let body = body(text, "[0]", dtype);
        let own = |name: &str| match (name, (turn + turn / SUMS.len() as u64) % 4) {
            ("s", 0) => [1, 1],
            ("s", 1) => [shape[0], 1],
            ("s", 2) => [1, shape[1]],
            _ => *shape,
        };
        let array = |input: &kiln_ir::Input| {
            let mut tensor = Tensor::zeros(dtype, &own(&input.name)).unwrap();
            fill(&mut tensor, turn, true);
            tensor
        };
        let arrays: Vec<Tensor> = body.inputs().iter().map(array).collect();
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
        let expected = apart(&body, &views);
        let hows = [How::Tiles, How::Streaming, How::Parts];
        for (emitter, how) in emitters().into_iter().flat_map(|e| hows.map(|how| (e, how))) {
            let program = rows(&body, Tier::Default).unwrap();
            let by = |routine: &_| compile(routine, emitter, Cpu::host());
            let code = RowCode::compile(program, by, compile_sweep).unwrap();
            let takes_any_count = |stage: &Stage| match stage {
                Stage::Each(map) => map.kernel.takes_any_count(),
                _ => true,
            };
            let any_count = code.program().stages.iter().all(takes_any_count);
            let goes_so = |setup: &Setup| {
                // Code that takes whole vectors only goes another way, and what takes long does where rows are short.
                let is_long = shape[0] >= 256;
                let is_fast = matches!(emitter, EmitterKind::Avx2 | EmitterKind::Avx512);
                let goes = setup.launches.iter().any(|launch| launch.folds > 0);
                if any_count && (is_long || is_fast) { goes } else { true }
            };
            let what = format!("{body} by {emitter}");
            let is_run = check(&code, &views, &expected, how, turn as usize % 16, goes_so, &what);
            assert!(is_run, "{what}");
        }
    }
}
