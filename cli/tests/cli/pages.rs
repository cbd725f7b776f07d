//! `kiln explain --html`: a page that stands alone. `scripts/check-pages` looks at such pages in a
//! browser.

use super::Desk;

const MLP: &str = "kernel mlp(x: f32[n, d], w: f32[d, h], b: f32[h], v: f32[h, d]) {
    let hidden = gelu_tanh(x @ w + b);
    (hidden @ v + x, hidden)
}";

fn page(desk: &Desk, args: &[&str]) -> String {
    desk.ok(&[&["explain", "--html", "-"], args].concat())
}

/// The content of each element, in order: its name, its attributes, and the text before the next tag.
#[track_caller]
fn elements(html: &str) -> Vec<(&str, &str, &str)> {
    let mut open: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a page");
    while let Some((_, tag)) = rest.split_once('<') {
        let (tag, after) = tag.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "in {:?}", &rest[..rest.len().min(80)]);
            continue;
        }
        let (name, attributes) =
            tag.trim_end_matches('/').split_once([' ', '\n']).unwrap_or((tag, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "<{tag}>");
        assert_eq!(attributes.matches('"').count() % 2, 0, "<{tag}>");
        let is_raw = ["style", "script"].contains(&name);
        if is_raw {
            let (_, after) = rest.split_once(&format!("</{name}>")).expect("it ends");
            rest = after;
        } else if !tag.ends_with('/') && !["meta", "link"].contains(&name) {
            open.push(name);
        }
        found.push((name, attributes, rest.split('<').next().unwrap_or_default()));
    }
    assert!(open.is_empty(), "{open:?} are open");
    found
}

#[test]
fn pages_are_whole_and_the_same_every_time() {
    let desk = Desk::new();
    let kernels =
        ["@gelu_tanh", MLP, "x", "kernel number(x) { 5 }", "(x + 1, x + 1, x)", "i32(x) % 3"];
    for kernel in kernels {
        let html = page(&desk, &[kernel]);
        let found = elements(&html);
        let sections: Vec<&str> =
            found.iter().filter(|(name, ..)| *name == "h2").map(|(.., text)| *text).collect();
        let expected = [
            "Before and after",
            "What algebra did",
            "Stage by stage",
            "Why these kernels",
            "Work and memory",
        ];
        assert_eq!(sections, expected);
        // Nothing comes from elsewhere.
        for (name, attributes, _) in &found {
            let is_outside =
                ["src=", "http:", "https:", "url("].iter().any(|word| attributes.contains(word));
            let may = ["svg", "path"].contains(name);
            assert!(!is_outside || may, "<{name} {attributes}>");
        }
        assert_eq!(html, page(&desk, &[kernel]));
    }
}

#[test]
fn a_page_has_stages_proof_and_reasons() {
    let desk = Desk::new();
    let html = page(&desk, &[MLP]);
    let titles: Vec<&str> = elements(&html)
        .into_iter()
        .filter(|(name, ..)| *name == "summary")
        .map(|(.., text)| text)
        .collect();
    let usual = ["as written", "after algebra", "fused (precise)", "vector programs", "plan"];
    assert_eq!(titles, usual);
    assert!(html.contains("<code>gelu-gate</code>"), "{html}");
    assert!(html.contains("a matmul of it, whose operands") && html.contains("1. kernel of 6 ops"));
    let html = page(&desk, &["exp(x * 1)", "--mode", "strict"]);
    let step = "<pre>exp(<del>x * 1</del>)\nexp(<ins>x</ins>)</pre>";
    assert!(html.contains(step), "{html}");
    let html = page(&desk, &["y / (x * 1)", "--mode", "strict"]);
    assert!(html.contains("y / <del>(x * 1)</del>\ny / <ins>x</ins>"), "{html}");
    // What is asked for is there, too.
    let html = page(&desk, &["x + 1", "--stage", "asm,proof", "--emitter", "avx512"]);
    assert!(html.contains("<summary>machine code</summary>") && html.contains("zmm"), "{html}");
    assert!(!html.contains("<summary>proof</summary>"), "it has a section");
}

/// Kernels may come from strangers.
#[test]
fn text_is_never_markup() {
    let desk = Desk::new();
    let html =
        page(&desk, &["select(x < y & y > 0, x, 1 - x)", "--stage", "vir", "--mode", "fast"]);
    elements(&html);
    assert!(html.contains("x &lt; y") && html.contains("· &lt; ·"), "{html}");
    desk.write("k.kiln", "# </pre><script>alert(1)</script>\nkernel k(script) { script < 1 }");
    let html = page(&desk, &["k.kiln"]);
    let scripts = elements(&html).into_iter().filter(|(name, ..)| *name == "script").count();
    assert_eq!(scripts, 1);
    assert!(!html.contains("alert"));
}

#[test]
fn with_shapes_it_is_measured() {
    let desk = Desk::new();
    let html = page(&desk, &[MLP, "--shape", "n=4,d=8,h=16", "--stage", "vir"]);
    elements(&html);
    for words in [
        "Measured",
        "interleaved rounds",
        "plan of this call",
        "x: f32[4, 8]",
        "FLOP",
        "-bit vectors",
    ] {
        assert!(html.contains(words), "{words} is missing: {html}");
    }
    let faults = desk.transcript(&[
        &["explain", "x + y", "--html", "a.html", "--shape", "x=3"],
        &["explain", "x + y", "--html", "a.html", "--shape", "x=3,y=4"],
        &["explain", "x + y", "--html", "absent/a.html"],
        &["explain", "x + y", "--shape", "x=3,y=3", "--stage", "ir"],
        &["explain", "x + y", "--html", "a.html", "--stage", "nothing"],
        &["explain", "x + y", "--html", "a.html", "--roofline"],
    ]);
    insta::assert_snapshot!("page_faults", faults);
    assert!(desk.names().is_empty());
}
