//! Rung 3: gradients against central finite differences in f64.

use super::case::{Case, KINDS, shape};
use seqzoo::ops::Form;
use seqzoo_tests::{Inputs, Outcome, autodiff};

/// `case` with every input moved by `step` along a fixed random direction; cotangents stay.
fn moved(case: &Case, step: f64) -> Case {
    let mut directions = Inputs::new(77, &autodiff());
    let shifted = case.clone().map(|x| x.clone() + directions.uniform(x.dims()) * step);
    Case {
        output_cotangent: case.output_cotangent.clone(),
        memory_cotangent: case.memory_cotangent.clone(),
        ..shifted
    }
}

fn loss(case: &Case, form: Form) -> f64 {
    let (output, memory) = case.output(form);
    case.loss(output, memory).into_scalar::<f64>()
}

/// The inputs of a case in the order in which [`Case::map`] visits them.
fn inputs(case: &Case) -> Vec<Vec<f64>> {
    let mut all = Vec::new();
    let _ = case.clone().map(|x| {
        all.push(x.to_data().try_to_vec::<f64>().unwrap());
        x
    });
    all.truncate(all.len() - 2); // the cotangents
    all
}

fn along(outcome: &Outcome, unit: &Case, origin: &Case) -> f64 {
    let names = ["d_q", "d_k", "d_v", "d_beta", "d_g", "d_initial_state"];
    let named = names.iter().filter(|name| outcome.names().any(|known| known == **name));
    named
        .zip(inputs(unit).iter().zip(&inputs(origin)))
        .map(|(name, (to, from))| {
            let steps = to.iter().zip(from).map(|(to, from)| to - from);
            outcome.values(name).iter().zip(steps).map(|(gradient, step)| gradient * step).sum::<f64>()
        })
        .sum()
}

#[test]
fn gradients_equal_finite_differences() {
    for form in [Form::Naive, Form::Chunked { size: 4 }, Form::Kernel] {
        for kind in KINDS {
            let mut case = Case::random(kind, &shape(11), 12, &autodiff());
            case.resets = Some(Inputs::new(2, &autodiff()).flags([3, 11], 0.1));
            let analytic = along(&case.clone().outcome(form), &moved(&case, 1.0), &case);
            let step = 1e-5;
            let numeric = (loss(&moved(&case, step), form) - loss(&moved(&case, -step), form)) / (2.0 * step);
            let error = (numeric - analytic).abs() / numeric.abs().max(1.0);
            assert!(error < 1e-7, "{kind:?} {form:?}: {numeric} and {analytic}");
        }
    }
}
