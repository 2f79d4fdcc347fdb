//! Cases of the diagonal state space.

use super::complex;
use crate::Inputs;
use crate::ladder::{Change, Operator, Tolerance};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::ops::diagonal_ssm::{DiagonalSsmOptions, diagonal_ssm, diagonal_ssm_report};
use seqzoo::ops::{Complex, Form, Report};

/// The lengths of the eigenvalues, and the size of the states: what a kernel takes at once, and less.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    /// Eigenvalues anywhere within the circle; 5 numbers.
    Fading,
    /// Eigenvalues on the unit circle, some of them 0; 3 numbers.
    Turning,
}

/// The inputs of the diagonal state space.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `diagonal_ssm`")]
pub struct DiagonalSsm {
    pub input: Tensor<3>,
    pub eigenvalues: Complex<2>,
    pub weights: Complex<2>,
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Self::Fading => 5,
            Self::Turning => 3,
        }
    }
}

impl Operator for DiagonalSsm {
    type Kind = Kind;
    type Shape = [usize; 3];
    type Output = Tensor<3>;
    type State = Complex<3>;

    const KINDS: &'static [Kind] = &[Kind::Fading, Kind::Turning];
    const TOLERANCE: Tolerance = Tolerance { exact: 1e-10, harsh: 1e-10, single: 5e-5 };

    fn shape(time: usize) -> [usize; 3] {
        [3, time, 6]
    }

    fn random(kind: Kind, shape: &[usize; 3], inputs: &mut Inputs) -> Self {
        let diagonal = [shape[2], kind.size()];
        let angle = inputs.between(diagonal, -3.2, 3.2);
        let length = match kind {
            Kind::Fading => inputs.between(diagonal, 0.0, 0.999),
            Kind::Turning => {
                let zeros = inputs.uniform::<2>(diagonal).lower_scalar(-0.8);
                angle.ones_like().mask_fill(zeros, 0.0)
            }
        };
        Self {
            input: inputs.uniform(*shape),
            eigenvalues: Complex::new(length.clone() * angle.clone().cos(), length * angle.sin()),
            weights: complex::random(diagonal, 1.0, inputs),
        }
    }

    fn random_state(kind: Kind, [batch, _, channels]: &[usize; 3], inputs: &mut Inputs) -> Complex<3> {
        complex::random([*batch, *channels, kind.size()], 1.0, inputs)
    }

    fn random_output(shape: &[usize; 3], inputs: &mut Inputs) -> Tensor<3> {
        inputs.uniform(*shape)
    }

    fn map(self, change: &mut impl Change) -> Self {
        Self {
            input: change.of("u", self.input),
            eigenvalues: complex::map(self.eigenvalues, "lambda", change),
            weights: complex::map(self.weights, "w", change),
        }
    }

    fn map_output(output: Tensor<3>, change: &mut impl Change) -> Tensor<3> {
        change.of("o", output)
    }

    fn map_state(state: Complex<3>, change: &mut impl Change) -> Complex<3> {
        complex::map(state, "state", change)
    }

    fn join(outputs: Vec<Tensor<3>>) -> Tensor<3> {
        Tensor::cat(outputs, 1)
    }

    fn run(
        &self,
        initial_state: Option<Complex<3>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<3>, Complex<3>) {
        let Self { input, eigenvalues, weights } = self.clone();
        diagonal_ssm(input, eigenvalues, weights, DiagonalSsmOptions { initial_state, resets, form })
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        diagonal_ssm_report(time, &DiagonalSsmOptions { form, ..Default::default() }, device)
    }
}
