//! Files of options on shares, in double precision; one number in 100 of `s` and of `v` is missing.

use crate::Result;
use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch};
use datafusion::parquet::arrow::ArrowWriter;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Writes the files unless they are there.
pub(crate) fn write_once(folder: &Path, files: usize, rows: usize) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for file in 0..files {
        let path = folder.join(format!("{file}-{rows}.parquet"));
        if path.exists() {
            continue;
        }
        let batch = batch(rows, file as u64)?;
        let staged = path.with_extension("part");
        let mut writer = ArrowWriter::try_new(File::create(&staged)?, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close()?;
        std::fs::rename(staged, path)?;
    }
    Ok(())
}

/// A share at `s`, the right to buy it for `k` in `t` years, interest `r`, volatility `v`.
pub(crate) fn batch(rows: usize, seed: u64) -> Result<RecordBatch> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut column = |least: f64, most: f64, nulls: bool| {
        let one =
            |_| (!nulls || random.u8(..100) != 0).then(|| least + random.f64() * (most - least));
        Arc::new((0..rows).map(one).collect::<Float64Array>()) as ArrayRef
    };
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("s", column(10.0, 50.0, true), true),
        ("k", column(10.0, 50.0, false), false),
        ("t", column(0.2, 2.0, false), false),
        ("r", column(0.0, 0.1, false), false),
        ("v", column(0.1, 0.5, true), true),
    ])?)
}
