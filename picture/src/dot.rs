//! Networks as Graphviz text.

use super::network::{End, Kind, Network};
use crate::markup::quoted;
use std::fmt::Write as _;

/// Networks side by side, each a cluster, and each fused kernel a cluster in it.
pub(crate) fn document(name: &str, panels: &[(String, String, &Network)]) -> String {
    let mut text = format!(
        "digraph {} {{\n  rankdir=TB;\n  node [fontname=\"monospace\", fontsize=10, shape=box, style=filled];\n\
         \x20 edge [arrowsize=0.6];\n",
        quoted(name)
    );
    for (at, (title, caption, network)) in panels.iter().enumerate() {
        let title = quoted(&format!("{title}\n{caption}"));
        let _ = writeln!(
            text,
            "  subgraph cluster_{at} {{\n    label={title};\n    color=\"#9aa5b1\";"
        );
        add(network, &format!("n{at}"), "#c9770c", &mut text);
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    text
}

/// The items of a network, whose names begin with `prefix`, and its wires.
fn add(network: &Network, prefix: &str, wires: &str, text: &mut String) {
    for (at, item) in network.items.iter().enumerate() {
        let name = format!("{prefix}_{at}");
        let lines: Vec<&str> =
            std::iter::once(&item.label).chain(&item.notes).map(String::as_str).collect();
        let label = quoted(&lines.join("\n"));
        if let Some(inside) = &item.inside {
            let _ = writeln!(
                text,
                "  subgraph cluster_{name} {{\n    label={label};\n    style=\"filled,rounded\";\n    \
                 fillcolor=\"#fff8ec\";\n    color=\"#c9770c\";"
            );
            add(inside, &name, "#7c8998", text);
            text.push_str("  }\n");
            continue;
        }
        let (shape, fill) = match item.kind {
            Kind::Input => ("oval", "#eef2f7"),
            Kind::Output => ("oval", "#e6f4ea"),
            Kind::Pass => ("box", "#ffedcf"),
            Kind::Op => ("box", "#ffffff"),
            Kind::Load | Kind::Store => ("oval", "#dfeafa"),
        };
        let _ = writeln!(text, "    {name} [label={label}, shape={shape}, fillcolor=\"{fill}\"];");
    }
    for wire in &network.wires {
        let from = node(network, prefix, wire.from, Kind::Store);
        let to = node(network, prefix, wire.to, Kind::Load);
        let _ = writeln!(text, "    {from} -> {to} [color=\"{wires}\"];");
    }
}

/// The node at an end of a wire: of a fused kernel, the load or the store there.
fn node(network: &Network, prefix: &str, End { item, port }: End, kind: Kind) -> String {
    let inner = network.items[item].inside.as_ref();
    match inner.and_then(|inside| inside.of_kind(kind).nth(port)) {
        Some(pin) => format!("{prefix}_{item}_{pin}"),
        None => format!("{prefix}_{item}"),
    }
}
