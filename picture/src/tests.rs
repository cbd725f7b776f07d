//! Pictures of kernels: what lies where, and what they say.

use super::Picture;
use super::layout::Point;
use super::network::{Kind, Network};
use super::scene::{Scene, Shape, Style, Words};
use kiln::{Graph, Mode, derived::DERIVED, ir};

/// Kernels of all kinds: every derived op, and what is special.
fn corpus() -> Vec<Graph> {
    let special = [
        "kernel identity(x) { x }",
        "kernel number(x) { 5 }",
        "kernel unread(x, y) { x * 2 }",
        "kernel twice(x) { (x, x, x + 1, x + 1) }",
        "kernel layer(x: f32[n, d], w: f32[d, h], b: f32[h], v: f32[h, d]) {
            let hidden = gelu_tanh(x @ w + b);
            (hidden @ v + x, hidden)
        }",
        "kernel step(p, m, v, g) {
            let mean = 0.9 * m + 0.1 * g;
            let square = 0.999 * v + 0.001 * g * g;
            (p - 0.01 * mean / (sqrt(square) + 1e-8), mean, square)
        }",
        "select(x < y & y > 0, x, f32(i32(y)))",
        "kernel fused_text(x) { let t = fused(x) { exp(x) }; fused(t) { t * t } }",
        "kernel norms(x, w) { (layer_norm[-1](x) * w, sum[-1](x * x), sum[0](x)) }",
        "kernel attention(q: f32[t, d], k: f32[t, d], v: f32[t, d]) {
            let s = q @ transpose(k);
            softmax[-1](select(iota[-1](s) <= iota[-2](s), s, -inf)) @ v
        }",
        "kernel loss(x: f32[n, c], y: i64[n, 1]) { label_cross_entropy[-1](x * 2, y) }",
        "kernel sizes(x: f32[1000, 64], w: f32[64]) { x * exp(sin(w)) }",
    ];
    let derived = DERIVED.iter().map(|op| {
        let inputs: Vec<&str> =
            op.parameters.iter().filter(|p| p.default.is_none()).map(|p| p.name).collect();
        format!("kernel {0}({1}) {{ {0}({1}) }}", op.name, inputs.join(", "))
    });
    derived
        .chain(special.map(str::to_string))
        .map(|text| ir::parse(&text).expect("it is valid"))
        .collect()
}

/// A kernel of at least `ops` ops, in which values are read far from where they are made.
fn long(ops: usize) -> Graph {
    let mut text = String::from("kernel long(x, y, z) { let v0 = x + y;");
    for at in 1..ops {
        let (near, far) = (at - 1, at / 3);
        text += &match at % 3 {
            0 => format!("let v{at} = v{near} * v{far} + z;"),
            1 => format!("let v{at} = sin(v{near}) - v{far};"),
            _ => format!("let v{at} = v{near} / (1 + v{far} * x);"),
        };
    }
    ir::parse(&format!("{text} (v{}, v{}) }}", ops - 1, ops / 2)).expect("it is valid")
}

/// The left, upper, right and lower end.
fn ends(shape: &Shape) -> [f64; 4] {
    let Point { x, y } = shape.corner;
    [x, y, x + shape.width, y + shape.height]
}

fn ends_of_words(words: &Words) -> [f64; 4] {
    let width = words.style.width(&words.text);
    let left = match words.style {
        Style::Label | Style::Small => words.at.x - width / 2.0,
        Style::Note | Style::Title => words.at.x,
    };
    [left, words.at.y - 11.0, left + width, words.at.y + 3.0]
}

fn overlap(a: [f64; 4], b: [f64; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

fn is_within(inner: [f64; 4], outer: [f64; 4]) -> bool {
    inner[0] >= outer[0] && inner[1] >= outer[1] && inner[2] <= outer[2] && inner[3] <= outer[3]
}

#[track_caller]
fn check(scene: &Scene, name: &str) {
    let all = [0.0, 0.0, scene.width, scene.height];
    let boxes: Vec<[f64; 4]> = scene.boxes.iter().map(ends).collect();
    for (shape, &place) in scene.boxes.iter().zip(&boxes) {
        assert!(is_within(place, all), "{name}: {shape:?} is cut off");
        for words in &shape.words {
            assert!(
                is_within(ends_of_words(words), place),
                "{name}: {words:?} is not in {place:?}"
            );
        }
    }
    for (at, (a, place)) in scene.boxes.iter().zip(&boxes).enumerate() {
        for (b, other) in scene.boxes[at + 1..].iter().zip(&boxes[at + 1..]) {
            let nested = a.is_frame && is_within(*other, *place);
            assert!(nested || !overlap(*place, *other), "{name}: {a:?} and {b:?} overlap");
            // What is in a frame is below the words on it.
            let covered = a.words.iter().any(|words| overlap(ends_of_words(words), *other));
            assert!(!covered, "{name}: {b:?} covers the words of {a:?}");
        }
    }
    let outside: Vec<[f64; 4]> = scene.words.iter().map(ends_of_words).collect();
    for (at, words) in outside.iter().enumerate() {
        assert!(is_within(*words, all), "{name}: {words:?} is cut off");
        let others = outside[at + 1..].iter().chain(&boxes);
        others.for_each(|other| assert!(!overlap(*words, *other), "{name}: words are covered"));
    }
    for path in scene.paths.iter().filter(|path| path.points[0].y != path.points[1].y) {
        let touches = |point: &Point, edge: usize| {
            let is_on = |place: &&[f64; 4]| {
                place[0] <= point.x && point.x <= place[2] && (place[edge] - point.y).abs() < 0.2
            };
            boxes.iter().find(is_on).is_some()
        };
        let (first, last) = (&path.points[0], path.points.last().unwrap());
        assert!(touches(first, 3) && touches(last, 1), "{name}: {path:?} ends in the air");
    }
}

#[test]
fn nothing_overlaps() {
    let graphs = corpus().into_iter().chain([30, 60, 110].map(long));
    for graph in graphs {
        for mode in [Mode::Strict, Mode::Fast] {
            let picture = Picture::of(&graph, mode);
            check(&picture.scene(), graph.name());
            assert_eq!(picture.svg(), Picture::of(&graph, mode).svg());
        }
    }
}

/// Every op of a kernel is in the picture, and large ones are told in numbers.
#[test]
fn all_ops_are_there() {
    fn count(network: &Network, kind: Kind) -> usize {
        let inside = network.items.iter().filter_map(|item| item.inside.as_ref());
        network.of_kind(kind).count() + inside.map(|inside| count(inside, kind)).sum::<usize>()
    }
    let picture = Picture::of(&ir::parse("x / (1 + exp(-x))").unwrap(), Mode::Precise);
    let kinds = [Kind::Input, Kind::Pass, Kind::Op, Kind::Load, Kind::Store, Kind::Output];
    let counts = |network| kinds.map(|kind| count(network, kind));
    assert_eq!(counts(&picture.before.network), [1, 4, 0, 0, 0, 1]);
    assert_eq!(counts(&picture.after.network), [1, 1, 2, 1, 1, 1]);
    let svg = picture.svg();
    for words in ["sigmoid(·)", "1. kernel of 2 ops", "in 4 B an element", "moving 36 B an element"]
    {
        assert!(svg.contains(words), "{words} is missing: {svg}");
    }
    let large = Picture::of(&long(3000), Mode::Strict);
    assert_eq!(counts(&large.before.network), [1, 1, 0, 0, 0, 1]);
    let after = counts(&large.after.network);
    assert!(after[1] > 10 && after[2] == 0, "{after:?}");
    check(&large.scene(), "large");
    assert!(large.svg().contains("kernel of 512 ops") && large.svg().contains(" sin"));
}

#[test]
fn bytes_follow_from_shapes() {
    let notes = |text: &str| {
        let picture = Picture::of(&ir::parse(text).unwrap(), Mode::Precise);
        let items = &picture.after.network.items;
        items.iter().flat_map(|item| item.notes.clone()).collect::<Vec<_>>()
    };
    assert_eq!(notes("x * exp(y)"), ["in 8 B an element", "out 4 B an element"]);
    let sized = "kernel k(x: f64[1024, 64], w: f32[64]) { x * f64(w) }";
    assert_eq!(notes(sized), ["in 512.2 KiB", "out 512.0 KiB"]);
    let product = "kernel k(x: f32[n, d], w: f32[d, n]) { x @ w }";
    assert_eq!(notes(product), ["in 8·d·n B", "out 4·n·n B"]);
    // What is left of a row is not as large as what was read, whatever that is.
    assert_eq!(notes("sum[-1](x * 2)"), ["in 4 B an element", "out 4 B a row"]);
    assert_eq!(notes("sum(x * 2)"), ["in 4 B an element", "out 4 B"]);
    assert_eq!(notes("softmax[-1](x)"), ["in 4 B an element", "out 4 B an element"]);
}

/// What only says how something is read moves nothing, and is no pass.
#[test]
fn views_are_no_passes() {
    let told = |text: &str| {
        let picture = Picture::of(&ir::parse(text).unwrap(), Mode::Precise);
        let passes = picture.after.network.of_kind(Kind::Pass).count();
        assert!(picture.after.caption.starts_with(&format!("{passes} pass")), "{text}");
        [picture.before.caption, picture.after.caption]
    };
    assert_eq!(
        told("kernel k(x: f32[n, d], w: f32[m, d]) { relu(x @ transpose(w)) }"),
        [
            "2 passes over memory, moving 4·d·m + 4·d·n + 12·m·n B",
            "1 pass over memory, moving 4·d·m + 4·d·n + 4·m·n B"
        ]
    );
    assert_eq!(
        told("kernel k(x: f32[n, 8]) { x + f32(iota[-1](x)) }")[1],
        "1 pass over memory, moving 64·n B"
    );
    let text = "kernel k(x: f32[n, d], w: f32[m, d]) { gelu(x @ transpose(w)) }";
    let svg = Picture::of(&ir::parse(text).unwrap(), Mode::Precise).svg();
    assert!(svg.contains("load transpose(w)"), "{svg}");
}

/// Text cannot leave its place, whatever it is.
#[test]
fn text_is_escaped() {
    let mut graph = Graph::new("</svg><script>alert(1)</script>");
    let input = ir::Input { name: "x".into(), dtype: kiln::DType::F32, dims: None };
    let x = graph.input(input).unwrap();
    let y = graph.op(ir::Op::Lt, &[x, x]).unwrap();
    graph.output(y);
    let picture = Picture::of(&graph, Mode::Strict);
    let svg = picture.svg();
    assert!(!svg.contains("<script") && svg.contains(">· &lt; ·<"), "{svg}");
    assert!(picture.dot().starts_with(r#"digraph "</svg><script>alert(1)</script>" {"#));
}

/// Every line of the text for Graphviz opens a cluster, closes one, or says something of nodes that
/// were named before.
#[test]
fn graphviz_text_is_whole() {
    for graph in corpus() {
        let dot = Picture::of(&graph, Mode::Precise).dot();
        assert_eq!(dot.matches('{').count(), dot.matches('}').count(), "{dot}");
        let mut known = std::collections::HashSet::new();
        for line in dot.lines().map(str::trim) {
            if let Some((from, to)) = line.split_once(" -> ") {
                let to = to.split(' ').next().unwrap();
                assert!(known.contains(from) && known.contains(to), "{line}: {dot}");
            } else if let Some((name, _)) = line.split_once(" [label=") {
                assert!(known.insert(name), "{name} twice: {dot}");
            }
        }
        assert!(known.len() > 2, "{dot}");
    }
}
