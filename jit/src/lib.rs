//! Unstable: a part of Kiln, which may change with every release.
//!
//! One straight line of operations in, code for vectors of 128, 256 or 512 bits out, with a library
//! of mathematical functions of about 1 ULP.
//!
//! | module | |
//! |---|---|
//! | [`vir`] | the routine: some 30 primitives on one lane; its builder, text, verifier and interpreter |
//! | [`math`] | functions made of primitives: `exp`, `sin`, `erf`, `pow`, quotients of integers, .. |
//! | [`emit`] | a routine becomes [`Code`](emit::Code): by AVX-512, by AVX2, by Cranelift, by the interpreter, with the same bits |
//! | [`cpu`] | what the processor can do |
//!
//! ```
//! use kiln_jit::cpu::Cpu;
//! use kiln_jit::emit::{EmitterKind, Operand, compile};
//! use kiln_jit::math::{self, Tier};
//! use kiln_jit::vir::{Builder, Storage};
//!
//! // x * tanh(x)
//! let mut b = Builder::new();
//! let x = b.input(Storage::F32);
//! let tanh = math::tanh(&mut b, Tier::Default, x);
//! let product = b.mul(x, tanh);
//! b.output(product, Storage::F32);
//! let code = compile(&b.finish(), EmitterKind::Auto, Cpu::host())?;
//!
//! let x: Vec<u8> = (0..64).flat_map(|i| (i as f32).to_ne_bytes()).collect();
//! let mut y = vec![0; x.len()];
//! code.apply(64, &[Operand::Array(&x)], &mut [&mut y]);
//! assert_eq!(y[4..8], 0.7615942f32.to_ne_bytes());
//! # Ok::<(), kiln_jit::emit::EmitError>(())
//! ```

pub mod cpu;
pub mod emit;
pub mod math;
pub mod vir;
