//! Linear maps of few tokens: the kernel gives what Burn's product gives.

use burn::tensor::{DType, Device, FloatDType, Tensor, module};
use seqzoo::ops::linear;
use seqzoo_tests::{Inputs, autodiff, largest_error, plain, values};

/// `[rows, channels]` times `[channels, width]`.
fn arguments([rows, channels, width]: [usize; 3], device: &Device) -> (Tensor<3>, Tensor<2>, Tensor<1>) {
    let mut inputs = Inputs::new(3, device);
    (inputs.uniform([rows, 1, channels]), inputs.uniform([channels, width]), inputs.uniform([width]))
}

#[test]
fn every_shape_gives_what_a_general_product_gives() {
    for rows in 1..=5 {
        for channels in [1, 7, 8, 9, 40] {
            for width in [1, 15, 16, 33, 511, 512, 513, 1100] {
                let (input, weight, bias) = arguments([rows, channels, width], &plain());
                for bias in [None, Some(bias)] {
                    let found = linear(input.clone(), weight.clone(), bias.clone());
                    let wanted = module::linear(input.clone(), weight.clone(), bias.clone());
                    assert_eq!(found.dims(), [rows, 1, width]);
                    let error = largest_error(&values(found), &values(wanted.clone()));
                    assert!(error < 1e-14, "{rows} {channels} {width}: {error:e}");

                    let single = |tensor: Tensor<3>| tensor.cast(FloatDType::F32);
                    let found = linear(
                        single(input.clone()),
                        weight.clone().cast(FloatDType::F32),
                        bias.map(|bias| bias.cast(FloatDType::F32)),
                    );
                    let error = largest_error(&values(found), &values(wanted));
                    assert!(error < 1e-6, "{rows} {channels} {width}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn a_matrix_large_enough_for_all_cores_gives_the_same() {
    let (input, weight, bias) = arguments([2, 700, 1300], &plain());
    let found = linear(input.clone(), weight.clone(), Some(bias.clone()));
    assert!(largest_error(&values(found), &values(module::linear(input, weight, Some(bias)))) < 1e-14);
}

#[test]
fn views_are_read_as_what_they_show() {
    let (input, weight, bias) = arguments([2, 12, 20], &plain());
    let bias = Some(bias);
    let wanted = values(module::linear(input.clone(), weight.clone(), bias.clone()));
    let check = |input: Tensor<3>, weight: Tensor<2>, bias: Option<Tensor<1>>| {
        assert!(largest_error(&values(linear(input, weight, bias)), &wanted) < 1e-14);
    };
    // Columns that lie together, rows of a larger matrix, columns of a larger one, and tokens apart from each other.
    let columns =
        Tensor::<2>::from_data(weight.clone().transpose().into_data(), (&plain(), DType::F64)).transpose();
    check(input.clone(), columns, bias.clone());
    let rows = Tensor::cat(vec![weight.clone(), weight.clone()], 0).narrow(0, 12, 12);
    check(input.clone(), rows, bias.clone());
    let part = Tensor::cat(vec![weight.clone(), weight.clone()], 1).narrow(1, 20, 20);
    check(input.clone(), part, bias.clone());
    let apart = Tensor::cat(vec![input.clone(), input.clone()], 2).narrow(2, 12, 12);
    check(apart, weight, bias);
}

#[test]
fn gradients_are_those_of_burn() {
    let (input, weight, bias) = arguments([1, 6, 9], &autodiff());
    let leaves =
        || (input.clone().require_grad(), weight.clone().require_grad(), bias.clone().require_grad());
    let gradients = |(input, weight, bias): (Tensor<3>, Tensor<2>, Tensor<1>), ours: bool| {
        let (x, w, b) = (input.clone(), weight.clone(), Some(bias.clone()));
        let output = if ours { linear(x, w, b) } else { module::linear(x, w, b) };
        let gradients = output.square().sum().backward();
        let of = [values(input.grad(&gradients).unwrap()), values(weight.grad(&gradients).unwrap())];
        [of.concat(), values(bias.grad(&gradients).unwrap())].concat()
    };
    assert_eq!(gradients(leaves(), true), gradients(leaves(), false));
}

#[test]
fn what_is_no_number_stays_visible() {
    let (input, weight, _) = arguments([1, 9, 3], &plain());
    let spoilt = input.slice_fill([0..1, 0..1, 4..5], f64::NAN);
    assert!(linear(spoilt, weight, None).into_data().convert::<f64>().iter::<f64>().all(f64::is_nan));
}

#[test]
#[should_panic(expected = "shape")]
fn channels_that_disagree_are_an_error() {
    let (input, _, _) = arguments([1, 9, 3], &plain());
    linear(input, Tensor::<2>::zeros([8, 3], (&plain(), DType::F64)), None);
}
