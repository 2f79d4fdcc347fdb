//! States as data of a test: randomised, tracked, scored and recorded.

use crate::{Inputs, Outcome};
use burn::tensor::{Bool, Gradients, Tensor};
use seqzoo::MixerState;
use seqzoo::state::{StateMapper, StatePart};

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

/// `state` with every tensor replaced by random numbers.
pub fn randomised<S: MixerState>(state: S, inputs: &mut Inputs) -> S {
    struct Random<'a>(&'a mut Inputs);
    impl Visit for Random<'_> {
        fn visit<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
            // A key sum is a sum of positive features.
            let low = if name.ends_with("key_sum") { 0.1 } else { -1.0 };
            self.0.between(tensor.dims(), low, 1.0)
        }
    }
    state.map_state(&mut Walk(Random(inputs)))
}

/// `state` with every tensor a leaf whose gradient is recorded.
pub fn tracked<S: MixerState>(state: S) -> S {
    struct Track;
    impl Visit for Track {
        fn visit<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
            tensor.require_grad()
        }
    }
    state.map_state(&mut Walk(Track))
}

/// `Σ state · cotangent`, with random cotangents that the seed fixes.
pub fn state_loss<S: MixerState>(state: &S, seed: u64, loss: Tensor<1>) -> Tensor<1> {
    struct Score(Inputs, Tensor<1>);
    impl Visit for Score {
        fn visit<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
            let cotangent = self.0.uniform(tensor.dims());
            self.1 = self.1.clone() + (tensor.clone() * cotangent).sum();
            tensor
        }
    }
    let mut walk = Walk(Score(Inputs::new(seed, &loss.device()), loss));
    state.clone().map_state(&mut walk);
    walk.0.1
}

/// Records every tensor of `state`.
pub fn put_state<S: MixerState>(outcome: &mut Outcome, state: &S) {
    struct Put<'a>(&'a mut Outcome);
    impl Visit for Put<'_> {
        fn visit<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
            self.0.put(&format!("state.{name}"), &tensor);
            tensor
        }
    }
    state.clone().map_state(&mut Walk(Put(outcome)));
}

/// Records the gradient of every tensor of the initial `state`.
pub fn state_gradients<S: MixerState>(outcome: &mut Outcome, state: &S, gradients: &Gradients) {
    struct Put<'a>(&'a mut Outcome, &'a Gradients);
    impl Visit for Put<'_> {
        fn visit<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
            self.0.put_gradient(&format!("initial.{name}"), &tensor, self.1);
            tensor
        }
    }
    state.clone().map_state(&mut Walk(Put(outcome, gradients)));
}
