//! Ops: their accuracy, their special values, their types, and what modes promise of them.

mod accuracy;
mod facts;
mod half;
mod integer;
mod promises;
mod rows;
mod special_values;
mod subnormals;
