//! Rung 3: gradients against central finite differences in f64.

use super::case::{Case, KINDS, shape};
use burn::tensor::Tensor;
use seqzoo::ops::Form;
use seqzoo::ops::linear_attention::{Decay, LinearAttentionState};
use seqzoo_tests::{Inputs, autodiff};

/// `case` with every input moved by `step` along a fixed random direction, and the direction's
/// product with the gradients in `outcome`.
fn moved(case: &Case, step: f64) -> Case {
    let mut directions = Inputs::new(77, &autodiff());
    let mut shift4 = |x: &Tensor<4>| x.clone() + directions.uniform(x.dims()) * step;
    let mut moved = case.clone();
    moved.query = shift4(&case.query);
    moved.key = shift4(&case.key);
    moved.value = shift4(&case.value);
    let memory = case.state.as_ref().map(|state| shift4(&state.memory));
    moved.decay = match &case.decay {
        Decay::Vector(log) => Decay::Vector(shift4(log)),
        Decay::None => Decay::None,
        Decay::PerHead(log) => Decay::PerHead(log.clone() + directions.uniform(log.dims()) * step),
        Decay::Scalar(log) => Decay::Scalar(log.clone() + directions.uniform(log.dims()) * step),
    };
    moved.state = case.state.as_ref().map(|state| LinearAttentionState {
        memory: memory.unwrap(),
        key_sum: state.key_sum.as_ref().map(|sum| sum.clone() + directions.uniform(sum.dims()) * step),
    });
    moved
}

fn loss(case: &Case, form: Form) -> f64 {
    let (output, state) = case.output(form);
    case.loss(output, state).into_scalar::<f64>()
}

#[test]
fn gradients_equal_finite_differences() {
    for form in [Form::Naive, Form::Chunked { size: 4 }, Form::Kernel] {
        for kind in KINDS {
            for normalised in [false, true] {
                let mut case = Case::random(kind, &shape(11), normalised, 12, &autodiff());
                case.resets = Some(Inputs::new(2, &autodiff()).flags([3, 11], 0.1));
                let outcome = case.clone().outcome(form);

                let step = 1e-5;
                let numeric =
                    (loss(&moved(&case, step), form) - loss(&moved(&case, -step), form)) / (2.0 * step);

                // The directions, recovered as a difference of moved inputs, meet the gradients.
                let (unit, origin) = (moved(&case, 1.0), &case);
                let mut analytic = 0.0;
                let mut add = |name: &str, to: Vec<f64>, from: Vec<f64>| {
                    let gradient = outcome.values(name);
                    analytic +=
                        gradient.iter().zip(to.iter().zip(&from)).map(|(g, (a, b))| g * (a - b)).sum::<f64>();
                };
                let flat4 = |x: &Tensor<4>| x.to_data().try_to_vec::<f64>().unwrap();
                add("d_q", flat4(&unit.query), flat4(&origin.query));
                add("d_k", flat4(&unit.key), flat4(&origin.key));
                add("d_v", flat4(&unit.value), flat4(&origin.value));
                let (to, from) = (unit.state.unwrap(), origin.state.clone().unwrap());
                add("d_initial_state", flat4(&to.memory), flat4(&from.memory));
                if let (Some(to), Some(from)) = (to.key_sum, from.key_sum) {
                    let flat = |x: Tensor<3>| x.into_data().try_to_vec::<f64>().unwrap();
                    add("d_initial_z", flat(to), flat(from));
                }
                match (&unit.decay, &origin.decay) {
                    (Decay::Vector(to), Decay::Vector(from)) => add("d_gk", flat4(to), flat4(from)),
                    (Decay::Scalar(to), Decay::Scalar(from)) => {
                        let flat = |x: &Tensor<3>| x.to_data().try_to_vec::<f64>().unwrap();
                        add("d_g", flat(to), flat(from));
                    }
                    (Decay::PerHead(to), Decay::PerHead(from)) => {
                        let flat = |x: &Tensor<1>| x.to_data().try_to_vec::<f64>().unwrap();
                        add("d_g", flat(to), flat(from));
                    }
                    _ => {}
                }
                let error = (numeric - analytic).abs() / numeric.abs().max(1.0);
                assert!(error < 1e-7, "{kind:?} {form:?}: {numeric} and {analytic}");
            }
        }
    }
}
