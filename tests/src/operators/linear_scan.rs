//! Cases of the linear scan, real and complex.

use super::complex;
use crate::Inputs;
use crate::ladder::segments::Segmented;
use crate::ladder::{Change, Operator, Tolerance};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::ops::linear_scan::{
    ComplexFactor, Factor, LinearScanOptions, complex_linear_scan, linear_scan, linear_scan_report,
};
use seqzoo::ops::{Complex, Form, Report, Segments};

/// Which factors there are.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants of `Factor`")]
pub enum Kind {
    PerChannel,
    PerToken,
}

const KINDS: &[Kind] = &[Kind::PerChannel, Kind::PerToken];
const TOLERANCE: Tolerance = Tolerance { exact: 1e-12, harsh: 1e-12, single: 2e-6 };

/// The inputs of the real scan.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `linear_scan`")]
pub struct LinearScan {
    pub input: Tensor<3>,
    pub factor: Factor,
}

/// Factors of both signs, and some that are exactly 0, 1 and -1.
fn factors<const D: usize>(shape: [usize; D], inputs: &mut Inputs) -> Tensor<D> {
    let drawn = inputs.between(shape, -1.2, 1.2);
    let near_zero = drawn.clone().abs().lower_scalar(0.1);
    drawn.clamp(-1.0, 1.0).mask_fill(near_zero, 0.0)
}

impl Operator for LinearScan {
    type Kind = Kind;
    type Shape = [usize; 3];
    type Output = Tensor<3>;
    type State = Tensor<2>;

    const KINDS: &'static [Kind] = KINDS;
    const TOLERANCE: Tolerance = TOLERANCE;

    fn shape(time: usize) -> [usize; 3] {
        [3, time, 19]
    }

    fn random(kind: Kind, shape: &[usize; 3], inputs: &mut Inputs) -> Self {
        let factor = match kind {
            Kind::PerChannel => Factor::PerChannel(factors([shape[2]], inputs)),
            Kind::PerToken => Factor::PerToken(factors(*shape, inputs)),
        };
        Self { input: inputs.uniform(*shape), factor }
    }

    fn random_state(_: Kind, [batch, _, channels]: &[usize; 3], inputs: &mut Inputs) -> Tensor<2> {
        inputs.uniform([*batch, *channels])
    }

    fn random_output(shape: &[usize; 3], inputs: &mut Inputs) -> Tensor<3> {
        inputs.uniform(*shape)
    }

    fn map(self, change: &mut impl Change) -> Self {
        let factor = match self.factor {
            Factor::PerChannel(factor) => Factor::PerChannel(change.of("a", factor)),
            Factor::PerToken(factor) => Factor::PerToken(change.of("a", factor)),
        };
        Self { input: change.of("x", self.input), factor }
    }

    fn map_output(output: Tensor<3>, change: &mut impl Change) -> Tensor<3> {
        change.of("o", output)
    }

    fn map_state(state: Tensor<2>, change: &mut impl Change) -> Tensor<2> {
        change.of("state", state)
    }

    fn join(outputs: Vec<Tensor<3>>) -> Tensor<3> {
        Tensor::cat(outputs, 1)
    }

    fn run(
        &self,
        initial_state: Option<Tensor<2>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<3>, Tensor<2>) {
        let Self { input, factor } = self.clone();
        linear_scan(input, factor, LinearScanOptions { initial_state, resets, form, ..Default::default() })
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        linear_scan_report(time, &LinearScanOptions::<Tensor<2>> { form, ..Default::default() }, device)
    }
}

impl Segmented for LinearScan {
    fn resized([_, _, channels]: [usize; 3], batch: usize, time: usize) -> [usize; 3] {
        [batch, time, channels]
    }

    fn run_segments(
        &self,
        segments: Segments,
        initial_state: Option<Tensor<2>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<3>, Tensor<2>) {
        let Self { input, factor } = self.clone();
        linear_scan(
            input,
            factor,
            LinearScanOptions { initial_state, resets, segments: Some(segments), form },
        )
    }
}

/// The inputs of the complex scan.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `complex_linear_scan`")]
pub struct ComplexLinearScan {
    pub input: Complex<3>,
    pub factor: ComplexFactor,
}

/// Factors of any angle and a length up to 1, which some have exactly; some are exactly 0.
fn complex_factors<const D: usize>(shape: [usize; D], inputs: &mut Inputs) -> Complex<D> {
    let length = factors(shape, inputs).abs();
    let angle = inputs.between(shape, -3.2, 3.2);
    Complex::new(length.clone() * angle.clone().cos(), length * angle.sin())
}

impl Operator for ComplexLinearScan {
    type Kind = Kind;
    type Shape = [usize; 3];
    type Output = Complex<3>;
    type State = Complex<2>;

    const KINDS: &'static [Kind] = KINDS;
    const TOLERANCE: Tolerance = TOLERANCE;

    fn shape(time: usize) -> [usize; 3] {
        [3, time, 19]
    }

    fn random(kind: Kind, shape: &[usize; 3], inputs: &mut Inputs) -> Self {
        let factor = match kind {
            Kind::PerChannel => ComplexFactor::PerChannel(complex_factors([shape[2]], inputs)),
            Kind::PerToken => ComplexFactor::PerToken(complex_factors(*shape, inputs)),
        };
        Self { input: complex::random(*shape, 1.0, inputs), factor }
    }

    fn random_state(_: Kind, [batch, _, channels]: &[usize; 3], inputs: &mut Inputs) -> Complex<2> {
        complex::random([*batch, *channels], 1.0, inputs)
    }

    fn random_output(shape: &[usize; 3], inputs: &mut Inputs) -> Complex<3> {
        complex::random(*shape, 1.0, inputs)
    }

    fn map(self, change: &mut impl Change) -> Self {
        let factor = match self.factor {
            ComplexFactor::PerChannel(factor) => ComplexFactor::PerChannel(complex::map(factor, "a", change)),
            ComplexFactor::PerToken(factor) => ComplexFactor::PerToken(complex::map(factor, "a", change)),
        };
        Self { input: complex::map(self.input, "x", change), factor }
    }

    fn map_output(output: Complex<3>, change: &mut impl Change) -> Complex<3> {
        complex::map(output, "o", change)
    }

    fn map_state(state: Complex<2>, change: &mut impl Change) -> Complex<2> {
        complex::map(state, "state", change)
    }

    fn join(outputs: Vec<Complex<3>>) -> Complex<3> {
        complex::join(outputs)
    }

    fn run(
        &self,
        initial_state: Option<Complex<2>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Complex<3>, Complex<2>) {
        let Self { input, factor } = self.clone();
        complex_linear_scan(
            input,
            factor,
            LinearScanOptions { initial_state, resets, form, ..Default::default() },
        )
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        LinearScan::report(time, form, device)
    }
}

impl Segmented for ComplexLinearScan {
    fn resized([_, _, channels]: [usize; 3], batch: usize, time: usize) -> [usize; 3] {
        [batch, time, channels]
    }

    fn run_segments(
        &self,
        segments: Segments,
        initial_state: Option<Complex<2>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Complex<3>, Complex<2>) {
        let Self { input, factor } = self.clone();
        let options = LinearScanOptions { initial_state, resets, segments: Some(segments), form };
        complex_linear_scan(input, factor, options)
    }
}
