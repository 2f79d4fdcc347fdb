//! Rung 6: S4D and S4 against the original implementation.

use burn::module::Param;
use burn::tensor::{DType, Device, FloatDType, Gradients, Tensor, TensorData};
use seqzoo::SequenceMixer;
use seqzoo::layers::*;
use seqzoo::ops::Complex;
use seqzoo::ops::diagonal_ssm::{DiagonalSsmOptions, diagonal_ssm};
use seqzoo::parts::{
    DiagonalStateSpace, DiagonalStateSpaceConfig, Discretisation, DplrStateSpace, DplrStateSpaceConfig,
    GluOutput,
};
use seqzoo_tests::{Golden, autodiff, double, largest_error, values};

/// What is stored was rounded to `f32`.
const STORED: f64 = 2e-6;

fn check<const D: usize>(found: Tensor<D>, golden: &Golden, name: &str) {
    let error = largest_error(&values(found), golden.values(name));
    assert!(error <= STORED, "`{name}` differs by {error:e}");
}

fn gradient<const D: usize>(parameter: &Param<Tensor<D>>, gradients: &Gradients) -> Tensor<D> {
    parameter.val().grad(gradients).expect("the parameter has a gradient")
}

/// The tensor `name` as a parameter.
fn parameter<const D: usize>(golden: &Golden, name: &str, device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(golden.tensor(name, device))
}

/// A tensor with axes of one element or so, in another shape, as a parameter.
fn reshaped<const D: usize, const E: usize>(
    golden: &Golden,
    name: &str,
    shape: [usize; E],
    device: &Device,
) -> Param<Tensor<E>> {
    Param::from_tensor(golden.tensor::<D>(name, device).reshape(shape).detach())
}

/// The file has `A = −e^A_real − i A_imag`, the library the imaginary part itself.
fn negated(golden: &Golden, name: &str, device: &Device) -> Param<Tensor<2>> {
    Param::from_tensor(golden.tensor::<2>(name, device).neg().detach())
}

/// `[B, H, L]` as `[B, L, H]` or back.
fn turned(tensor: Tensor<3>) -> Tensor<3> {
    tensor.swap_dims(1, 2)
}

fn joined(state: Complex<3>) -> Tensor<4> {
    Tensor::stack(vec![state.re, state.im], 3)
}

fn parted(tensor: Tensor<4>) -> Complex<3> {
    let part = |index| tensor.clone().narrow(3, index, 1).squeeze_dim(3);
    Complex::new(part(0), part(1))
}

/// `Σ_s K_{t−s} u_s` for `[B, H, L]` and `[H, L]`.
fn convolved(input: Tensor<3>, filter: Tensor<2>) -> Tensor<3> {
    let [_, channels, length] = input.dims();
    let filter = filter.unsqueeze::<3>();
    (0..length)
        .map(|s| {
            let zeros = Tensor::zeros([1, channels, s], (&filter.device(), filter.dtype()));
            let rest = filter.clone().narrow(2, 0, length - s);
            let moved = if s == 0 { rest } else { Tensor::cat(vec![zeros, rest], 2) };
            input.clone().narrow(2, s, 1) * moved
        })
        .reduce(|sum, term| sum + term)
        .unwrap()
}

/// Fills `D` and the output projection.
fn fill_output(output: &mut GluOutput, golden: &Golden, skip: &str, device: &Device) {
    let [channels, wide] = output.projection.weight.dims();
    output.skip = Param::from_tensor(Tensor::from_data(
        TensorData::new(golden.values(&format!("params.{skip}")).to_vec(), [channels]),
        (device, DType::F64),
    ));
    let weight = golden.values("params.output_linear.0.weight").to_vec();
    let weight = Tensor::<2>::from_data(TensorData::new(weight, [wide, channels]), (device, DType::F64));
    output.projection.weight = Param::from_tensor(weight.transpose().detach());
    output.projection.bias = Some(parameter(golden, "params.output_linear.0.bias", device));
}

fn check_output(output: &GluOutput, golden: &Golden, skip: &str, gradients: &Gradients) {
    check(gradient(&output.skip, gradients), golden, &format!("d_params.{skip}"));
    let weight = gradient(&output.projection.weight, gradients).transpose();
    check(weight, golden, "d_params.output_linear.0.weight");
    let bias = output.projection.bias.as_ref().unwrap();
    check(gradient(bias, gradients), golden, "d_params.output_linear.0.bias");
}

#[test]
fn s4d_equals_the_minimal_implementation() {
    let device = autodiff();
    for (file, channels, d_state) in [("09_s4d__h2_n4_l1", 2, 4), ("09_s4d__h3_n8_l17", 3, 8)] {
        let golden = Golden::load(file);
        let mut layer = double(S4dConfig::new(channels).with_d_state(d_state).init(&device));
        *layer.space.log_dt = parameter(&golden, "params.kernel.log_dt", &device);
        *layer.space.a_real = parameter(&golden, "params.kernel.log_A_real", &device);
        *layer.space.a_imag = parameter(&golden, "params.kernel.A_imag", &device);
        layer.space.c = parameter(&golden, "params.kernel.C", &device);
        fill_output(&mut layer.output, &golden, "D", &device);

        let input = golden.tensor::<3>("u", &device).require_grad();
        let (output, _) = layer.forward(turned(input.clone()), None);
        let output = turned(output);
        check(output.clone(), &golden, "o");
        let filter = layer.space.filter(input.dims()[2]);
        check(filter.clone(), &golden, "kernel");
        let (eigenvalues, weights) = layer.space.discretised();
        let options = DiagonalSsmOptions::default();
        let (read, _) = diagonal_ssm(turned(input.clone()), eigenvalues, weights, options);
        check(turned(read), &golden, "y_ssm");

        let score = (output * golden.tensor("do", &device)).sum()
            + (filter * golden.tensor("ct.kernel", &device)).sum();
        let gradients = score.backward();
        check(input.grad(&gradients).unwrap(), &golden, "d_u");
        check(gradient(&layer.space.log_dt, &gradients), &golden, "d_params.kernel.log_dt");
        check(gradient(&layer.space.a_real, &gradients), &golden, "d_params.kernel.log_A_real");
        check(gradient(&layer.space.a_imag, &gradients), &golden, "d_params.kernel.A_imag");
        check(gradient(&layer.space.c, &gradients), &golden, "d_params.kernel.C");
        check_output(&layer.output, &golden, "D", &gradients);
    }
}

/// Fills all but `C`.
fn fill_diagonal(space: &mut DiagonalStateSpace, golden: &Golden, prefix: &str, device: &Device) {
    let [channels, pairs] = space.dims();
    *space.log_dt = reshaped::<2, 1>(golden, &format!("{prefix}inv_dt"), [channels], device);
    *space.a_real = parameter(golden, &format!("{prefix}A_real"), device);
    *space.a_imag = negated(golden, &format!("{prefix}A_imag"), device);
    let b = space.b.as_mut().unwrap();
    **b = reshaped::<4, 3>(golden, &format!("{prefix}B"), [channels, pairs, 2], device);
}

fn check_diagonal(space: &DiagonalStateSpace, golden: &Golden, prefix: &str, gradients: &Gradients) {
    check(gradient(&space.log_dt, gradients), golden, &format!("{prefix}inv_dt"));
    check(gradient(&space.a_real, gradients), golden, &format!("{prefix}A_real"));
    check(gradient(&space.a_imag, gradients).neg(), golden, &format!("{prefix}A_imag"));
    check(gradient(space.b.as_ref().unwrap(), gradients), golden, &format!("{prefix}B"));
}

/// `B̄`: the published state is `B̄ h`.
fn discrete_input(space: &DiagonalStateSpace) -> Complex<3> {
    let (_, weights) = space.discretised();
    let c = space.c.val();
    let part = |index| c.clone().narrow(2, index, 1).squeeze_dim::<2>(2).mul_scalar(2.0);
    quotient(weights, Complex::new(part(0), part(1))).map(|part| part.unsqueeze())
}

fn quotient<const D: usize>(above: Complex<D>, below: Complex<D>) -> Complex<D> {
    let length = below.re.clone().square() + below.im.clone().square();
    above.times(Complex::new(below.re, below.im.neg())).map(|part| part / length.clone())
}

fn product_of(left: Complex<3>, right: Complex<3>) -> Complex<3> {
    let dims = right.dims();
    left.map(|part| part.expand(dims)).times(right)
}

#[test]
fn diagonal_filters_and_steps_equal_the_reference() {
    let device = autodiff();
    for (file, discretisation) in [
        ("09_s4_kernel_diag__lin_zoh_l16", Discretisation::ZeroOrderHold),
        ("09_s4_kernel_diag__inv_bilinear_l21_c2", Discretisation::Bilinear),
    ] {
        let golden = Golden::load(file);
        let input = golden.tensor::<3>("u", &device).require_grad();
        let c = golden.tensor::<4>("params.C", &device);
        let [readers, channels, pairs, _] = c.dims();
        let config = DiagonalStateSpaceConfig::new(channels)
            .with_d_state(2 * pairs)
            .with_discretisation(discretisation)
            .with_learn_b(true);
        let mut space = double(config.try_init("test", &device).unwrap());
        fill_diagonal(&mut space, &golden, "params.", &device);

        let (mut outputs, mut filters, mut parameters) = (Vec::new(), Vec::new(), Vec::new());
        for reader in 0..readers {
            space.c = Param::from_tensor(c.clone().narrow(0, reader, 1).squeeze_dim::<3>(0).detach());
            let (eigenvalues, weights) = space.discretised();
            check(joined(eigenvalues.clone().map(Tensor::unsqueeze::<3>)), &golden, "step.dA");
            check(joined(discrete_input(&space)), &golden, "step.dB");
            let (output, state) =
                diagonal_ssm(turned(input.clone()), eigenvalues, weights, Default::default());
            check(joined(product_of(discrete_input(&space), state)), &golden, "step.final_state");
            outputs.push(turned(output).unsqueeze_dim::<4>(1));
            filters.push(space.filter(input.dims()[2]));
            parameters.push(space.c.clone());
        }
        let (output, filter) = (Tensor::cat(outputs, 1), Tensor::stack::<3>(filters, 0));
        check(output.clone(), &golden, "o");
        check(output.clone(), &golden, "step.o");
        check(filter.clone(), &golden, "kernel");
        let score = (output * golden.tensor("do", &device)).sum()
            + (filter * golden.tensor("ct.kernel", &device)).sum();
        let gradients = score.backward();
        check(input.grad(&gradients).unwrap(), &golden, "d_u");
        check_diagonal(&space, &golden, "d_params.", &gradients);
        let c = parameters.iter().map(|c| gradient(c, &gradients)).collect();
        check(Tensor::stack::<4>(c, 0), &golden, "d_params.C");
    }
}

#[test]
fn a_diagonal_block_continues_from_a_state_as_the_reference_does() {
    let (device, golden) = (autodiff(), Golden::load("09_s4_block__diag_l12_state"));
    let mut layer = double(S4dConfig::new(3).with_d_state(8).with_learn_b(true).init(&device));
    fill_diagonal(&mut layer.space, &golden, "params.layer.kernel.", &device);
    layer.space.c = reshaped::<4, 3>(&golden, "params.layer.kernel.C", [3, 4, 2], &device);
    fill_output(&mut layer.output, &golden, "layer.D", &device);

    let input = golden.tensor::<3>("x", &device).require_grad();
    let written = discrete_input(&layer.space);
    let start = parted(golden.tensor("initial_state", &device));
    let dims = start.dims();
    let start = quotient(start, written.clone().map(|part| part.expand(dims)));
    let state = S4dState { real: start.re, imaginary: start.im };
    let (output, state) = layer.forward(turned(input.clone()), Some(state));
    let output = turned(output);
    check(output.clone(), &golden, "o");
    check(output.clone(), &golden, "step.o");
    let last = product_of(written, Complex::new(state.real, state.imaginary));
    check(joined(last.clone()), &golden, "final_state");
    check(joined(last), &golden, "step.final_state");

    let gradients = (output * golden.tensor("do", &device)).sum().backward();
    check(input.grad(&gradients).unwrap(), &golden, "d_x");
    check_diagonal(&layer.space, &golden, "d_params.layer.kernel.", &gradients);
    check(gradient(&layer.space.c, &gradients), &golden, "d_params.layer.kernel.C");
    check_output(&layer.output, &golden, "layer.D", &gradients);
}

/// A space with the parameters of the file, and the `C` given.
fn low_rank(golden: &Golden, prefix: &str, c: &str, device: &Device) -> DplrStateSpace {
    let p = golden.tensor::<4>(&format!("{prefix}P"), device);
    let [rank, channels, pairs, _] = p.dims();
    assert_eq!(rank, 1);
    let config = DplrStateSpaceConfig::new(channels).with_d_state(2 * pairs);
    let mut space = double(config.try_init("test", device).unwrap());
    *space.log_dt = reshaped::<2, 1>(golden, &format!("{prefix}inv_dt"), [channels], device);
    *space.a_real = parameter(golden, &format!("{prefix}A_real"), device);
    *space.a_imag = negated(golden, &format!("{prefix}A_imag"), device);
    *space.p = Param::from_tensor(p.swap_dims(0, 1).detach());
    *space.b = reshaped::<4, 3>(golden, &format!("{prefix}B"), [channels, pairs, 2], device);
    space.c = reshaped::<4, 3>(golden, c, [channels, pairs, 2], device);
    space
}

fn check_low_rank(space: &DplrStateSpace, golden: &Golden, prefix: &str, gradients: &Gradients) {
    check(gradient(&space.log_dt, gradients), golden, &format!("{prefix}inv_dt"));
    check(gradient(&space.a_real, gradients), golden, &format!("{prefix}A_real"));
    check(gradient(&space.a_imag, gradients).neg(), golden, &format!("{prefix}A_imag"));
    check(gradient(&space.p, gradients).swap_dims(0, 1), golden, &format!("{prefix}P"));
    check(gradient(&space.b, gradients), golden, &format!("{prefix}B"));
}

/// The filter of `length` tokens that belongs to `C̃ = (1 − Ā^L)ᵀ C`, the `C` of `space`: with `C = Σ_m (Ā^(mL))ᵀ C̃` it
/// is the whole filter of `C̃`, wrapped around.
fn wrapped_filter(space: &DplrStateSpace, length: usize) -> Tensor<2> {
    let [channels, _] = space.dims();
    let rounds = rounds(space, length);
    space.filter(rounds * length).reshape([channels, rounds, length]).sum_dim(1).squeeze_dim(1)
}

/// So many lengths that the slowest state has faded.
fn rounds(space: &DplrStateSpace, length: usize) -> usize {
    let slowest = values(space.log_dt.val()).into_iter().fold(f64::INFINITY, f64::min).exp();
    (60.0 / slowest / length as f64).ceil() as usize
}

#[test]
fn filters_and_steps_with_a_low_rank_equal_the_reference() {
    let device = autodiff();
    for file in ["09_s4_kernel_dplr__legs_n4_l9", "09_s4_kernel_dplr__legs_n8_l16"] {
        let golden = Golden::load(file);
        let length = golden.tensor::<2>("params.A_real", &device).dims()[0].max(golden.number("L") as usize);

        let space = low_rank(&golden, "params.", "C_true", &device);
        let input = golden.tensor::<3>("u", &device);
        let [batch, channels, _] = input.dims();
        let start = Complex::new(
            Tensor::zeros([batch, channels, space.dims()[1]], (&device, input.dtype())),
            Tensor::zeros([batch, channels, space.dims()[1]], (&device, input.dtype())),
        );
        let (output, state) = space.forward(turned(input), None, start);
        check(turned(output), &golden, "step.o");
        check(joined(state), &golden, "step.final_state");
        let filter = space.filter(length);
        check(filter.clone(), &golden, "kernel");
        let gradients = (filter.unsqueeze::<3>() * golden.tensor("own.ct_kernel", &device)).sum().backward();
        check_low_rank(&space, &golden, "own.d_", &gradients);
        check(gradient(&space.c, &gradients), &golden, "own.d_C_true");

        let space = low_rank(&golden, "params.", "params.C", &device);
        let filter = wrapped_filter(&space, length);
        check(filter.clone(), &golden, "kernel");
        let input = golden.tensor::<3>("u", &device).require_grad();
        let output = convolved(input.clone(), filter.clone()).unsqueeze_dim::<4>(1);
        check(output.clone(), &golden, "o");
        let score = (output * golden.tensor("do", &device)).sum()
            + (filter.unsqueeze::<3>() * golden.tensor("ct.kernel", &device)).sum();
        let gradients = score.backward();
        check(input.grad(&gradients).unwrap(), &golden, "d_u");
        check_low_rank(&space, &golden, "d_params.", &gradients);
        check(gradient(&space.c, &gradients), &golden, "d_params.C");
    }
}

/// `C` of the `C̃` that `space` holds, from what is read of every unit state at the ends of all lengths.
fn true_reader(space: &DplrStateSpace, length: usize, device: &Device) -> Tensor<3> {
    let [channels, pairs] = space.dims();
    let c = space.c.val();
    let options = (device, c.dtype());
    // Unit states, real and imaginary: [2·n, h, n].
    let units = |row: usize| {
        let eye = Tensor::<2>::eye(pairs, device)
            .cast(FloatDType::F64)
            .unsqueeze_dim::<3>(1)
            .expand([pairs, channels, pairs]);
        let zeros = eye.zeros_like();
        Tensor::cat(if row == 0 { vec![eye, zeros] } else { vec![zeros, eye] }, 0)
    };
    let rounds = rounds(space, length);
    let silence = Tensor::zeros([2 * pairs, rounds * length, channels], options);
    let (read, _) = space.forward(silence, None, Complex::new(units(0), units(1)));
    let ends = read.reshape([2 * pairs, rounds, length, channels]).narrow(2, length - 1, 1);
    let sums = ends.sum_dim(1).reshape([2, pairs, channels]).div_scalar(2.0); // Re c, −Im c
    let part = |row: usize| sums.clone().narrow(0, row, 1).squeeze_dim::<2>(0).transpose();
    c + Tensor::stack::<3>(vec![part(0), part(1).neg()], 2)
}

#[test]
fn a_block_with_a_low_rank_equals_the_reference() {
    let (device, golden) = (autodiff(), Golden::load("09_s4_block__dplr_l16"));
    let (length, prefix) = (16, "params.layer.kernel.");
    let mut layer = double(S4Config::new(3).with_d_state(8).init(&device));
    layer.space = low_rank(&golden, prefix, "params.layer.kernel.C", &device);
    fill_output(&mut layer.output, &golden, "layer.D", &device);
    let input = golden.tensor::<3>("x", &device).require_grad();
    let upstream = golden.tensor::<3>("do", &device);

    let read = convolved(input.clone(), wrapped_filter(&layer.space, length));
    let output = turned(layer.output.forward(turned(read), turned(input.clone())));
    check(output.clone(), &golden, "o");
    let gradients = (output * upstream.clone()).sum().backward();
    check(input.grad(&gradients).unwrap(), &golden, "d_x");
    check_low_rank(&layer.space, &golden, "d_params.layer.kernel.", &gradients);
    check(gradient(&layer.space.c, &gradients), &golden, "d_params.layer.kernel.C");
    check_output(&layer.output, &golden, "layer.D", &gradients);

    let c = true_reader(&layer.space, length, &device);
    layer.space.c = Param::from_tensor(c.detach());
    let (output, state) = layer.forward(turned(input.clone()), None);
    let output = turned(output);
    check(output.clone(), &golden, "o");
    check(output.clone(), &golden, "step.o");
    check(joined(Complex::new(state.real, state.imaginary)), &golden, "step.final_state");
    let gradients = (output * upstream).sum().backward();
    check(input.grad(&gradients).unwrap(), &golden, "d_x");
    check_output(&layer.output, &golden, "layer.D", &gradients);
}
