//! The Legendre memory unit is the delay network that it says.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use seqzoo::SequenceMixer;
use seqzoo::layers::*;
use seqzoo::parts::{ProjectionInit, System};
use seqzoo_tests::{Inputs, double, largest_error, plain, values};

/// A layer of one memory whose signal is the first channel and whose output is the memory.
fn bare(order: usize, theta: f64, device: &Device) -> Lmu {
    let config = LmuConfig::new(order)
        .with_order(order)
        .with_theta(theta)
        .with_input_activation(LmuActivation::Identity)
        .with_output_activation(LmuActivation::Identity)
        .with_initializer(ProjectionInit::FanIn); // biases of zero
    let mut layer = double(config.init(device));
    let eye = Tensor::<2>::eye(order, device).cast(burn::tensor::FloatDType::F64);
    layer.write.weight = Param::from_tensor(eye.clone().narrow(1, 0, 1));
    layer.skip.weight = Param::from_tensor(eye.zeros_like());
    layer.read.weight = Param::from_tensor(eye);
    layer
}

/// One token of `θ m' = A m + B u` by many steps of the classic Runge-Kutta rule.
fn integrate(system: &System, theta: f64, memory: &mut [f64], signal: f64) {
    let order = memory.len();
    let slope = |m: &[f64]| -> Vec<f64> {
        let rows = system.a.chunks_exact(order).zip(&system.b);
        rows.map(|(row, b)| (row.iter().zip(m).map(|(a, x)| a * x).sum::<f64>() + b * signal) / theta)
            .collect()
    };
    let steps = 2000;
    let h = 1.0 / steps as f64;
    let ahead =
        |m: &[f64], k: &[f64], h: f64| -> Vec<f64> { m.iter().zip(k).map(|(m, k)| m + h * k).collect() };
    for _ in 0..steps {
        let first = slope(memory);
        let second = slope(&ahead(memory, &first, h / 2.0));
        let third = slope(&ahead(memory, &second, h / 2.0));
        let fourth = slope(&ahead(memory, &third, h));
        for n in 0..order {
            memory[n] += h / 6.0 * (first[n] + 2.0 * second[n] + 2.0 * third[n] + fourth[n]);
        }
    }
}

#[test]
fn the_memory_follows_the_differential_equation() {
    let device = plain();
    for (order, theta) in [(1, 4.0), (6, 10.0), (9, 1.0)] {
        let layer = bare(order, theta, &device);
        let input = Inputs::new(3, &device).uniform::<3>([1, 40, order]);
        let signals = values(input.clone().narrow(2, 0, 1));
        let found = values(layer.forward(input, None).0);
        let (system, mut memory) = (System::delay(order), vec![0.0; order]);
        let mut wanted = Vec::new();
        for signal in signals {
            integrate(&system, theta, &mut memory, signal);
            wanted.extend_from_slice(&memory);
        }
        let error = largest_error(&found, &wanted);
        assert!(error <= 1e-10, "order {order}, theta {theta}: {error:e}");
    }
}

/// The coefficients, as shifted Legendre polynomials at the far end of the window, are the signal of `θ` tokens ago.
#[test]
fn a_smooth_signal_is_remembered_over_the_window() {
    let device = plain();
    let (order, theta, time) = (12, 100usize, 600usize);
    let layer = bare(order, theta as f64, &device);
    let signal = |t: usize| (t as f64 / 35.0).sin();
    let mut numbers = vec![0.0; time * order];
    (0..time).for_each(|t| numbers[t * order] = signal(t));
    let input = Tensor::<3>::from_data(
        TensorData::new(numbers, [1, time, order]),
        (&device, burn::tensor::DType::F64),
    );
    let memories = values(layer.forward(input, None).0);
    for t in 300..time {
        // All shifted Legendre polynomials are 1 at the far end.
        let recalled: f64 = memories[t * order..(t + 1) * order].iter().sum();
        // A held token stands, in the mean, for half a token earlier.
        let wanted = 0.5 * (signal(t - theta) + signal(t + 1 - theta));
        assert!((recalled - wanted).abs() < 1e-3, "{t}: {recalled} for {wanted}");
    }
}

#[test]
fn a_memory_of_the_largest_order_stays_finite() {
    let device = plain();
    let layer = LmuConfig::new(2).with_order(512).with_theta(1000.0).init(&device);
    let input = Inputs::single(3, &device).uniform::<3>([1, 70, 2]);
    let (output, state) = layer.forward(input, None);
    assert!(values(output).iter().chain(&values(state.memory)).all(|x| x.is_finite()));
}

#[test]
fn a_window_has_tokens_and_coefficients() {
    let device = plain();
    let message = |config: LmuConfig| config.try_init(&device).map(|_| ()).unwrap_err().to_string();
    let lmu = LmuConfig::new(4);
    assert_eq!(message(lmu.clone().with_order(0)), "lmu: order = 0, but 1 to 512 coefficients are wanted");
    assert!(message(lmu.clone().with_order(513)).contains("order = 513"));
    for theta in [0.0, 0.5, -1.0, f64::NAN, f64::INFINITY] {
        assert!(message(lmu.clone().with_theta(theta)).contains("at least 1 token is wanted"));
    }
    assert!(message(lmu.with_memory_channels(0)).contains("memory_channels is 0"));
    assert!(message(LmuConfig::new(0)).contains("d_model is 0"));
}
