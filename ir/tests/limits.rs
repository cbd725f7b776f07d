//! What a text may cost: limits are checked as it is read, and nothing needs much stack.

use kiln_ir::{Expr, MAX_DEPTH, build, eval_scalar, free_inputs, parse, verify};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, which knows what each thread holds and held at most.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does the work; the count does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.set(HELD.get() + layout.size() as isize);
        MOST.set(MOST.get().max(HELD.get()));
        // SAFETY: required of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: required of the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// As little as a thread may have.
const STACK: usize = 64 << 10;

/// What `work` gives on a thread of little stack.
fn on_little_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap()
}

/// What a text comes to, whether it is refused as it is or as a kernel: it is printed, read again and
/// evaluated too.
fn use_up(text: &str) -> Result<usize, String> {
    let _ = free_inputs(text);
    let graph = parse(text).map_err(|error| {
        let _ = error.to_string();
        error.message().to_string()
    })?;
    verify(&graph).unwrap();
    let printed = graph.to_string();
    assert_eq!(parse(&printed).unwrap(), graph);
    let _ = (format!("{graph:?}"), graph.normalized(), graph.expression());
    eval_scalar(&graph, &vec![0.5; graph.inputs().len()]);
    Ok(graph.nodes().len())
}

/// A megabyte of each is refused.
fn hostile() -> Vec<(&'static str, String)> {
    const MEGABYTE: usize = 1 << 20;
    let filled = |unit: &str| unit.repeat(MEGABYTE / unit.len());
    let numbered = |unit: fn(usize) -> String| {
        let mut text = String::new();
        (0..).map(unit).find(|unit| {
            text.push_str(unit);
            text.len() >= MEGABYTE
        });
        text
    };
    vec![
        ("minus", filled("-")),
        ("minus, then x", filled("-") + "x"),
        ("open", filled("(")),
        ("close", filled(")")),
        ("not", filled("!")),
        ("not", filled("not ")),
        ("tilde", filled("~") + "x"),
        ("powers", filled("x^") + "x"),
        ("stars", filled("x**") + "x"),
        ("sum", filled("1+") + "1"),
        ("sum", filled("x+") + "x"),
        ("sum of floats", filled("1.5+") + "1"),
        ("sum of words", filled("x or ") + "x"),
        ("sum of calls", filled("gelu_tanh(x)+") + "x"),
        ("sum of typed numbers", filled("1f64+") + "x"),
        ("calls", filled("exp(")),
        ("arguments", "clamp(".to_string() + &filled("x,")),
        ("tuple", format!("({})", filled("x,"))),
        ("tuple of numbers", format!("({})", filled("1,"))),
        ("tuples", filled("(x,")),
        ("braces", filled("{")),
        ("fused", filled("fused(x){")),
        ("fused", filled("fused(x=")),
        ("fused parameters", numbered(|i| if i == 0 { "fused(".into() } else { format!("x{i},") })),
        ("bindings", numbered(|i| format!("let a{i}=x;"))),
        ("inputs", numbered(|i| format!("x{i}+")) + "x"),
        ("parameters", numbered(|i| if i == 0 { "kernel f(".into() } else { format!("x{i},") })),
        ("axes", "kernel f(x: f32[".to_string() + &filled("n,")),
        ("results", "kernel f(x) -> (".to_string() + &filled("f32,")),
        ("unknown characters", filled("$")),
        ("unknown characters", filled("日")),
        ("unknown characters after a sum", "x + ".to_string() + &filled("¿")),
        ("digits", filled("9")),
        ("digits", filled("1_")),
        ("bits", "0x".to_string() + &filled("f")),
        ("word", filled("x") + "("),
        ("commas", filled(",")),
        ("comparisons", filled("x<")),
        ("quotients", filled("x//") + "x"),
        ("comments", filled("#\n")),
        ("blanks", filled(" ")),
        ("dots", filled(".")),
        ("shifts", filled("x<<") + "x"),
        ("choices", filled("select(x>0,") + "x"),
    ]
}

#[test]
fn hostile_texts_cost_little() {
    const MOST_HELD: isize = 10 << 20;
    for (what, text) in hostile() {
        let length = text.len() as isize;
        let (result, held) = on_little_stack(move || {
            let before = HELD.get();
            MOST.set(before);
            let result = parse(&text).map(|graph| graph.nodes().len());
            let message = result.map_err(|error| (error.message().to_string(), error.to_string()));
            (message, MOST.get() - before)
        });
        let (message, shown) = result.expect_err(what);
        assert!(held < MOST_HELD + length, "{what}: {held} bytes before {message:?}");
        assert!(message.len() < 200 && shown.len() < 1000, "{what}: {shown}");
    }
}

#[test]
fn accepted_texts_need_little_stack() {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}x{}", open.repeat(depth), close.repeat(depth))
    };
    let chain = |unit: &str, times: usize| unit.repeat(times) + "x";
    let deepest = MAX_DEPTH - 1;
    let texts = [
        nested("(", ")", deepest),
        nested("exp(", ")", deepest),
        nested("-(", ")", deepest),
        nested("y+y*-x^(", ")", deepest / 2),
        nested("select(x > 0, y, ", ")", deepest),
        nested("not (x > 0 and ", " > 0)", deepest),
        nested("fused(x = ", ") { x * 2 }", deepest - 1),
        nested("gelu_tanh(", ")", deepest),
        chain("x^", deepest),
        chain("-", 15_000),
        "!".repeat(9_000) + "(x > 0)",
        chain("x*y+", 7_000),
        chain("exp(x)*", 9_000),
        chain("x // y % ", 9_000),
        "let (a, b) = fused(x, y = (((x)))) { let t = ((x)) * y; (t, exp(t)) }; a + b".to_string(),
        (0..5_000).map(|i| format!("let u{} = u{i} * u{i};", i + 1)).collect::<String>() + "u5000",
        format!("kernel f(x: f32[{}n]) {{ x }}", "1,".repeat(63)),
    ];
    for text in texts {
        let start: String = text.chars().take(40).collect();
        let nodes = on_little_stack(move || use_up(&text));
        assert!(nodes.is_ok(), "{start}: {nodes:?}");
    }
}

#[test]
fn long_chains_in_rust_need_little_stack() {
    on_little_stack(|| {
        let x = Expr::input("x");
        let mut sum = x.clone();
        for _ in 0..100_000 {
            sum = (-(&sum + 1.0)).powi(3).logical_not() & sum.isnan();
        }
        assert_eq!(format!("{sum:?}"), r#"Expr("and", ..)"#);
        assert!(build("k", &[sum.clone()]).is_err());
        let derived = (0..20_000).fold(x, |x, _| x.gelu_tanh());
        assert!(build("k", &[derived.clone(), sum]).unwrap_err().to_string().contains("20000"));
        drop(derived);
    });
}
