//! What follows from the law without much computing, on every form.

use super::{Case, FORMS};
use burn::tensor::{DType, Device, Tensor, activation::gelu};
use seqzoo::ops::repeat_heads;
use seqzoo::ops::ttt::{InnerModel, InnerNorm, Residual, Steps, TttOptions, TttState, ttt};
use seqzoo_tests::ladder::Operator;
use seqzoo_tests::operators::Ttt;
use seqzoo_tests::operators::ttt::Kind;
use seqzoo_tests::{autodiff, largest_error, plain, values};

/// A case that starts from the initial weights.
fn fresh(kind: Kind, time: usize, device: &Device) -> Case {
    Case { state: None, ..Case::random(kind, &Ttt::shape(time), 3, device) }
}

fn kind(depth: usize, chunk: usize) -> Kind {
    Kind { depth, chunk, write: true, residual: Residual::Answer }
}

/// The layer norm of tokens `[b, h, t, k]` with 5 channels, by its definition. Means are products: the gradients of Burn's
/// `mean_dim` and `var_mean_bias` are rounded to `f32`.
fn layer_norm(x: Tensor<4>, gain: &Tensor<2>, offset: &Tensor<2>) -> Tensor<4> {
    let per_head = |x: &Tensor<2>| x.clone().unsqueeze_dim::<3>(1).unsqueeze::<4>();
    let mean = |x: Tensor<4>| x.sum_dim(3) * 0.2;
    let centred = x.clone() - mean(x);
    let variance = mean(centred.clone().square());
    centred / (variance + 1e-6).sqrt() * per_head(gain) + per_head(offset)
}

/// What an inner model answers to tokens `[b, h, t, k]`.
fn answer(model: &InnerModel, tokens: Tensor<4>) -> Tensor<4> {
    let layer =
        |index: usize, x: Tensor<4>| x.matmul(model.weights[index].clone()) + model.biases[index].clone();
    (1..model.weights.len()).fold(layer(0, tokens), |x, index| layer(index, gelu(x)))
}

#[test]
fn the_gradient_is_that_of_the_loss() {
    // One chunk, at whose end the state holds the weights minus a step along the gradient of all losses.
    for form in FORMS {
        for depth in [1, 2, 3] {
            let device = autodiff();
            let case = fresh(kind(depth, 6), 6, &device);
            let (_, state) = case.run(form);
            let Ttt { key, value, steps, norm, .. } = case.inputs.clone();
            let leaf = |x: Tensor<4>| x.expand([3, 4, -1, -1]).detach().require_grad();
            let model = case.inputs.model();
            let model = InnerModel {
                weights: model.weights.into_iter().map(leaf).collect(),
                biases: model.biases.into_iter().map(leaf).collect(),
            };
            let heads = |x: Tensor<4>| repeat_heads(x, 4).swap_dims(1, 2);
            let key = heads(key);
            let normed = layer_norm(answer(&model, key.clone()), &norm.gain, &norm.offset);
            let losses = (normed - (heads(value) - key)).square().sum_dim(3).mul_scalar(0.5);
            let write = steps.write.unwrap().swap_dims(1, 2).unsqueeze_dim(3);
            let gradients = (losses * write).sum().backward();
            let step = steps.read.narrow(1, 5, 1).swap_dims(1, 2).unsqueeze_dim::<4>(3); // [b, h, 1, 1]
            let pairs = |found: Vec<Tensor<4>>, start: Vec<Tensor<4>>| found.into_iter().zip(start);
            for (found, start) in
                pairs(state.model.weights, model.weights).chain(pairs(state.model.biases, model.biases))
            {
                let gradient = Tensor::from_inner(start.grad(&gradients).unwrap());
                let error = largest_error(&values(found), &values(start - gradient * step.clone()));
                assert!(error < 1e-12, "{form:?}, {depth} layers: {error:e}");
            }
        }
    }
}

#[test]
fn one_step_from_zero_weights_is_right_by_hand() {
    // The answer is 0, and the gradient k - v without its mean, over the root of epsilon, 1e-3.
    let token = |x: [f64; 2]| Tensor::<1>::from_data(x, (&plain(), DType::F64)).reshape([1, 1, 1, 2]);
    let zeros = |shape: [usize; 4]| Tensor::<4>::zeros(shape, (&plain(), DType::F64));
    let model = InnerModel { weights: vec![zeros([1, 1, 2, 2])], biases: vec![zeros([1, 1, 1, 2])] };
    let ones = Tensor::<2>::ones([1, 2], (&plain(), DType::F64));
    let norm = InnerNorm { offset: ones.zeros_like(), gain: ones };
    let steps = Steps { read: Tensor::full([1, 1, 1], 0.001, (&plain(), DType::F64)), write: None };
    let options = TttOptions { chunk: 1, ..Default::default() };
    let (key, value) = (token([1.0, 0.0]), token([4.0, 1.0]));
    let (_, state) = ttt(key.clone(), key, value, steps, model, norm, options);
    // v - k = (3, 1), without its mean (1, -1).
    let found = values(state.model.weights[0].clone());
    assert!(largest_error(&found, &[1.0, -1.0, 0.0, 0.0]) < 1e-9, "{found:?}");
    assert!(largest_error(&values(state.model.biases[0].clone()), &[1.0, -1.0]) < 1e-9);
}

#[test]
fn without_steps_it_is_its_inner_model() {
    for form in FORMS {
        for depth in [1, 2] {
            for residual in [Residual::Answer, Residual::Query] {
                let mut case = fresh(Kind { residual, ..kind(depth, 4) }, 9, &plain());
                case.inputs.steps.read = case.inputs.steps.read.zeros_like();
                let (output, state) = case.run(form);
                let Ttt { query, norm, .. } = &case.inputs;
                let query = repeat_heads(query.clone(), 4).swap_dims(1, 2) * 5f64.powf(-0.5);
                let read = answer(&case.inputs.model(), query.clone());
                let normed = layer_norm(read.clone(), &norm.gain, &norm.offset);
                let wanted = normed + if residual == Residual::Query { query } else { read };
                assert!(largest_error(&values(output), &values(wanted.swap_dims(1, 2))) < 1e-13, "{form:?}");
                // Not a bit of it has moved.
                let initial = case.inputs.model();
                for (found, initial) in state.model.weights.iter().zip(initial.weights) {
                    let wanted = initial.expand(found.dims());
                    assert_eq!(found.clone().into_data(), wanted.into_data(), "{form:?}");
                }
            }
        }
    }
}

#[test]
fn a_write_step_of_zero_stores_nothing() {
    for form in FORMS {
        let mut case = fresh(kind(2, 4), 9, &plain());
        let write = case.inputs.steps.write.as_mut().unwrap();
        *write = write.zeros_like();
        let found = case.run(form).0;
        case.inputs.steps.read = case.inputs.steps.read.zeros_like();
        assert!(largest_error(&values(found), &values(case.run(form).0)) < 1e-14, "{form:?}");
    }
}

#[test]
fn a_write_step_that_all_share_is_a_read_step() {
    for form in FORMS {
        let mut case = fresh(kind(2, 4), 9, &plain());
        let write = case.inputs.steps.write.as_mut().unwrap();
        *write = write.full_like(0.3);
        let found = case.run(form).0;
        case.inputs.steps = Steps { read: case.inputs.steps.read * 0.3, write: None };
        assert!(largest_error(&values(found), &values(case.run(form).0)) < 1e-13, "{form:?}");
    }
}

#[test]
fn the_step_is_that_of_the_token_that_reads() {
    // The step of a token inside of a chunk is read by no other token.
    for form in FORMS {
        let case = fresh(kind(1, 4), 8, &plain());
        let (wanted, last) = case.run(form);
        let mut other = case.clone();
        let read = &case.inputs.steps.read;
        let changed = read.clone().narrow(1, 1, 1) * 3.0;
        other.inputs.steps.read = read.clone().slice_assign([0..3, 1..2, 0..4], changed);
        let (found, state) = other.run(form);
        let difference = |from: usize, count: usize| {
            let part = |x: &Tensor<4>| values(x.clone().narrow(1, from, count));
            largest_error(&part(&found), &part(&wanted))
        };
        assert_eq!((difference(0, 1), difference(2, 6)), (0.0, 0.0), "{form:?}");
        assert!(difference(1, 1) > 1e-3, "{form:?}");
        let weights = |state: &TttState| values(state.model.weights[0].clone());
        assert_eq!(weights(&state), weights(&last), "{form:?}");
    }
}

#[test]
fn an_incomplete_chunk_leaves_its_weights_and_the_sums_of_its_gradients() {
    for form in FORMS {
        let case = fresh(kind(2, 4), 7, &plain());
        let (_, complete) = case.part(0, 4, None).run(form);
        let (_, state) = case.run(form);
        assert_eq!((complete.places(), state.places()), (vec![0; 3], vec![3; 3]), "{form:?}");
        for (found, wanted) in state.model.weights.iter().zip(&complete.model.weights) {
            assert!(largest_error(&values(found.clone()), &values(wanted.clone())) < 1e-14, "{form:?}");
        }
        // A token that writes nothing completes the chunk: its step is the one that counts.
        let mut more = case.part(6, 7, None);
        let write = more.inputs.steps.write.as_mut().unwrap();
        *write = write.zeros_like();
        let (_, last) = more.inputs.run(Some(state.clone()), None, form);
        let step = more.inputs.steps.read.swap_dims(1, 2).unsqueeze_dim::<4>(3);
        for ((found, start), sum) in
            last.model.biases.iter().zip(&state.model.biases).zip(&state.gradients.biases)
        {
            let wanted = start.clone() - sum.clone() * step.clone();
            assert!(largest_error(&values(found.clone()), &values(wanted)) < 1e-14, "{form:?}");
        }
    }
}

#[test]
fn every_input_and_the_chunk_count() {
    // What is silently dropped would pass every comparison of forms.
    let case = fresh(kind(2, 4), 9, &plain());
    let wanted = values(case.run(FORMS[0]).0);
    let changes: [fn(&mut Ttt); 8] = [
        |inputs| inputs.steps.read = inputs.steps.read.clone() * 0.5,
        |inputs| inputs.steps.write = inputs.steps.write.take().map(|write| write * 0.5),
        |inputs| inputs.norm.gain = inputs.norm.gain.clone() * 0.5,
        |inputs| inputs.norm.offset = inputs.norm.offset.clone() * 0.5,
        |inputs| inputs.biases[0] = inputs.biases[0].clone() * 0.5,
        |inputs| inputs.scale = Some(1.0),
        |inputs| inputs.residual = Residual::Query,
        |inputs| inputs.chunk = 1,
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = case.clone();
        change(&mut other.inputs);
        assert!(largest_error(&values(other.run(FORMS[0]).0), &wanted) > 1e-4, "change {index}");
    }
}

#[test]
fn steps_may_have_fewer_heads_than_the_values() {
    for form in FORMS {
        let mut case = fresh(kind(2, 4), 9, &plain());
        let few = case.inputs.steps.clone();
        let two = |x: Tensor<3>| x.narrow(2, 0, 2);
        let few = Steps { read: two(few.read), write: few.write.map(two) };
        let all = |x: Tensor<3>| repeat_heads(x.unsqueeze_dim(3), 4).squeeze_dim::<3>(3);
        case.inputs.steps = few.clone();
        let found = case.run(form).0;
        case.inputs.steps = Steps { read: all(few.read), write: few.write.map(all) };
        assert_eq!(found.into_data(), case.run(form).0.into_data(), "{form:?}");
    }
}

#[test]
fn sequences_may_have_initial_weights_of_their_own() {
    // Which are what resets return to.
    for form in FORMS {
        let case = fresh(kind(2, 4), 9, &plain()).with_resets_at(&[0, 6]);
        let each = |x: &Tensor<4>| Tensor::cat((0..3).map(|row| x.clone() * (1.0 + row as f64)).collect(), 0);
        let model = case.inputs.model();
        let own = InnerModel {
            weights: model.weights.iter().map(each).collect(),
            biases: model.biases, // those of all sequences in one
        };
        let run = |case: &Case, model: InnerModel| {
            let Ttt { query, key, value, steps, norm, .. } = case.inputs.clone();
            let resets = case.resets.clone();
            let options = TttOptions { chunk: 4, resets, form, ..Default::default() };
            ttt(query, key, value, steps, model, norm, options).0
        };
        let all = run(&case, own.clone());
        for row in 0..3 {
            let weights = own.weights.iter().map(|x| x.clone().narrow(0, row, 1)).collect();
            let model = InnerModel { weights, biases: own.biases.clone() };
            let (found, wanted) = (run(&case.row(row), model), all.clone().narrow(0, row, 1));
            assert!(largest_error(&values(found), &values(wanted)) < 1e-13, "{form:?}");
        }
    }
}

#[test]
fn places_of_tokens_are_counted_from_the_state_and_from_resets() {
    let case = Case::random(kind(1, 4), &Ttt::shape(7), 3, &plain()).with_resets_at(&[3]);
    let places = case.state.unwrap().places_of(7, case.resets.as_ref());
    let places: Vec<i64> = places.into_data().iter::<i64>().collect();
    assert_eq!(places, [2, 3, 0, 0, 1, 2, 3].repeat(3));
}
