//! Which technique for which workload: characteristics as data, and a score of one against the other.

use std::fmt;

/// How much of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Degree {
    None,
    Low,
    Medium,
    High,
    VeryHigh,
}

/// A kind of work that kernels are for, and what it asks for. [`Workload::ALL`] has five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// How short memory and its bandwidth are.
    pub memory_pressure: Degree,
    /// Whether somebody waits for each call.
    pub latency_sensitive: bool,
    /// Whether results must not drift or fail: how little risk is tolerated.
    pub stability_critical: bool,
    /// How fast code has to be written and changed.
    pub development_speed: Degree,
    /// How different the machines are that it has to run on.
    pub hardware_variety: Degree,
}

/// A way to make it faster, and what it is like where one does it by hand. [`Technique::ALL`] has four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Technique {
    /// What it is called.
    pub name: &'static str,
    /// How much memory, or traffic to it, it saves.
    pub memory_benefit: Degree,
    /// How much of the time of a call it saves.
    pub latency_benefit: Degree,
    /// How easily it changes results.
    pub risk: Degree,
    /// How much work it is.
    pub cost: Degree,
    /// How much of the gain depends on the machine.
    pub hardware_dependence: Degree,
}

/// What speaks for a technique, and what against it, criterion by criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// 2 where memory is short (high or more) and the technique saves at least a medium amount.
    pub memory: i32,
    /// 2 where somebody waits and the technique saves at least a medium amount of time.
    pub latency: i32,
    /// Where stability is critical: 1 for a low risk or none, -1 for a high one.
    pub risk: i32,
    /// Where code has to be written fast: 1 for a low cost or none, -1 for a high one.
    pub cost: i32,
    /// Where machines differ much (high or more): 1 if the gain depends on them by a medium degree or less,
    /// -2 if by more.
    pub hardware: i32,
}

/// How urgent a technique is for a workload, by the total of its [`Score`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Below 0: more speaks against it than for it.
    Skip,
    /// 0.
    Low,
    /// 1 or 2.
    Medium,
    /// 3 or more.
    High,
}

/// Every workload against every technique. `Display` is the table, and below it in which order to try
/// techniques and what decides.
///
/// ```
/// use kiln::profile::{Priorities, Priority, Workload};
///
/// let edge = Workload::ALL.iter().find(|workload| workload.name == "edge").unwrap();
/// let ranked = edge.ranked();
/// assert_eq!((ranked[0].0.name, ranked[0].1.priority()), ("fusion", Priority::High));
/// println!("{Priorities}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Priorities;

use Degree::{High, Low, Medium, None, VeryHigh};

/// A workload of [`Workload::ALL`]: name, memory pressure, whether latency and stability matter,
/// development speed, variety of hardware.
const fn workload(
    name: &'static str,
    memory_pressure: Degree,
    [latency_sensitive, stability_critical]: [bool; 2],
    [development_speed, hardware_variety]: [Degree; 2],
) -> Workload {
    Workload {
        name,
        memory_pressure,
        latency_sensitive,
        stability_critical,
        development_speed,
        hardware_variety,
    }
}

impl Workload {
    /// All of them.
    pub const ALL: [Workload; 5] = [
        workload("research training", Medium, [false, false], [High, High]),
        workload("production training", High, [false, true], [Medium, Low]),
        workload("real-time inference", Medium, [true, true], [Low, Medium]),
        workload("edge", VeryHigh, [true, true], [Low, VeryHigh]),
        workload("batch inference", Low, [false, true], [Medium, Low]),
    ];

    /// How well a technique suits it.
    pub fn score(&self, technique: &Technique) -> Score {
        let saves = |needed: bool, benefit: Degree| if needed && benefit >= Medium { 2 } else { 0 };
        // For what is low, against what is high.
        let weighed = |matters: bool, degree: Degree| match degree {
            None | Low if matters => 1,
            High | VeryHigh if matters => -1,
            _ => 0,
        };
        Score {
            memory: saves(self.memory_pressure >= High, technique.memory_benefit),
            latency: saves(self.latency_sensitive, technique.latency_benefit),
            risk: weighed(self.stability_critical, technique.risk),
            cost: weighed(self.development_speed >= High, technique.cost),
            hardware: match (self.hardware_variety >= High, technique.hardware_dependence) {
                (false, _) => 0,
                (true, None | Low | Medium) => 1,
                (true, High | VeryHigh) => -2,
            },
        }
    }

    /// All techniques, the one that suits it best first; of equal ones that which comes first in
    /// [`Technique::ALL`].
    pub fn ranked(&self) -> Vec<(&'static Technique, Score)> {
        let mut ranked: Vec<(&Technique, Score)> =
            Technique::ALL.iter().map(|technique| (technique, self.score(technique))).collect();
        ranked.sort_by_key(|(_, score)| -score.total());
        ranked
    }
}

/// A technique of [`Technique::ALL`]: name, what it saves of memory and of time, its risk, its cost,
/// how much it depends on the machine.
const fn technique(
    name: &'static str,
    [memory_benefit, latency_benefit]: [Degree; 2],
    [risk, cost, hardware_dependence]: [Degree; 3],
) -> Technique {
    Technique { name, memory_benefit, latency_benefit, risk, cost, hardware_dependence }
}

impl Technique {
    /// All of them, in the order in which to try them: from the least work to the most.
    pub const ALL: &'static [Technique] = &[
        technique("vectorisation", [None, High], [None, Low, Low]),
        technique("fusion", [Medium, Medium], [Low, Medium, Medium]),
        technique("narrower storage", [High, High], [High, High, High]),
        technique("graph rewriting", [Medium, VeryHigh], [Low, VeryHigh, VeryHigh]),
    ];
}

impl Score {
    /// All criteria together.
    pub fn total(&self) -> i32 {
        self.memory + self.latency + self.risk + self.cost + self.hardware
    }

    /// What follows of the total.
    pub fn priority(&self) -> Priority {
        match self.total() {
            3.. => Priority::High,
            1.. => Priority::Medium,
            0 => Priority::Low,
            _ => Priority::Skip,
        }
    }
}

impl fmt::Display for Degree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            None => "none",
            Low => "low",
            Medium => "medium",
            High => "high",
            VeryHigh => "very high",
        })
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Priority::Skip => "skip",
            Priority::Low => "low",
            Priority::Medium => "medium",
            Priority::High => "high",
        })
    }
}

impl fmt::Display for Priorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = || Technique::ALL.iter().map(|technique| technique.name);
        write!(f, "{:19}", "")?;
        names().try_for_each(|name| write!(f, "  {name:>18}"))?;
        writeln!(f)?;
        for workload in &Workload::ALL {
            write!(f, "{:19}", workload.name)?;
            for score in Technique::ALL.iter().map(|technique| workload.score(technique)) {
                let cell = format!("{} {:+}", score.priority(), score.total());
                write!(f, "  {cell:>18}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "\nphases, from the least work to the most")?;
        for (phase, technique) in (1..).zip(Technique::ALL) {
            let Technique { name, risk, cost, hardware_dependence, .. } = technique;
            writeln!(
                f,
                "  {phase}. {name:18}  cost {cost}, risk {risk}, dependence on hardware \
                 {hardware_dependence}"
            )?;
        }
        writeln!(f, "\nkey factors")?;
        let mut factor = |what: &str, verdict: &str, is_so: fn(&Technique) -> bool| {
            let names = Technique::ALL.iter().filter(|technique| is_so(technique));
            let names: Vec<&str> = names.map(|technique| technique.name).collect();
            writeln!(f, "  {what:23}  {verdict:8} {}", names.join(", "))
        };
        factor("memory is short", "for", |technique| technique.memory_benefit >= Medium)?;
        factor("somebody waits", "for", |technique| technique.latency_benefit >= Medium)?;
        factor("stability is critical", "against", |technique| technique.risk >= High)?;
        factor("code is to be done fast", "against", |technique| technique.cost >= High)?;
        factor("machines differ", "against", |technique| technique.hardware_dependence >= High)
    }
}

#[cfg(test)]
mod tests {
    use super::{Priority, Score, Technique, Workload};

    /// By hand: benefit against need, risk against tolerance, cost against speed, dependence against
    /// variety.
    #[test]
    fn scores_are_those_computed_by_hand() {
        let score = |workload: &str, technique: &str| {
            let workload = Workload::ALL.iter().find(|known| known.name == workload).unwrap();
            let technique = Technique::ALL.iter().find(|known| known.name == technique).unwrap();
            let Score { memory, latency, risk, cost, hardware } = workload.score(technique);
            [memory, latency, risk, cost, hardware]
        };
        assert_eq!(score("edge", "fusion"), [2, 2, 1, 0, 1]);
        assert_eq!(score("edge", "narrower storage"), [2, 2, -1, 0, -2]);
        assert_eq!(score("edge", "vectorisation"), [0, 2, 1, 0, 1]);
        assert_eq!(score("research training", "graph rewriting"), [0, 0, 0, -1, -2]);
        assert_eq!(score("research training", "vectorisation"), [0, 0, 0, 1, 1]);
        assert_eq!(score("production training", "fusion"), [2, 0, 1, 0, 0]);
        assert_eq!(score("batch inference", "narrower storage"), [0, 0, -1, 0, 0]);
    }

    #[test]
    fn the_whole_table() {
        use Priority::{High, Medium, Skip};
        let row = |workload: &Workload| {
            let score = |technique| {
                let score: Score = workload.score(technique);
                (score.total(), score.priority())
            };
            Technique::ALL.iter().map(score).collect::<Vec<_>>()
        };
        let expected = [
            [(2, Medium), (1, Medium), (-3, Skip), (-3, Skip)],
            [(1, Medium), (3, High), (1, Medium), (3, High)],
            [(3, High), (3, High), (1, Medium), (3, High)],
            [(4, High), (6, High), (1, Medium), (3, High)],
            [(1, Medium), (1, Medium), (-1, Skip), (1, Medium)],
        ];
        assert_eq!(Workload::ALL.each_ref().map(row), expected);
    }

    #[test]
    fn a_total_is_a_priority() {
        let of = |memory| Score { memory, latency: 0, risk: 0, cost: 0, hardware: 0 }.priority();
        assert_eq!(
            [-1, 0, 1, 2, 3].map(of),
            [Priority::Skip, Priority::Low, Priority::Medium, Priority::Medium, Priority::High]
        );
    }

    #[test]
    fn techniques_are_tried_from_the_least_work_on() {
        assert!(Technique::ALL.is_sorted_by_key(|technique| technique.cost));
        let names = Workload::ALL[3].ranked().into_iter().map(|(technique, _)| technique.name);
        let edge = ["fusion", "vectorisation", "graph rewriting", "narrower storage"];
        assert!(names.eq(edge));
    }
}
