//! Parquet files of prices, some missing: what is queried.

use datafusion::arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch};
use datafusion::error::Result;
use datafusion::parquet::arrow::ArrowWriter;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Writes `files` files of `rows` rows with the columns `g` (a group), `a`, `b` and `c`; one in 50 of `a` and
/// of `b` is null. The same numbers every time.
pub fn write(folder: &Path, files: usize, rows: usize) -> Result<()> {
    for file in 0..files {
        let mut random = fastrand::Rng::with_seed(file as u64);
        let group = Int32Array::from_iter_values((0..rows).map(|_| random.i32(0..7)));
        let mut number = |nulls: bool| {
            let one = |_| (!nulls || random.u8(..50) != 0).then(|| random.f64() * 8.0 - 4.0);
            Arc::new((0..rows).map(one).collect::<Float64Array>()) as ArrayRef
        };
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("g", Arc::new(group) as ArrayRef, false),
            ("a", number(true), true),
            ("b", number(true), true),
            ("c", number(false), false),
        ])?;
        let path = folder.join(format!("part-{file}.parquet"));
        let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close()?;
    }
    Ok(())
}
