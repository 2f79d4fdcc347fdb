//! From continuous time to tokens: one pass on the CPU and tensor operations give the same.

use burn::tensor::{FloatDType, Tensor};
use seqzoo::ops::Complex;
use seqzoo::ops::diagonal_ssm::continuous::{ContinuousSsm, Discretisation, RealTransform};
use seqzoo_tests::{Inputs, autodiff, largest_error, plain, said, values};

const RULES: [Discretisation; 2] = [Discretisation::ZeroOrderHold, Discretisation::Bilinear];
const TRANSFORMS: [RealTransform; 3] = [RealTransform::Exp, RealTransform::Relu, RealTransform::Softplus];

/// Parameters of channels whose steps and frequencies lie orders of magnitude apart.
fn parameters([channels, size]: [usize; 2], learn_b: bool, device: &burn::tensor::Device) -> ContinuousSsm {
    let mut inputs = Inputs::new(7, device);
    ContinuousSsm {
        log_dt: inputs.between([channels], -12.0, 2.0),
        a_real: inputs.between([channels, size], -8.0, 3.0),
        a_imag: inputs.between([channels, size], -7.0, 7.0).exp() * inputs.uniform([channels, size]),
        b: learn_b.then(|| inputs.uniform([channels, size, 2])),
        c: inputs.uniform([channels, size, 2]),
    }
}

fn numbers((eigenvalues, weights): (Complex<2>, Complex<2>)) -> [Vec<f64>; 4] {
    [eigenvalues.re, eigenvalues.im, weights.re, weights.im].map(values)
}

fn single(parameters: ContinuousSsm) -> ContinuousSsm {
    fn cast<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
        tensor.cast(FloatDType::F32)
    }
    let ContinuousSsm { log_dt, a_real, a_imag, b, c } = parameters;
    ContinuousSsm {
        log_dt: cast(log_dt),
        a_real: cast(a_real),
        a_imag: cast(a_imag),
        b: b.map(cast),
        c: cast(c),
    }
}

#[test]
fn one_pass_gives_what_tensor_operations_give() {
    for shape in [[1, 1], [3, 5], [7, 16], [600, 2], [2, 1100]] {
        for learn_b in [false, true] {
            for rule in RULES {
                for transform in TRANSFORMS {
                    let on =
                        |device| numbers(parameters(shape, learn_b, &device).discretised(rule, transform));
                    for (found, wanted) in on(plain()).iter().zip(&on(autodiff())) {
                        let error = largest_error(found, wanted);
                        assert!(error < 1e-11, "{shape:?} {rule:?} {transform:?}: {error:e}");
                    }
                }
            }
        }
    }
}

#[test]
fn single_precision_is_as_exact_as_its_angles() {
    for rule in RULES {
        for transform in TRANSFORMS {
            let wide = parameters([40, 33], true, &plain());
            // Below 100 radians, which are exact to 4e-6.
            let wide = ContinuousSsm { log_dt: wide.log_dt.clamp_max(-2.5), ..wide };
            let found = numbers(single(wide.clone()).discretised(rule, transform));
            let wanted = numbers(wide.discretised(rule, transform));
            for (found, wanted) in found.iter().zip(&wanted) {
                let error = largest_error(found, wanted);
                assert!(error < 2e-5, "{rule:?} {transform:?}: {error:e}");
            }
        }
    }
}

/// With a decay that is no float the state keeps everything, and `(e^(ΔA) − 1)/A` is `Δ`.
#[test]
fn a_decay_too_small_for_a_float_keeps_everything() {
    let right = single(parameters([2, 3], false, &plain()));
    let (zeros, log_dt) = (right.a_imag.zeros_like(), right.log_dt.zeros_like().add_scalar(-1.0));
    let wanted = values(right.c.clone().mul_scalar(2.0 * (-1.0f64).exp()));
    let parameters =
        ContinuousSsm { a_real: zeros.clone().sub_scalar(200.0), a_imag: zeros, log_dt, ..right };
    for rule in RULES {
        let (eigenvalues, weights) = parameters.clone().discretised(rule, RealTransform::Exp);
        assert_eq!(values(eigenvalues.re), [1.0; 6]);
        let weights = values(Tensor::stack::<3>(vec![weights.re, weights.im], 2));
        assert!(largest_error(&weights, &wanted) < 1e-6, "{rule:?}");
    }
}

#[test]
fn eigenvalues_never_leave_the_unit_disc() {
    for rule in RULES {
        for transform in TRANSFORMS {
            let parameters = single(parameters([64, 64], false, &plain()));
            let fast = parameters.a_imag.clone().mul_scalar(1e6);
            let (eigenvalues, weights) =
                ContinuousSsm { a_imag: fast, ..parameters }.discretised(rule, transform);
            let lengths = values(eigenvalues.re.square() + eigenvalues.im.square());
            assert!(lengths.iter().all(|length| *length < 1.0 + 1e-5), "{rule:?} {transform:?}");
            assert!([weights.re, weights.im].map(values).concat().iter().all(|weight| weight.is_finite()));
        }
    }
}

#[test]
fn wrong_shapes_are_named_in_a_sentence() {
    let right = || parameters([3, 4], true, &plain());
    let run = |parameters: ContinuousSsm| said(|| parameters.discretised(RULES[0], TRANSFORMS[0]));
    let log_dt = Tensor::zeros([2], &plain());
    assert_eq!(
        run(ContinuousSsm { log_dt, ..right() }),
        "The argument `log_dt` has the shape [2], but [E] = [3] is wanted."
    );
    let b = Some(Tensor::zeros([3, 4, 1], &plain()));
    assert_eq!(
        run(ContinuousSsm { b, ..right() }),
        "The argument `b` has the shape [3, 4, 1], but [E, N, parts] = [3, 4, 2] is wanted."
    );
}
