//! Any text is a kernel or an error: never a panic, never a hang.

use crate::random::{self, Choices};
use kiln_ir::{MAX_DEPTH, Op, parse, verify};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// The same numbers in every run.
fn numbers() -> TestRng {
    TestRng::deterministic_rng(RngAlgorithm::ChaCha)
}

fn below(rng: &mut TestRng, limit: usize) -> usize {
    rng.next_u32() as usize % limit
}

/// Checks what a text comes to; whether it is a kernel.
fn check(text: &str) -> bool {
    match parse(text) {
        Ok(graph) => {
            assert_eq!(verify(&graph), Ok(()), "{text}");
            let printed = graph.to_string();
            let again = parse(&printed).unwrap_or_else(|e| panic!("{text}\n{printed}\n{e}"));
            assert_eq!(again, graph, "{text}\n{printed}");
            true
        }
        Err(error) => {
            let span = error.span();
            assert!(text.get(span).is_some(), "{text}");
            let shown = error.to_string();
            assert!(shown.contains('^') && shown.lines().count() <= 5, "{text}\n{shown}");
            false
        }
    }
}

/// What texts are made of.
fn words() -> Vec<&'static str> {
    let mut words: Vec<&str> = "( ( ( ) ) ) [ ] { } , , ; ; : = = + - * / % ^ @ & | ! < <= > >= == != \
         -> .. . x y z t0 pi inf nan true false 0 1 2 3.5 1e-3 0.1f32 2f64 0x7fc00001 let let kernel \
         fused fused bits32 bits64 matmul gelu leaky_relu f32 f64 bool n d # // ** << >> && || ~ and or \
         not not where True NaN maximum fmax square 0b1 1_000 007 2j 1e-60 1e60 é × \u{301} 日 \" '"
        .split(' ')
        .collect();
    words.extend(["\n", "\t", "\r\n", " ", "x[", "f32[n, d]", "kernel f(x) {", "let u = "]);
    words.extend(["|x|", "|x, y|", "|x: f32[n], z|"]);
    words.extend(Op::ALL.iter().map(|op| op.name()));
    words
}

#[test]
fn random_texts() {
    let (words, mut rng) = (words(), numbers());
    for _ in 0..10_000 {
        let count = below(&mut rng, 30);
        let mut text = String::new();
        for _ in 0..count {
            text.push_str(words[below(&mut rng, words.len())]);
            if below(&mut rng, 3) > 0 {
                text.push(' ');
            }
        }
        check(&text);
    }
}

#[test]
fn mutated_kernels() {
    let (words, mut rng) = (words(), numbers());
    let mut kernels = 0;
    for _ in 0..10_000 {
        let choices: Vec<u32> = (0..100).map(|_| rng.next_u32()).collect();
        let graph = random::graph(&mut Choices::new(&choices), 8);
        let mut text = graph.to_string();
        // As a closure, half of them.
        if below(&mut rng, 2) == 0 {
            let start = text.find('(').unwrap() + 1;
            let end = text.find(") ->").unwrap();
            let (parameters, rest) = (&text[start..end], &text[end + 1..]);
            text = format!("|{parameters}|{rest}");
            assert_eq!(parse(&text).unwrap(), graph.normalized(), "{text}");
        }
        let mut text: Vec<char> = text.chars().collect();
        for _ in 0..=below(&mut rng, 3) {
            let at = below(&mut rng, text.len() + 1);
            let end = text.len().min(at + 1 + below(&mut rng, 4));
            match below(&mut rng, 4) {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, words[below(&mut rng, words.len())].chars())),
                2 => drop(text.splice(at..end, words[below(&mut rng, words.len())].chars())),
                _ => {
                    let copied = text[at..end].to_vec();
                    let to = below(&mut rng, text.len() + 1);
                    drop(text.splice(to..to, copied));
                }
            }
        }
        kernels += usize::from(check(&text.into_iter().collect::<String>()));
    }
    // Else mutation breaks every text and nothing is tested but the first error.
    assert!(kernels > 300, "{kernels}");
}

/// What is said, on a thread with little stack.
fn message(text: String) -> String {
    let parse = move || match parse(&text) {
        Ok(graph) => format!("{} nodes", graph.nodes().len()),
        Err(error) => error.message().to_string(),
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(parse).unwrap().join().unwrap()
}

#[test]
fn nesting_is_bounded() {
    let too_deep = format!("this is nested more than {MAX_DEPTH} deep");
    let nested = |open: &str, close: &str, depth| {
        message(format!("{}x{}", open.repeat(depth), close.repeat(depth)))
    };
    for depth in [MAX_DEPTH + 1, 100_000] {
        assert_eq!(nested("(", ")", depth), too_deep);
        assert_eq!(nested("exp(", ")", depth), too_deep);
        assert_eq!(nested("x|x&x<x+x*-x^(", ")", depth), too_deep);
        assert_eq!(nested("x^", "", depth), too_deep);
        assert_eq!(nested("(", "", depth), too_deep);
        assert_eq!(nested("fused(x = ", ") { x }", depth), too_deep);
    }
    assert_eq!(nested("(", ")", MAX_DEPTH - 1), "1 nodes");
    assert_eq!(nested("y+y*-(", ")", MAX_DEPTH - 1), "599 nodes");
    assert_eq!(nested("-", "", 10_000), "10001 nodes");
    assert_eq!(nested("(", "", 50), "this `(` is never closed");
}

#[test]
fn sizes_are_bounded() {
    let nodes = "the kernel has more than 20000 nodes";
    let parts = "the text has more than 61000 operations and numbers";
    assert_eq!(message("exp(x)*".repeat(30_000) + "1"), nodes);
    assert_eq!(message("-".repeat(30_000) + "x"), nodes);
    assert_eq!(message("-".repeat(1_000_000) + "x"), parts);
    // Nodes of fused bodies count.
    let long = (0..6_000).map(|i| format!("{i}*x")).collect::<Vec<_>>().join("+");
    let fused = format!("fused(x) {{ {long} }}");
    assert_eq!(message(format!("let a = {fused}; {fused}")), "3 nodes");
    assert_eq!(message(format!("let a = {fused}; fused(x = a) {{ {long} }}")), nodes);
    let outputs = |n: usize| format!("({})", "x,".repeat(n));
    assert_eq!(message(outputs(1_000)), "1 nodes");
    assert_eq!(message(outputs(1_001)), "the kernel has more than 1000 outputs");
    let lets: String = (0..5_000).map(|i| format!("let u{} = u{i} * u{i};", i + 1)).collect();
    assert_eq!(message(lets + "u5000"), "5001 nodes");
    let sum = |n| (0..n).map(|i| format!("x{i}")).collect::<Vec<_>>().join(" + ");
    assert_eq!(message(sum(1_000)), "1999 nodes");
    assert_eq!(message(sum(100_000)), "the kernel has more than 1000 inputs");
    let head: String = (0..100_000).map(|i| format!("x{i},")).collect();
    assert_eq!(
        message(format!("kernel f({head}) {{ x1 }}")),
        "the kernel has more than 1000 inputs"
    );
    assert_eq!(
        message(format!("kernel f(x: f32[{}n]) {{ x }}", "n,".repeat(100_000))),
        "it has over 64 axes"
    );
    assert_eq!(message(" ".repeat(5_000_000)), "the text is 5000000 bytes long, over 2097152");
    let number = format!("the number {}… is too large for f32", "9".repeat(40));
    assert!(message("9".repeat(1_000_000) + "f32").starts_with(&number));
    assert_eq!(message(format!("x + 0.{}", "1".repeat(1_000_000))), "3 nodes");
    let long = format!("unknown function `{}…`", "x".repeat(40));
    assert_eq!(message("x".repeat(1_000_000) + "(1)"), long);
    assert_eq!(message("(x, ".repeat(100_000)), "expected `)`, found `,`");
    let fused = message("fused(x){".repeat(100_000));
    assert!(fused.starts_with("a fused kernel cannot stand in a fused body"), "{fused}");
}
