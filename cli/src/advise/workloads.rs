//! `kiln advise --workloads`: the table of the library, as text or as JSON.

use crate::console::Console;
use crate::failure::Failure;
use crate::json;
use kiln::profile::{Priorities, Score, Technique, Workload};
use serde::Serialize;

/// What compilation does of it.
const REMARK: &str = "
A score is benefit against need, risk against tolerance, cost against speed, and dependence against
variety: 3 or more is high, 1 or more medium, 0 low, and below that is to be skipped. It is of
techniques done by hand: Kiln vectorises, fuses and rewrites graphs whenever it compiles, so what is
left to decide is what to store. `kiln advise KERNEL` measures all of them.
";

/// The object that `kiln advise --workloads --json` prints.
#[derive(Serialize)]
struct Object {
    command: &'static str,
    workloads: Vec<Row>,
    techniques: Vec<Characteristics>,
}

#[derive(Serialize)]
struct Row {
    workload: &'static str,
    memory_pressure: String,
    latency_sensitive: bool,
    stability_critical: bool,
    development_speed: String,
    hardware_variety: String,
    /// The one that suits best first.
    techniques: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    technique: &'static str,
    priority: String,
    total: i32,
    memory: i32,
    latency: i32,
    risk: i32,
    cost: i32,
    hardware: i32,
}

/// In the order of phases.
#[derive(Serialize)]
struct Characteristics {
    technique: &'static str,
    memory_benefit: String,
    latency_benefit: String,
    risk: String,
    cost: String,
    hardware_dependence: String,
}

pub(super) fn print(as_json: bool, console: &Console) -> Result<(), Failure> {
    let text = match as_json {
        true => json::print(&object()),
        false => format!("{Priorities}{REMARK}"),
    };
    console.print(&text)
}

fn object() -> Object {
    let cell = |(technique, score): (&'static Technique, Score)| {
        let (priority, total) = (score.priority().to_string(), score.total());
        let Score { memory, latency, risk, cost, hardware } = score;
        Cell { technique: technique.name, priority, total, memory, latency, risk, cost, hardware }
    };
    let row = |workload: &Workload| Row {
        workload: workload.name,
        memory_pressure: workload.memory_pressure.to_string(),
        latency_sensitive: workload.latency_sensitive,
        stability_critical: workload.stability_critical,
        development_speed: workload.development_speed.to_string(),
        hardware_variety: workload.hardware_variety.to_string(),
        techniques: workload.ranked().into_iter().map(cell).collect(),
    };
    let characteristics = |technique: &Technique| Characteristics {
        technique: technique.name,
        memory_benefit: technique.memory_benefit.to_string(),
        latency_benefit: technique.latency_benefit.to_string(),
        risk: technique.risk.to_string(),
        cost: technique.cost.to_string(),
        hardware_dependence: technique.hardware_dependence.to_string(),
    };
    Object {
        command: "advise",
        workloads: Workload::ALL.iter().map(row).collect(),
        techniques: Technique::ALL.iter().map(characteristics).collect(),
    }
}
