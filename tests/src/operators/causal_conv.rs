//! Cases of the short convolution.

use crate::Inputs;
use crate::ladder::segments::Segmented;
use crate::ladder::{Change, Operator, Tolerance};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::ops::causal_conv::{CausalConvOptions, causal_conv, causal_conv_report};
use seqzoo::ops::{Form, Report, Segments};

const WIDTH: usize = 4;

/// The inputs of the short convolution.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `causal_conv` and the options of the same names")]
pub struct CausalConv {
    pub input: Tensor<3>,
    pub weight: Tensor<2>,
    pub bias: Option<Tensor<1>>,
    pub silu: bool,
}

impl CausalConv {
    /// A call with these options, and the bias and the activation of the case.
    fn call(&self, options: CausalConvOptions) -> (Tensor<3>, Tensor<3>) {
        let Self { input, weight, bias, silu } = self.clone();
        causal_conv(input, weight, CausalConvOptions { bias, silu, ..options })
    }
}

impl Operator for CausalConv {
    /// Whether there are a bias and an activation.
    type Kind = bool;
    type Shape = [usize; 3];
    type Output = Tensor<3>;
    type State = Tensor<3>;

    const KINDS: &'static [bool] = &[false, true];
    const TOLERANCE: Tolerance = Tolerance { exact: 1e-12, harsh: 1e-12, single: 2e-6 };

    fn shape(time: usize) -> [usize; 3] {
        [3, time, 19]
    }

    fn random(more: bool, shape: &[usize; 3], inputs: &mut Inputs) -> Self {
        let [_, _, channels] = *shape;
        Self {
            input: inputs.uniform(*shape),
            weight: inputs.uniform([channels, WIDTH]),
            bias: more.then(|| inputs.uniform([channels])),
            silu: more,
        }
    }

    fn random_state(_: bool, [batch, _, channels]: &[usize; 3], inputs: &mut Inputs) -> Tensor<3> {
        inputs.uniform([*batch, WIDTH - 1, *channels])
    }

    fn random_output(shape: &[usize; 3], inputs: &mut Inputs) -> Tensor<3> {
        inputs.uniform(*shape)
    }

    fn map(self, change: &mut impl Change) -> Self {
        Self {
            input: change.of("x", self.input),
            weight: change.of("weight", self.weight),
            bias: self.bias.map(|bias| change.of("bias", bias)),
            ..self
        }
    }

    fn map_output(output: Tensor<3>, change: &mut impl Change) -> Tensor<3> {
        change.of("o", output)
    }

    fn map_state(state: Tensor<3>, change: &mut impl Change) -> Tensor<3> {
        change.of("state", state)
    }

    fn join(outputs: Vec<Tensor<3>>) -> Tensor<3> {
        Tensor::cat(outputs, 1)
    }

    fn run(
        &self,
        initial_state: Option<Tensor<3>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<3>, Tensor<3>) {
        self.call(CausalConvOptions { initial_state, resets, form, ..Default::default() })
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        causal_conv_report(time, &CausalConvOptions { form, ..Default::default() }, device)
    }
}

impl Segmented for CausalConv {
    const FORMS: &'static [Form] = &[Form::Naive, Form::Parallel, Form::Kernel, Form::Auto];

    fn resized([_, _, channels]: [usize; 3], batch: usize, time: usize) -> [usize; 3] {
        [batch, time, channels]
    }

    fn run_segments(
        &self,
        segments: Segments,
        initial_state: Option<Tensor<3>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<3>, Tensor<3>) {
        let segments = Some(segments);
        self.call(CausalConvOptions { initial_state, resets, segments, form, ..Default::default() })
    }
}
