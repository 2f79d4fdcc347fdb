//! Walking a state.

use super::Mask;
use burn::tensor::{Device, Int, Tensor};

/// Which kind of memory a tensor of a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatePart {
    /// A recurrent memory.
    Recurrent,
    /// A cache that grows with the tokens, along axis 1.
    Cache,
    /// The last inputs of a convolution. Where the initial state holds none of them, their number is free: axis 1.
    Convolution,
}

/// Visits every field of a state, by name, and replaces it. Axis 0 of every tensor is the batch.
pub trait StateMapper {
    /// A tensor of fixed extents, but for the number of a convolution's inputs.
    fn tensor<const D: usize>(&mut self, name: &str, part: StatePart, tensor: Tensor<D>) -> Tensor<D>;

    /// A cache, whose axis 1 is of any length, also of 0.
    fn cache<const D: usize>(&mut self, name: &str, cache: Tensor<D>) -> Tensor<D> {
        self.tensor(name, StatePart::Cache, cache)
    }

    /// Places counted for each sequence by itself, `[B]`: whole numbers below `end`, such as the place in a chunk of
    /// `end` tokens.
    fn places(&mut self, name: &str, places: Tensor<1>, end: usize) -> Tensor<1> {
        self.fixed(&format!("{name}.end"), end as u64);
        self.tensor(name, StatePart::Recurrent, places)
    }

    /// A mask over a cache. `None`: everything is visible.
    fn mask(&mut self, name: &str, mask: Option<Mask>) -> Option<Mask>;

    /// A number that all sequences share, such as a position; at most 2^53.
    fn number(&mut self, name: &str, number: u64) -> u64 {
        let _ = name;
        number
    }

    /// A number that all states of a layer share.
    fn fixed(&mut self, name: &str, number: u64) {
        let _ = (name, number);
    }

    /// Says whether the fields visited so far fit each other; `problem` where they do not. Only a state
    /// that comes from outside can fail it.
    fn fits(&mut self, holds: bool, problem: &str) {
        let _ = (holds, problem);
    }
}

/// A mapper that puts a prefix before every name, for states made of states.
pub struct Scoped<'a, M> {
    prefix: String,
    inner: &'a mut M,
}

impl<'a, M: StateMapper> Scoped<'a, M> {
    /// Names inside become `{prefix}.{name}`.
    pub fn new(prefix: impl Into<String>, inner: &'a mut M) -> Self {
        Self { prefix: prefix.into(), inner }
    }

    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }
}

impl<M: StateMapper> StateMapper for Scoped<'_, M> {
    fn tensor<const D: usize>(&mut self, name: &str, part: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        self.inner.tensor(&self.name(name), part, tensor)
    }

    fn cache<const D: usize>(&mut self, name: &str, cache: Tensor<D>) -> Tensor<D> {
        self.inner.cache(&self.name(name), cache)
    }

    fn places(&mut self, name: &str, places: Tensor<1>, end: usize) -> Tensor<1> {
        self.inner.places(&self.name(name), places, end)
    }

    fn mask(&mut self, name: &str, mask: Option<Mask>) -> Option<Mask> {
        self.inner.mask(&self.name(name), mask)
    }

    fn number(&mut self, name: &str, number: u64) -> u64 {
        self.inner.number(&self.name(name), number)
    }

    fn fixed(&mut self, name: &str, number: u64) {
        self.inner.fixed(&self.name(name), number);
    }

    fn fits(&mut self, holds: bool, problem: &str) {
        self.inner.fits(holds, &format!("{}: {problem}", self.prefix));
    }
}

pub(super) struct Select(pub Tensor<1, Int>);

impl StateMapper for Select {
    fn tensor<const D: usize>(&mut self, _: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        tensor.select(0, self.0.clone())
    }

    fn mask(&mut self, _: &str, mask: Option<Mask>) -> Option<Mask> {
        mask.map(|mask| mask.int().select(0, self.0.clone()).bool())
    }
}

pub(super) struct Detach;

impl StateMapper for Detach {
    fn tensor<const D: usize>(&mut self, _: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        tensor.detach()
    }

    fn mask(&mut self, _: &str, mask: Option<Mask>) -> Option<Mask> {
        mask
    }
}

pub(super) struct LeaveAutodiff;

impl StateMapper for LeaveAutodiff {
    fn tensor<const D: usize>(&mut self, _: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        tensor.without_autodiff()
    }

    fn mask(&mut self, _: &str, mask: Option<Mask>) -> Option<Mask> {
        mask.map(Tensor::without_autodiff)
    }
}

/// Finds the number of sequences in a state.
#[derive(Default)]
pub(super) struct Batch(pub Option<usize>);

impl StateMapper for Batch {
    fn tensor<const D: usize>(&mut self, _: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        self.0.get_or_insert(tensor.dims()[0]);
        tensor
    }

    fn mask(&mut self, _: &str, mask: Option<Mask>) -> Option<Mask> {
        mask
    }
}

pub(super) struct MoveTo(pub Device);

impl StateMapper for MoveTo {
    fn tensor<const D: usize>(&mut self, _: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        tensor.to_device(&self.0)
    }

    fn mask(&mut self, _: &str, mask: Option<Mask>) -> Option<Mask> {
        mask.map(|mask| mask.to_device(&self.0))
    }
}
