//! The tensors that a layer computed, by name.

use super::random::Random;
use crate::MixerState;
use crate::state::{StateMapper, StatePart};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Gradients, Tensor, TensorData};
use std::collections::BTreeMap;

/// Outputs, states and gradients of one computation.
#[derive(Default)]
pub(super) struct Outcome(BTreeMap<String, Vec<f64>>);

impl Outcome {
    /// Records `tensor` under `name`.
    pub fn put<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>) {
        self.put_data(name, tensor.to_data());
    }

    /// Records the gradient of `tensor` under `d_{name}`; zeros where nothing flowed into it.
    pub fn put_gradient<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>, gradients: &Gradients) {
        let gradient = tensor.grad(gradients).unwrap_or_else(|| tensor.clone().inner().zeros_like());
        self.put_data(&format!("d_{name}"), gradient.into_data());
    }

    /// Records every tensor of `state`.
    pub fn put_state<S: MixerState>(&mut self, state: &S) {
        struct Put<'a>(&'a mut Outcome);
        impl Visit for Put<'_> {
            fn visit<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
                self.0.put(&format!("state.{name}"), &tensor);
                tensor
            }
        }
        state.clone().map_state(&mut Walk(Put(self)));
    }

    /// Records the gradient of every tensor of the initial `state`.
    pub fn put_state_gradients<S: MixerState>(&mut self, state: &S, gradients: &Gradients) {
        struct Put<'a>(&'a mut Outcome, &'a Gradients);
        impl Visit for Put<'_> {
            fn visit<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
                self.0.put_gradient(&format!("initial.{name}"), &tensor, self.1);
                tensor
            }
        }
        state.clone().map_state(&mut Walk(Put(self, gradients)));
    }

    /// Records the gradient of every parameter under its path.
    pub fn put_parameter_gradients<M: Module>(&mut self, module: &M, gradients: &Gradients) {
        struct Put<'a> {
            outcome: &'a mut Outcome,
            gradients: &'a Gradients,
            path: Vec<String>,
        }
        impl ModuleVisitor for Put<'_> {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.path.push(name.to_string());
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.path.pop();
            }
            fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
                self.outcome.put_gradient(&self.path.join("."), &parameter.val(), self.gradients);
            }
        }
        module.visit(&mut Put { outcome: self, gradients, path: Vec::new() });
    }

    fn put_data(&mut self, name: &str, data: TensorData) {
        let values = data.convert::<f64>().try_to_vec().expect("the tensor holds floats");
        self.0.insert(name.to_string(), values);
    }

    /// Panics unless both have the same names and agree within `tolerance` of each tensor's largest element.
    #[track_caller]
    pub fn assert_close(&self, wanted: &Self, tolerance: f64, case: &str) {
        assert!(self.0.keys().eq(wanted.0.keys()), "{case}: the two runs have tensors of different names.");
        for (name, wanted) in &wanted.0 {
            let found = &self.0[name];
            assert_eq!(found.len(), wanted.len(), "{case}: `{name}` differs in size.");
            let largest = wanted.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
            let scale = if largest == 0.0 { 1.0 } else { largest };
            for (a, b) in found.iter().zip(wanted) {
                // A comparison with NaN is false, so NaN does not pass.
                let error = (a - b).abs() / scale;
                assert!(
                    error <= tolerance,
                    "{case}: `{name}` differs by {error:e} of its largest element, more than {tolerance:e}."
                );
            }
        }
    }
}

/// `state` with every tensor a leaf whose gradient is recorded.
pub(super) fn tracked<S: MixerState>(state: S) -> S {
    struct Track;
    impl Visit for Track {
        fn visit<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
            tensor.require_grad()
        }
    }
    state.map_state(&mut Walk(Track))
}

/// `loss + Σ state · cotangent`, with random cotangents that the seed fixes.
pub(super) fn state_loss<S: MixerState>(state: &S, seed: u64, loss: Tensor<1>) -> Tensor<1> {
    struct Score(Random, Tensor<1>);
    impl Visit for Score {
        fn visit<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
            let cotangent = self.0.uniform(tensor.dims());
            self.1 = self.1.clone() + (tensor.clone() * cotangent).sum();
            tensor
        }
    }
    let mut walk = Walk(Score(Random::new(seed, &loss.device()), loss));
    state.clone().map_state(&mut walk);
    walk.0.1
}

/// Walks a state with a function for tensors of any rank.
struct Walk<F>(F);

trait Visit {
    fn visit<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D>;
}

impl<F: Visit> StateMapper for Walk<F> {
    fn tensor<const D: usize>(&mut self, name: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        self.0.visit(name, tensor)
    }

    fn mask(&mut self, _: &str, mask: Option<Tensor<2, Bool>>) -> Option<Tensor<2, Bool>> {
        mask
    }
}
