//! What becomes of a kernel, as one page: no network, no other file, every text escaped.

mod proof;

use kiln::explain::{Proof, Separation};
use kiln::{Graph, Mode};
use kiln_picture::markup::escaped;
use kiln_picture::{Picture, STYLE};
use std::fmt::Write as _;

const PAGE_STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The most bytes that a page shows of a text.
const MOST_TEXT: usize = 256 << 10;

/// What a page shows.
pub(crate) struct Page<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) mode: Mode,
    pub(crate) picture: &'a Picture,
    /// Nothing where the program is too large to be proved.
    pub(crate) proof: Option<Proof>,
    /// Titles and texts.
    pub(crate) stages: Vec<(String, String)>,
    pub(crate) separations: Vec<Separation>,
    /// Ops, bytes and costs, before and after.
    pub(crate) counts: String,
    /// What was measured, if anything was.
    pub(crate) measured: Vec<Finding>,
}

/// Something that was measured.
pub(crate) enum Finding {
    /// A sentence.
    Words(String),
    /// Figures in columns.
    Table(String),
}

impl Page<'_> {
    /// The page. Whatever is not measured is the same every time.
    pub(crate) fn html(&self) -> String {
        let name = escaped(self.graph.name());
        let mut sections = vec![
            ("picture", "Before and after", self.figure()),
            ("proof", "What algebra did", self.proof()),
            ("stages", "Stage by stage", self.stages()),
            ("why", "Why these kernels", self.why()),
            ("counts", "Work and memory", text(&self.counts, "Work and memory")),
        ];
        if !self.measured.is_empty() {
            sections.push(("measured", "Measured", self.measured()));
        }
        let links = sections
            .iter()
            .map(|(id, title, _)| format!("<li><a href=\"#{id}\">{title}</a></li>\n"));
        let links: String = links.collect();
        let sections = sections.iter().map(|(id, title, content)| {
            format!(
                "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{content}</section>\n"
            )
        });
        let sections: String = sections.collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>{name} - Kiln</title>\n<style>\n{PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#picture\">Skip to the picture</a>\n\
             <header>\n<h1>{name}</h1>\n<p class=\"faint\">In mode {mode}, {description}.</p>\n\
             <nav aria-label=\"Sections\"><ul>\n{links}</ul></nav>\n</header>\n\
             <main>\n{sections}</main>\n\
             <footer>Made by <code>kiln explain --html</code>, version {version}.</footer>\n\
             <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
            mode = self.mode,
            description = escaped(&self.picture.description()),
            version = env!("CARGO_PKG_VERSION"),
        )
    }

    fn figure(&self) -> String {
        format!(
            "<figure>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Picture\">\n\
             {}</div>\n</figure>\n",
            self.picture.element()
        )
    }

    fn proof(&self) -> String {
        match &self.proof {
            Some(proof) => format!(
                "<p>Each step is a rule that the mode allows: what it found is <span class=\"proof\">\
                 <del>marked</del></span>, and what it put there <span class=\"proof\"><ins>so</ins>\
                 </span>.</p>\n{}",
                proof::proof(proof)
            ),
            None => "<p>The program is too large a tree to prove.</p>\n".to_string(),
        }
    }

    fn stages(&self) -> String {
        let mut html = "<div class=\"stages\">\n".to_string();
        for (title, content) in &self.stages {
            let title = escaped(title);
            let _ = writeln!(
                html,
                "<details open><summary>{title}</summary>\n<pre tabindex=\"0\" role=\"region\" \
                 aria-label=\"{title}\">{}</pre></details>",
                escaped(&shortened(content))
            );
        }
        html + "</div>\n"
    }

    fn measured(&self) -> String {
        let findings = self.measured.iter().map(|finding| match finding {
            Finding::Words(words) => format!("<p>{}</p>\n", escaped(words)),
            Finding::Table(table) => text(table, "Figures"),
        });
        findings.collect()
    }

    fn why(&self) -> String {
        if self.separations.is_empty() {
            return "<p>There is but one: nothing keeps its ops apart.</p>\n".to_string();
        }
        let reasons = self
            .separations
            .iter()
            .map(|separation| format!("<li>{}</li>\n", escaped(&separation.to_string())));
        format!(
            "<p>Each pair of steps that could be one kernel, and why they are two:</p>\n\
             <ul class=\"why\">\n{}</ul>\n",
            reasons.collect::<String>()
        )
    }
}

/// A text in a box, which the keyboard can scroll.
fn text(content: &str, label: &str) -> String {
    format!(
        "<pre class=\"box\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\">{}</pre>\n",
        escaped(&shortened(content))
    )
}

/// Whole lines of a text, as many as a page shows.
fn shortened(text: &str) -> String {
    let text = text.trim_end();
    let start = &text[..text.floor_char_boundary(MOST_TEXT)];
    match start.len() < text.len() {
        true => {
            let (lines, _) = start.rsplit_once('\n').unwrap_or((start, ""));
            format!("{lines}\n.. of {} lines in all", text.lines().count())
        }
        false => text.to_string(),
    }
}
