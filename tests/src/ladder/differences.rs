//! Rung 3: gradients against central finite differences in f64.

use super::change::{Change, Moved};
use super::{Case, Operator, available};
use crate::{Inputs, Outcome, autodiff, values};
use burn::tensor::Tensor;
use seqzoo::ops::Form;

/// `case` with every input moved by `step` along a fixed random direction; cotangents stay.
fn moved<O: Operator>(case: &Case<O>, step: f64) -> Case<O> {
    case.clone().map_inputs(&mut Moved { directions: Inputs::new(77, &autodiff()), step })
}

fn loss<O: Operator>(case: &Case<O>, form: Form) -> f64 {
    let (output, state) = case.run(form);
    case.loss(output, state).into_scalar::<f64>()
}

/// The product of the gradients in `outcome` with the direction of [`moved`].
fn along<O: Operator>(case: &Case<O>, outcome: &Outcome) -> f64 {
    struct Along<'a> {
        outcome: &'a Outcome,
        directions: Inputs,
        prefix: &'static str,
        sum: f64,
    }
    impl Change for Along<'_> {
        fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
            let direction = values(self.directions.uniform(tensor.dims()));
            let gradient = self.outcome.values(&format!("d_{}{name}", self.prefix));
            self.sum += gradient.iter().zip(direction).map(|(gradient, step)| gradient * step).sum::<f64>();
            tensor
        }
    }
    let mut along = Along { outcome, directions: Inputs::new(77, &autodiff()), prefix: "", sum: 0.0 };
    case.inputs.clone().map(&mut along);
    along.prefix = "initial_";
    case.state.clone().map(|state| O::map_state(state, &mut along));
    along.sum
}

pub fn gradients_equal_finite_differences<O: Operator>() {
    for form in available::<O>(&[Form::Naive, Form::Chunked { size: 4 }, Form::Kernel]) {
        for kind in O::KINDS {
            let case = Case::<O>::random(*kind, &O::shape(11), 12, &autodiff()).with_resets(2, 0.1);
            let analytic = along(&case, &case.clone().outcome(form));
            let step = 1e-5;
            let numeric = (loss(&moved(&case, step), form) - loss(&moved(&case, -step), form)) / (2.0 * step);
            let error = (numeric - analytic).abs() / numeric.abs().max(1.0);
            assert!(error < 1e-7, "{kind:?} {form:?}: {numeric} and {analytic}");
        }
    }
}
