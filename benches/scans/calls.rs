//! The tasks as calls of this library.

use burn::module::Module;
use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Distribution, Tensor, activation::softplus};
use seqzoo::SequenceMixer;
use seqzoo::layers::{Mamba, MambaConfig};
use seqzoo::ops::causal_conv::long::{LongConvOptions, long_conv as convolve};
use seqzoo::ops::diagonal_ssm::{DiagonalSsmOptions, diagonal_ssm};
use seqzoo::ops::linear_scan::{ComplexFactor, Factor, LinearScanOptions, complex_linear_scan, linear_scan};
use seqzoo::ops::selective_scan::{SelectiveScanOptions, selective_scan};
use seqzoo::ops::{Complex, Form};
use seqzoo::parts::{DiagonalStateSpace, DiagonalStateSpaceConfig, SsdOptions, ssd as mamba2};

/// Inputs of a task. On a device with autodiff all of them are leaves whose gradients are recorded.
pub trait Call {
    /// The outputs for all tokens, from a state of zeros.
    fn run(&self, form: Form) -> Vec<Tensor<3>>;
}

impl<F: Fn(Form) -> Vec<Tensor<3>>> Call for F {
    fn run(&self, form: Form) -> Vec<Tensor<3>> {
        self(form)
    }
}

/// The sum of squares of the outputs, as the peers have it.
pub fn loss(outputs: Vec<Tensor<3>>) -> Tensor<1> {
    let sums = outputs.into_iter().map(|output| output.square().sum());
    sums.reduce(|a, b| a + b).expect("a call has outputs")
}

/// Normal random numbers.
fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    leaf(Tensor::random(shape, Distribution::Normal(0.0, 1.0), device))
}

/// Records the gradient of `tensor` where its device does.
fn leaf<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.device().is_autodiff() { tensor.detach().require_grad() } else { tensor }
}

/// Steps as they are initially: softplus of normal numbers around -4.
fn steps(shape: [usize; 3], device: &Device) -> Tensor<3> {
    leaf(softplus(normal(shape, device).sub_scalar(4.0), 1.0))
}

pub fn selective(shape: &[usize], device: &Device) -> Box<dyn Call> {
    let &[batch, time, channels, size] = shape else { unreachable!("the shape has four numbers") };
    let input = normal([batch, time, channels], device);
    let delta = steps([batch, time, channels], device);
    let rates = Tensor::<2>::ones([channels, size], device).cumsum(1).neg();
    let rates = leaf(rates);
    let [b, c] = [(); 2].map(|()| normal([batch, time, 1, size], device));
    Box::new(move |form| {
        let options = SelectiveScanOptions { form, ..Default::default() };
        let (input, delta, rates) = (input.clone(), delta.clone(), rates.clone());
        vec![selective_scan(input, delta, rates, b.clone(), c.clone(), options).0]
    })
}

pub fn ssd(shape: &[usize], device: &Device) -> Box<dyn Call> {
    let &[batch, time, heads, value, key] = shape else { unreachable!("the shape has five numbers") };
    let x = normal([batch, time, heads, value], device);
    let dt = steps([batch, time, heads], device);
    let rates = Tensor::<1>::random([heads], Distribution::Uniform(-16.0, -1.0), device);
    let rates = leaf(rates);
    let [b, c] = [(); 2].map(|()| normal([batch, time, 1, key], device));
    Box::new(move |form| {
        let options = SsdOptions { form, ..Default::default() };
        let output = mamba2(x.clone(), dt.clone(), rates.clone(), b.clone(), c.clone(), options).0;
        vec![output.reshape([batch, time, heads * value])]
    })
}

/// Factors between 0 and 1, most of them near 1.
fn factors(shape: [usize; 3], device: &Device) -> Tensor<3> {
    burn::tensor::activation::sigmoid(normal(shape, device).add_scalar(3.0)).detach()
}

pub fn linear(shape: &[usize], device: &Device) -> Box<dyn Call> {
    let &[batch, time, channels] = shape else { unreachable!("the shape has three numbers") };
    let input = normal([batch, time, channels], device);
    let factor = leaf(factors([batch, time, channels], device));
    Box::new(move |form| {
        let options = LinearScanOptions { form, ..Default::default() };
        vec![linear_scan(input.clone(), Factor::PerToken(factor.clone()), options).0]
    })
}

pub fn complex(shape: &[usize], device: &Device) -> Box<dyn Call> {
    let &[batch, time, channels] = shape else { unreachable!("the shape has three numbers") };
    let shape = [batch, time, channels];
    let input = Complex::new(normal(shape, device), normal(shape, device));
    let (length, angle) = (factors(shape, device), normal(shape, device).detach());
    let factor = Complex::new(leaf(length.clone() * angle.clone().cos()), leaf(length * angle.sin()));
    Box::new(move |form| {
        let options = LinearScanOptions { form, initial_state: None, resets: None, segments: None };
        let states = complex_linear_scan(input.clone(), ComplexFactor::PerToken(factor.clone()), options).0;
        vec![states.re, states.im]
    })
}

/// The parameters of S4D for channels with states of `size` numbers.
pub fn state_space(channels: usize, size: usize, device: &Device) -> DiagonalStateSpace {
    let config = DiagonalStateSpaceConfig::new(channels).with_d_state(size);
    config.try_init("s4d", device).expect("the configuration is right")
}

pub fn s4d(shape: &[usize], device: &Device) -> Box<dyn Call> {
    let &[batch, time, channels, size] = shape else { unreachable!("the shape has four numbers") };
    let input = normal([batch, time, channels], device);
    let parameters = state_space(channels, size, device);
    Box::new(move |form| {
        let (eigenvalues, weights) = parameters.discretised();
        let options = DiagonalSsmOptions { form, ..Default::default() };
        vec![diagonal_ssm(input.clone(), eigenvalues, weights, options).0]
    })
}

pub fn long_conv(shape: &[usize], device: &Device) -> Box<dyn Call> {
    let &[batch, time, channels] = shape else { unreachable!("the shape has three numbers") };
    let input = normal([batch, time, channels], device);
    let filter = leaf(normal([channels, time], device).detach().div_scalar((time as f64).sqrt()));
    Box::new(move |form| {
        let options = LongConvOptions { form, ..Default::default() };
        vec![convolve(input.clone(), filter.clone(), options).0]
    })
}

/// A Mamba layer with a norm before and the input added after.
#[derive(Module, Debug)]
struct Block {
    norm: RmsNorm,
    mamba: Mamba,
}

pub fn mamba(shape: &[usize], device: &Device) -> Box<dyn Call> {
    let &[batch, time, d_model, layers] = shape else { unreachable!("the shape has four numbers") };
    let input = normal([batch, time, d_model], device);
    let blocks: Vec<Block> = (0..layers)
        .map(|_| Block {
            norm: RmsNormConfig::new(d_model).init(device),
            mamba: MambaConfig::new(d_model).try_init(device).expect("the configuration is right"),
        })
        .collect();
    Box::new(move |_| {
        let stream = blocks.iter().fold(input.clone(), |stream, block| {
            stream.clone() + block.mamba.forward(block.norm.forward(stream), None).0
        });
        vec![stream]
    })
}
