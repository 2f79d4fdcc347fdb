//! Cases of the selective scan.

use crate::ladder::segments::Segmented;
use crate::ladder::{Case, Change, Operator, Tolerance};
use crate::{Inputs, autodiff};
use burn::tensor::{Bool, DType, Device, Tensor};
use seqzoo::ops::selective_scan::{SelectiveScanOptions, selective_scan, selective_scan_report};
use seqzoo::ops::{Form, Report, Segments};

/// The size of the states: not a multiple of what a kernel takes at once.
const SIZE: usize = 5;

/// The optional parts of the operator.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    /// The recurrence alone, one group.
    Bare,
    /// With logarithms of rates, a bias, softplus, limits, skip and gate.
    Full,
    /// As `Full`, with as many groups as channels where that is an odd number, and else two.
    Grouped,
}

/// The inputs of the selective scan.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `selective_scan` and the options of the same names")]
pub struct SelectiveScan {
    pub input: Tensor<3>,
    pub delta: Tensor<3>,
    pub a: Tensor<2>,
    pub b: Tensor<4>,
    pub c: Tensor<4>,
    pub delta_bias: Option<Tensor<1>>,
    pub d: Option<Tensor<1>>,
    pub z: Option<Tensor<3>>,
    pub limits: Option<(f64, f64)>,
}

impl SelectiveScan {
    /// Random inputs with so many groups, and states of `size` numbers.
    pub fn sized(kind: Kind, shape: &[usize; 3], groups: usize, size: usize, inputs: &mut Inputs) -> Self {
        let [batch, time, channels] = *shape;
        let full = kind != Kind::Bare;
        let shared = [batch, time, groups, size];
        Self {
            input: inputs.uniform(*shape),
            // Steps themselves, or what softplus makes steps of.
            delta: if full { inputs.between(*shape, -4.0, 2.0) } else { inputs.between(*shape, 0.01, 1.0) },
            // Rates, or their logarithms.
            a: if full {
                inputs.between([channels, size], -4.0, 1.4)
            } else {
                inputs.between([channels, size], -4.0, -0.01)
            },
            b: inputs.uniform(shared),
            c: inputs.uniform(shared),
            delta_bias: full.then(|| inputs.uniform([channels])),
            d: full.then(|| inputs.uniform([channels])),
            z: full.then(|| inputs.uniform(*shape)),
            limits: full.then_some((0.02, 1.5)),
        }
    }
}

impl SelectiveScan {
    /// A call with these options, and those that the case has.
    fn call(&self, options: SelectiveScanOptions) -> (Tensor<3>, Tensor<3>) {
        let Self { input, delta, a, b, c, delta_bias, d, z, limits } = self.clone();
        let delta_softplus = delta_bias.is_some();
        let options = SelectiveScanOptions {
            a_log: delta_softplus,
            delta_bias,
            delta_softplus,
            delta_limits: limits,
            d,
            z,
            ..options
        };
        selective_scan(input, delta, a, b, c, options)
    }
}

impl Segmented for SelectiveScan {
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
        self.call(SelectiveScanOptions { initial_state, resets, segments, form, ..Default::default() })
    }
}

/// A bare case whose steps and rates change from one number of a pair to the other.
pub fn alternating(steps: [f64; 2], rates: [f64; 2]) -> Case<SelectiveScan> {
    let mut case = Case::<SelectiveScan>::random(Kind::Bare, &[2, 90, 6], 3, &autodiff());
    let alternate = |count: usize, pair: [f64; 2]| {
        let numbers: Vec<f64> = (0..count).map(|i| pair[usize::from(i % 3 == 0)]).collect();
        Tensor::<1>::from_data(numbers.as_slice(), (&autodiff(), DType::F64))
    };
    let (delta, a) = (case.inputs.delta.dims(), case.inputs.a.dims());
    case.inputs.delta = alternate(delta.iter().product(), steps).reshape(delta);
    case.inputs.a = alternate(a.iter().product(), rates).reshape(a);
    case
}

impl Operator for SelectiveScan {
    type Kind = Kind;
    type Shape = [usize; 3];
    type Output = Tensor<3>;
    type State = Tensor<3>;

    const KINDS: &'static [Kind] = &[Kind::Bare, Kind::Full, Kind::Grouped];
    const TOLERANCE: Tolerance = Tolerance { exact: 1e-11, harsh: 1e-11, single: 5e-6 };

    fn shape(time: usize) -> [usize; 3] {
        [3, time, 6]
    }

    fn random(kind: Kind, shape: &[usize; 3], inputs: &mut Inputs) -> Self {
        let channels = shape[2];
        let groups = match kind {
            Kind::Grouped if channels.is_multiple_of(2) => 2,
            Kind::Grouped => channels,
            _ => 1,
        };
        Self::sized(kind, shape, groups, SIZE, inputs)
    }

    fn random_state(_: Kind, [batch, _, channels]: &[usize; 3], inputs: &mut Inputs) -> Tensor<3> {
        inputs.uniform([*batch, *channels, SIZE])
    }

    fn random_output(shape: &[usize; 3], inputs: &mut Inputs) -> Tensor<3> {
        inputs.uniform(*shape)
    }

    fn map(self, change: &mut impl Change) -> Self {
        Self {
            input: change.of("u", self.input),
            delta: change.of("delta", self.delta),
            a: change.of("A", self.a),
            b: change.of("B", self.b),
            c: change.of("C", self.c),
            delta_bias: self.delta_bias.map(|bias| change.of("delta_bias", bias)),
            d: self.d.map(|d| change.of("D", d)),
            z: self.z.map(|z| change.of("z", z)),
            limits: self.limits,
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
        self.call(SelectiveScanOptions { initial_state, resets, form, ..Default::default() })
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        selective_scan_report(time, &SelectiveScanOptions { form, ..Default::default() }, device)
    }
}
