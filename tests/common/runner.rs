//! Which emitters run, and how: on the machine where it can, else on the processor of software.

use crate::emulation;
use kiln::EmitterKind;
use kiln::internals::cpu::Cpu;
use kiln::internals::emit::{self, Code};
use kiln::internals::vir::Routine;
use std::sync::OnceLock;

/// What executes the code of an emitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// This machine, or the interpreter.
    Native(EmitterKind),
    /// `tools/emulate`.
    Emulated(EmitterKind),
}

impl Runner {
    pub fn kind(self) -> EmitterKind {
        match self {
            Runner::Native(kind) | Runner::Emulated(kind) => kind,
        }
    }

    /// The code of `program`.
    pub fn code(self, program: &Routine) -> Code {
        match self {
            Runner::Native(kind) => emit::compile(program, kind, Cpu::host()).unwrap(),
            Runner::Emulated(kind) => emulation::compile(program, kind),
        }
    }
}

/// Every emitter of this build. `KILN_EMULATE=avx512,avx2` has these emulated though the machine could run them;
/// `KILN_REQUIRE=avx512` fails unless the machine runs it. Says once which do what.
pub fn runners() -> &'static [Runner] {
    static RUNNERS: OnceLock<Vec<Runner>> = OnceLock::new();
    RUNNERS.get_or_init(|| {
        let runners = choose(Cpu::host(), &listed("KILN_EMULATE"));
        println!("{}", describe(&runners));
        let missing = missing(&runners, &listed("KILN_REQUIRE"));
        assert!(missing.is_empty(), "KILN_REQUIRE: this machine does not run {missing:?}");
        let emulated = |runner: &Runner| matches!(runner, Runner::Emulated(_));
        let kinds: Vec<_> =
            runners.iter().filter(|runner| emulated(runner)).map(|runner| runner.kind()).collect();
        // Kernels of the whole pipeline, too.
        emulation::stand_in_for(&kinds);
        runners
    })
}

/// The emitters that [`compile_with`](kiln::compile_with) can be asked for, every one.
pub fn kinds() -> Vec<EmitterKind> {
    runners().iter().map(|runner| runner.kind()).collect()
}

/// The emitters that a variable names.
fn listed(variable: &str) -> Vec<EmitterKind> {
    let text = std::env::var(variable).unwrap_or_default();
    let names = text.split(',').filter(|name| !name.is_empty());
    names.map(|name| name.parse().unwrap_or_else(|e| panic!("{variable}: {e}"))).collect()
}

/// Whether this build has the emitter.
pub fn is_built(kind: EmitterKind) -> bool {
    match kind {
        EmitterKind::Avx512 | EmitterKind::Avx2 => cfg!(feature = "x86"),
        EmitterKind::Cranelift => cfg!(feature = "cranelift"),
        _ => true,
    }
}

/// How each emitter of this build runs on such a machine, with some `emulated` in any case.
pub fn choose(cpu: Cpu, emulated: &[EmitterKind]) -> Vec<Runner> {
    let kinds = EmitterKind::ALL.into_iter().filter(|&kind| kind != EmitterKind::Auto);
    let runner = |kind| {
        let native = match kind {
            EmitterKind::Avx512 => cpu.avx512,
            EmitterKind::Avx2 => cpu.avx2,
            _ => return Runner::Native(kind),
        };
        match native && !emulated.contains(&kind) {
            true => Runner::Native(kind),
            false => Runner::Emulated(kind),
        }
    };
    kinds.filter(|&kind| is_built(kind)).map(runner).collect()
}

/// Those of `required` that do not run on the machine.
pub fn missing(runners: &[Runner], required: &[EmitterKind]) -> Vec<EmitterKind> {
    let native = |kind: &EmitterKind| runners.contains(&Runner::Native(*kind));
    required.iter().copied().filter(|kind| !native(kind)).collect()
}

/// One line.
pub fn describe(runners: &[Runner]) -> String {
    let names = |emulated: bool| -> String {
        let fits = |r: &&Runner| matches!(r, Runner::Emulated(_)) == emulated;
        let names: Vec<&str> =
            runners.iter().filter(fits).map(|runner| runner.kind().name()).collect();
        if names.is_empty() { "none".to_string() } else { names.join(", ") }
    };
    format!("emitters: native {}; emulated {}", names(false), names(true))
}
