//! Burn's gradient checkpointing, which makes some activations again in the backward pass, with our kernels in between.

use crate::small::{VOCABULARY, model, patterns};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor};
use seqzoo::ops::cross_entropy::CrossEntropyOptions;
use seqzoo_tests::values;

/// The gradients of all parameters.
struct Collected<'a> {
    gradients: &'a Gradients,
    all: Vec<Option<Vec<f64>>>,
}

impl ModuleVisitor for Collected<'_> {
    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.all.push(parameter.val().grad(self.gradients).map(values));
    }
}

/// Puts the same numbers on another device.
struct Moved(Device);

impl ModuleMapper for Moved {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = parameter.consume();
        let moved = Tensor::from_data(tensor.into_data(), &self.0).require_grad();
        Param::from_mapped_value(id, moved, mapper)
    }
}

#[test]
fn checkpointing_changes_no_gradient() {
    for pattern in patterns() {
        let drawn = model(pattern.clone(), &Device::flex());
        let of = |device: Device| {
            let model = drawn.clone().map(&mut Moved(device.clone()));
            let tokens: Vec<i32> = (0..2 * 12).map(|i| (i * i + 3 * i) % VOCABULARY as i32).collect();
            let tokens = Tensor::<1, Int>::from_ints(tokens.as_slice(), &device).reshape([2, 12]);
            let (hidden, _) = model.hidden(tokens.clone(), None, None);
            let gradients = model.loss(hidden, tokens, CrossEntropyOptions::default()).backward();
            let mut collected = Collected { gradients: &gradients, all: Vec::new() };
            model.visit(&mut collected);
            assert!(collected.all.iter().flatten().count() > 3, "a model has parameters");
            collected.all
        };
        let device = Device::flex().autodiff();
        assert_eq!(of(device.clone().gradient_checkpointing()), of(device), "{pattern:?}");
    }
}
