//! What a walk over blocks leaves, layer by layer.

use burn::tensor::Tensor;

/// A tensor per layer and block.
pub(crate) struct Layers(Vec<Vec<Tensor<4>>>);

impl Layers {
    /// Of `depth` layers, before the first block.
    pub fn new(depth: usize) -> Self {
        Self(vec![Vec::new(); depth])
    }

    /// A block of every layer.
    pub fn push(&mut self, layers: &[Tensor<4>]) {
        self.0.iter_mut().zip(layers).for_each(|(blocks, layer)| blocks.push(layer.clone()));
    }

    /// All blocks of a layer in one tensor, `[b, h, n, _, _]`.
    pub fn stacked(self) -> Vec<Tensor<5>> {
        self.0.into_iter().map(|blocks| Tensor::stack(blocks, 2)).collect()
    }
}
