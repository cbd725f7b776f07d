//! Spans of `tracing`: what they are called, in which order they come, and that they are nothing
//! where the feature is off.

use kiln::{CompileOptions, Tensor, compile_with, ir};
use ndarray::array;
use std::sync::{Arc, Mutex};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Writes down what is entered and left: `parse(`, `)`.
#[derive(Clone, Default)]
struct Scribe(Arc<Mutex<String>>);

impl Subscriber for Scribe {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "kiln"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let metadata = span.metadata();
        let is_call = metadata.name() == "run";
        assert_eq!(*metadata.level(), if is_call { Level::TRACE } else { Level::DEBUG });
        self.0.lock().unwrap().push_str(metadata.name());
        Id::from_u64(1)
    }

    fn enter(&self, _: &Id) {
        self.0.lock().unwrap().push('(');
    }

    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().push(')');
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}
}

/// What is entered while `work` is done.
fn entered(work: impl FnOnce()) -> String {
    let scribe = Scribe::default();
    tracing::subscriber::with_default(scribe.clone(), work);
    std::mem::take(&mut *scribe.0.lock().unwrap())
}

/// The spans of what a kernel of two passes does from its text on, and each way of calling it.
fn do_everything() -> [String; 3] {
    // A process reads a rule once: whatever other tests did, from here on all are read.
    let graph = ir::parse("x * exp(sin(w))").unwrap();
    compile_with(&graph, CompileOptions::new()).unwrap();
    let mut kernel = None;
    let compiled = entered(|| {
        let graph = ir::parse("x * exp(sin(w))").unwrap();
        kernel = Some(compile_with(&graph, CompileOptions::new()).unwrap());
    });
    let kernel = kernel.unwrap();
    let [x, w] = [[1000, 8], [1, 8]].map(|shape| Tensor::zeros(kiln::DType::F32, &shape).unwrap());
    let specialized = entered(|| drop(kernel.run(&[x.view(), w.view()]).unwrap()));
    let double = kiln::fuse!(|x| x * 2).unwrap();
    let called = entered(|| {
        let mut y = double.call(&array![1f32, 2.0]).unwrap();
        double.call_into(&array![1f32, 2.0], &mut y).unwrap();
        double.call_in_place(&mut y, ()).unwrap();
        double.call(&array![[1f32, 2.0, 3.0]].slice(ndarray::s![.., ..;2])).unwrap();
    });
    [compiled, specialized, called]
}

#[cfg(feature = "tracing")]
#[test]
fn spans_come_in_the_order_of_the_stages() {
    let [compiled, specialized, called] = do_everything();
    assert_eq!(compiled, "parse()compile(saturate()extract()merge()lower()emit())");
    assert_eq!(specialized, "run(specialize(merge()lower()emit()lower()emit()))");
    assert_eq!(called, "run()run()run()run()");
    // No other test has a rule of strict mode to read: it is read within the saturation.
    let first = entered(|| {
        compile_with(&ir::parse("x * 1").unwrap(), CompileOptions::new().mode(kiln::Mode::Strict))
            .unwrap();
    });
    assert!(first.starts_with("parse()compile(saturate(rule(parse()"), "{first}");
    let proved = entered(|| {
        kiln::explain::prove(&ir::parse("x * 1").unwrap(), kiln::Mode::Precise).unwrap();
    });
    assert_eq!(proved, "parse()saturate()extract(prove())merge()");
}

#[cfg(not(feature = "tracing"))]
#[test]
fn without_the_feature_there_are_no_spans() {
    assert_eq!(do_everything(), ["", "", ""]);
}
