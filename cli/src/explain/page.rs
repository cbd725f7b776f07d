//! What a page shows of a kernel, and the sizes of `--shape` for it.

use super::Explain;
use crate::bench::random;
use crate::failure::Failure;
use crate::html::{Finding, Page};
use crate::machine::{self, Machine};
use crate::shapes::shapes_of;
use kiln::explain::{Stage, explain, prove, separations};
use kiln::ir::{Dim, Input, NodeId};
use kiln::profile::{Profiler, Race, Resources, Roofline};
use kiln::{CompileOptions, Graph, Tensor, View, compile_with};
use kiln_picture::Picture;
use std::time::Duration;

impl Explain {
    /// The kernel declared with the sizes of `--shape`, if there are any.
    pub(super) fn sized(&self, graph: &Graph) -> Result<Option<Graph>, Failure> {
        if self.shape.is_empty() {
            return Ok(None);
        }
        let shapes = shapes_of(graph, &self.shape)?;
        let sized = |(input, shape): (&Input, Vec<usize>)| Input {
            dims: Some(shape.into_iter().map(Dim::Size).collect()),
            ..input.clone()
        };
        let inputs: Vec<Input> = graph.inputs().iter().zip(shapes).map(sized).collect();
        let mut result = Graph::with_inputs(graph.name(), &inputs);
        let ids: Vec<NodeId> = (0..inputs.len()).map(|at| result.input_node(at)).collect();
        let outputs = result.copy_graph(graph, &ids);
        let outputs = outputs
            .map_err(|fault| Failure::Failed(format!("these shapes do not fit: {fault}")))?;
        outputs.into_iter().for_each(|output| result.output(output));
        Ok(Some(result.with_notes_of(graph)))
    }

    /// The page of a kernel.
    pub(super) fn page<'a>(
        &self,
        graph: &'a Graph,
        picture: &'a Picture,
    ) -> Result<Page<'a>, Failure> {
        let of = |stage| explain(graph, self.mode, stage).map_err(Failure::from);
        let algebra = "after:algebra".parse().expect("it is a pass");
        let mut shown = vec![Stage::Ir, algebra, Stage::Fused, Stage::Vir];
        let asked: Vec<Stage> = match self.all {
            true => Stage::all().into_iter().map(|(stage, _)| stage).collect(),
            false => self.stage.clone(),
        };
        // What has a section of its own is not among the stages.
        let has_section = [Stage::Proof, Stage::Why, Stage::Counts];
        let more = asked.into_iter().filter(|stage| !has_section.contains(stage));
        for stage in more {
            if !shown.contains(&stage) {
                shown.push(stage);
            }
        }
        let titled = |stage: Stage| Ok((stage.title(self.mode), self.text(graph, stage)?));
        let mut stages: Vec<(String, String)> =
            shown.into_iter().map(titled).collect::<Result<_, Failure>>()?;
        let is_measured = !self.shape.is_empty();
        stages.push(match is_measured {
            true => ("plan of this call".into(), self.call(graph)?.to_string()),
            false => ("plan".into(), steps(&of(Stage::Why)?)),
        });
        Ok(Page {
            graph,
            mode: self.mode,
            picture,
            proof: prove(graph, self.mode),
            stages,
            separations: separations(graph, self.mode),
            counts: of(Stage::Counts)?,
            measured: if is_measured { self.measured(graph)? } else { Vec::new() },
        })
    }

    /// Fused against unfused, in one race, and under the roofs of this machine if they are asked for.
    fn measured(&self, graph: &Graph) -> Result<Vec<Finding>, Failure> {
        let shapes = shapes_of(graph, &self.shape)?;
        let seeded = graph.inputs().iter().zip(&shapes).zip(1..);
        let arrays: Vec<Tensor> = seeded
            .map(|((input, shape), seed)| random(input.dtype, shape, seed))
            .collect::<Result<_, _>>()?;
        let views: Vec<View<'_>> = arrays.iter().map(Tensor::view).collect();
        let kernel = |options: CompileOptions| {
            compile_with(graph, options.mode(self.mode).emitter(self.emitter))
        };
        let (unfused, fused) = (kernel(CompileOptions::unfused())?, kernel(CompileOptions::new())?);
        let mut race = Race::new();
        for (name, kernel) in [("unfused", &unfused), ("fused", &fused)] {
            race.add(Profiler::new(name, kernel, &views).map_err(failed)?);
        }
        let profiles = race.run_for(Duration::from_secs(1)).map_err(failed)?;
        let mut findings = vec![
            Finding::Words(format!("{}.", profiles.compare(1, 0))),
            Finding::Words(format!("On {}, {}.", Machine::host(), machine::now())),
            Finding::Table(profiles.to_string()),
            Finding::Table(profiles[1].to_string()),
        ];
        if self.files.roofline {
            let roofline = Roofline::measure().map_err(failed)?;
            findings.extend(profiles.iter().zip([&unfused, &fused]).map(|(profile, kernel)| {
                let placed = roofline.place(profile, Resources::of(kernel, roofline.threads()));
                Finding::Words(format!("{placed}."))
            }));
            findings.push(Finding::Table(roofline.to_string()));
        }
        Ok(findings)
    }
}

fn failed(error: kiln::profile::ProfileError) -> Failure {
    Failure::Failed(error.to_string())
}

/// The steps of `kiln explain --stage why`, without the reasons.
fn steps(why: &str) -> String {
    let lines = why.lines().take_while(|line| *line != "because");
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}
