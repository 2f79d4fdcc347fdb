#![doc = include_str!("README.md")]

#[cfg(feature = "cube")]
mod blocks;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(all(feature = "cube", feature = "fusion"))]
mod fusion;
#[cfg(feature = "cube")]
mod gpu;
mod tokens;

#[cfg(feature = "flex")]
pub(crate) use cpu::{BLOCK, STRIP};

use super::options::NeuralMemoryState;
use super::problem::Problem;
use crate::kernel::Kernel;
use burn::tensor::{Device, Tensor};

/// The kernel that `device` has for a memory of so many layers, if any.
pub(super) fn on(device: &Device, layers: usize) -> Option<Kernel> {
    Kernel::on(device).filter(|kernel| *kernel == Kernel::Cpu || layers == 1)
}

/// Runs the kernel of the device that the tensors are on.
pub(super) fn run(problem: Problem) -> (Tensor<4>, NeuralMemoryState) {
    let Problem { query, key, value, .. } = &problem;
    // The answers to the keys of a residual memory are greater by these, and so are those to the queries.
    let residual = problem.network.residual;
    let value = if residual { value.clone() - key.clone() } else { value.clone() };
    let added = residual.then(|| query.clone());
    let kernel = Kernel::on(&query.device());

    let problem = Problem { value, ..problem };
    let (output, state) = match kernel {
        #[cfg(feature = "cube")]
        Some(Kernel::Gpu) => blocks::run(problem),
        _ => tokens::run(problem),
    };
    match added {
        Some(query) => (output + query, state),
        None => (output, state),
    }
}
