//! Keys and values that every token sees.

use super::*;

#[test]
fn a_prefix_is_seen_by_every_token() {
    for (window, resets) in [(None, false), (Some(3), false), (None, true), (Some(4), true)] {
        let mut case = Case::random(2, 17, [4, 2], window, 5, &autodiff()).with_prefix(3);
        let prefix = case.prefix.as_mut().unwrap();
        prefix.query = Some(Inputs::new(8, &autodiff()).uniform(case.query.dims()));
        if resets {
            case.resets = Some(flags(2, 17, &[0, 4, 9], &autodiff()));
        }
        let wanted = case.outcome_of(|case| case.run(Form::Naive));
        for form in WHOLE {
            case.outcome(form).assert_close(&wanted, EXACT);
        }
        case.outcome_of(|case| case.in_parts(&[1, 2, 7, 17])).assert_close(&wanted, EXACT);
        // It changes what every token reads, and is not in the cache.
        let without = Case { prefix: None, ..case.clone() };
        let difference = (case.run(Form::Auto) - without.run(Form::Auto)).abs().min().into_scalar::<f64>();
        assert!(difference > 1e-6, "window {window:?}, resets {resets}: {difference:e}");
        let length = |case: &Case| case.part(0, 17, None, Form::Auto).1.keys.dims()[1];
        assert_eq!(length(&case), length(&without));
    }
}

#[test]
fn a_prefix_is_as_tokens_before_the_first() {
    for form in FORMS {
        let case = Case::random(2, 9, [4, 2], None, 5, &plain()).with_prefix(3);
        let prefix = case.prefix.clone().unwrap();
        let before = |prefix: Tensor<4>, tokens: &Tensor<4>| {
            Tensor::cat(vec![prefix.repeat_dim(0, 2), tokens.clone()], 1)
        };
        let query = case.query.clone().narrow(1, 0, 3);
        let tokens = Case {
            query: Tensor::cat(vec![query, case.query.clone()], 1),
            key: before(prefix.keys, &case.key),
            value: before(prefix.values, &case.value),
            prefix: None,
            ..case.clone()
        };
        let error = (tokens.run(form).narrow(1, 3, 9) - case.run(form)).abs().max().into_scalar::<f64>();
        assert!(error < 1e-13, "{form:?}: {error:e}");
    }
}

#[test]
fn a_prefix_has_gradients() {
    for form in WHOLE {
        a_prefix_has_gradients_in(form);
    }
}

fn a_prefix_has_gradients_in(form: Form) {
    let mut case = Case::random(2, 9, [2, 1], Some(3), 5, &autodiff()).with_prefix(2);
    let prefix = case.prefix.take().unwrap();
    let loss = |keys: Tensor<4>, values: Tensor<4>| {
        let case = Case { prefix: Some(Prefix { query: None, keys, values }), ..case.clone() };
        (case.run(form) * case.cotangent.clone()).sum()
    };
    let (keys, values) = (prefix.keys.require_grad(), prefix.values.require_grad());
    let gradients = loss(keys.clone(), values.clone()).backward();
    let mut inputs = Inputs::new(9, &autodiff());
    for tensor in [&keys, &values] {
        let direction = inputs.uniform(tensor.dims());
        let moved = |step: f64| {
            let moved = |other: &Tensor<4>| match std::ptr::eq(other, tensor) {
                true => other.clone() + direction.clone() * step,
                false => other.clone(),
            };
            loss(moved(&keys), moved(&values)).into_scalar::<f64>()
        };
        let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        let gradient = Tensor::<4>::from_inner(tensor.grad(&gradients).unwrap());
        let analytic = (gradient * direction.clone()).sum().into_scalar::<f64>();
        assert!((numeric - analytic).abs() < 1e-8, "{numeric} and {analytic}");
    }
}

#[test]
#[should_panic(
    expected = "`prefix.values` has the shape [1, 2, 2, 3], but [1, P, HK, V] = [1, 3, 2, 3] is wanted"
)]
fn a_prefix_of_another_length_is_refused() {
    let mut case = Case::random(2, 9, [4, 2], None, 5, &plain()).with_prefix(3);
    let prefix = case.prefix.unwrap();
    case.prefix = Some(Prefix { values: prefix.values.narrow(1, 0, 2), ..prefix });
    case.run(Form::Auto);
}
