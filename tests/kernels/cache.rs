//! The kernel cache: what is one kernel and what is not, how many are kept, and for how long.

use kiln::{CompileOptions, EmitterKind, Expr, Graph, Kernel, KernelCache, Mode, ir};
use ndarray::array;
use std::sync::{Arc, Barrier};

fn graph(text: &str) -> Graph {
    ir::parse(text).unwrap()
}

fn get(cache: &KernelCache, text: &str) -> Arc<Kernel> {
    cache.get_or_compile(&graph(text), CompileOptions::new()).unwrap()
}

#[test]
fn equal_graphs_are_one_kernel() {
    let cache = KernelCache::new(8);
    let first = get(&cache, "x * sigmoid(x)");
    assert!(Arc::ptr_eq(&first, &get(&cache, "x*sigmoid( x )")));
    let x = Expr::input("x");
    let built = ir::build("another name", &[&x * x.sigmoid()]).unwrap();
    let built = cache.get_or_compile(&built, CompileOptions::new()).unwrap();
    assert!(Arc::ptr_eq(&first, &built));
    assert_eq!((cache.len(), cache.compile_count()), (1, 1));
    let outputs = first.run(&[(&array![0f32, 1.0]).into()]).unwrap();
    assert_eq!(outputs[0].shape(), [2]);
}

#[test]
fn whatever_differs_is_another_kernel() {
    let cache = KernelCache::new(100);
    let mut kernels = Vec::new();
    let options = CompileOptions::new();
    for options in [
        options,
        options.mode(Mode::Strict),
        options.mode(Mode::Fast),
        options.emitter(EmitterKind::Interp),
        options.threads(1),
        CompileOptions::unfused(),
    ] {
        kernels.push(cache.get_or_compile(&graph("x + 1"), options).unwrap());
    }
    for text in [
        "y + 1",
        "x + 2",
        "x - 1",
        "kernel k(x: f64) { x + 1 }",
        "kernel k(x: f32[n]) { x + 1 }",
        "kernel k(x: f32[m]) { x + 1 }",
        "kernel k(x: f32[4]) { x + 1 }",
        "kernel k(x, y) { x + 1 }",
        "kernel k(x) { (x + 1, x) }",
    ] {
        kernels.push(get(&cache, text));
    }
    for (index, kernel) in kernels.iter().enumerate() {
        assert!(!kernels[..index].iter().any(|other| Arc::ptr_eq(other, kernel)), "{index}");
    }
    assert_eq!((cache.len(), cache.compile_count()), (kernels.len(), kernels.len()));
}

#[test]
fn the_kernel_used_longest_ago_makes_room() {
    let cache = KernelCache::new(2);
    let a = get(&cache, "x + 1");
    let b = get(&cache, "x + 2");
    assert!(Arc::ptr_eq(&a, &get(&cache, "x + 1")));
    // `b` goes, and lives on here.
    get(&cache, "x + 3");
    assert_eq!((cache.len(), cache.capacity(), cache.compile_count()), (2, 2, 3));
    assert!(Arc::ptr_eq(&a, &get(&cache, "x + 1")));
    assert!(!Arc::ptr_eq(&b, &get(&cache, "x + 2")));
    assert_eq!(cache.compile_count(), 4);
    assert!(b.run(&[(&array![0f32]).into()]).is_ok());
    let one = KernelCache::new(0);
    assert!(Arc::ptr_eq(&get(&one, "x + 1"), &get(&one, "x + 1")));
}

#[test]
fn threads_at_once_compile_once() {
    for round in 0..5 {
        let (cache, start) = (KernelCache::new(4), Barrier::new(8));
        let text = format!("gelu(x) + {round}");
        let kernels: Vec<Arc<Kernel>> = std::thread::scope(|scope| {
            let ask = || {
                start.wait();
                get(&cache, &text)
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((cache.len(), cache.compile_count()), (1, 1));
        assert!(kernels.iter().all(|kernel| Arc::ptr_eq(kernel, &kernels[0])));
    }
}

/// Every kernel evicts the one before: nothing but the cache held its code.
#[test]
fn evicted_kernels_free_their_memory() {
    // Executable memory that belongs to no file.
    let mappings = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let anonymous = |line: &&str| line.split_whitespace().count() == 5;
        maps.lines().filter(anonymous).filter(|line| line.contains("r-xp")).count()
    };
    let cache = KernelCache::new(1);
    let before = mappings();
    for number in 0..2000 {
        get(&cache, if number % 2 == 0 { "x + 1" } else { "x + 2" });
    }
    assert_eq!(cache.compile_count(), 2000);
    // Other tests run meanwhile and hold some.
    let after = mappings();
    assert!(after < before + 100, "mappings of code grew from {before} to {after}");
}
