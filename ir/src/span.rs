//! Spans of the crate `tracing`: what a compilation and a call are doing, for whoever subscribes.
//!
//! Whether there are any is this crate's feature `tracing`, also for `kiln`, which uses the macro from
//! here. Without the feature a span is no code at all, so that a call of 40 ns stays one.

/// Enters a span, up to the end of the block: `span!(DEBUG, "parse", bytes = text.len());`. Stages
/// of compilation are at the level `DEBUG`, calls at `TRACE`; all have the target `kiln`.
#[cfg(feature = "tracing")]
#[doc(hidden)]
#[macro_export]
macro_rules! span {
    ($level:ident, $name:literal $(, $field:ident = $value:expr)* $(,)?) => {
        let _span = $crate::__tracing::span!(
            target: "kiln",
            $crate::__tracing::Level::$level,
            $name
            $(, $field = $value)*
        )
        .entered();
    };
}

/// Nothing: the feature `tracing` is off.
#[cfg(not(feature = "tracing"))]
#[doc(hidden)]
#[macro_export]
macro_rules! span {
    ($($anything:tt)*) => {};
}

/// It compiles only because nothing is left of it.
#[cfg(all(test, not(feature = "tracing")))]
#[test]
fn without_the_feature_a_span_is_nothing() {
    crate::span!(no_such_level, no_such_name);
}
