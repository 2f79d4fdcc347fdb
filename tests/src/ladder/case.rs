//! One problem, run in any form, with the gradients of all its inputs.

use super::Operator;
use super::change::{Cast, Change, HarshDecays, MoveTo, Redrawn, Row, TinyDecays, Tokens, Track};
use crate::{Inputs, Outcome, flags};
use burn::tensor::{Bool, DType, Device, FloatDType, Gradients, Tensor};
use seqzoo::ops::Form;

/// A problem: what an operator is given, and the cotangents of what it returns.
#[derive(Clone, Debug)]
pub struct Case<O: Operator> {
    /// The inputs of the operator.
    pub inputs: O,
    /// The state before the first token; `None`: zeros.
    pub state: Option<O::State>,
    /// Where the state is cleared, `[B, T]`.
    pub resets: Option<Tensor<2, Bool>>,
    /// The gradient of the loss with respect to the output.
    pub output_cotangent: O::Output,
    /// The gradient of the loss with respect to the final state.
    pub state_cotangent: O::State,
}

impl<O: Operator> Case<O> {
    /// Random inputs with an initial state and random cotangents on output and final state.
    pub fn random(kind: O::Kind, shape: &O::Shape, seed: u64, device: &Device) -> Self {
        let random = &mut Inputs::new(seed, device);
        let inputs = O::random(kind, shape, random);
        let state = O::random_state(kind, shape, random);
        Self {
            inputs,
            state: Some(state.clone()),
            resets: None,
            output_cotangent: O::random_output(shape, random),
            state_cotangent: O::map_state(state, &mut Redrawn(random)),
        }
    }

    /// With random resets, of this probability.
    pub fn with_resets(mut self, seed: u64, probability: f64) -> Self {
        let (tokens, device) = self.tokens();
        self.resets = Some(Inputs::new(seed, &device).flags(tokens, probability));
        self
    }

    /// With resets at these tokens of every sequence.
    pub fn with_resets_at(mut self, tokens: &[usize]) -> Self {
        let ([batch, time], device) = self.tokens();
        self.resets = Some(flags(batch, time, tokens, &device));
        self
    }

    /// Batch and time, and the device.
    fn tokens(&self) -> ([usize; 2], Device) {
        let mut found = Place(None);
        O::map_output(self.output_cotangent.clone(), &mut found);
        found.0.expect("an output has a tensor")
    }

    /// With tokens that forget almost everything among tokens that forget nothing.
    pub fn with_harsh_decays(self) -> Self {
        self.map_inputs(&mut HarshDecays)
    }

    /// With tokens that all forget almost everything.
    pub fn with_tiny_decays(self) -> Self {
        self.map_inputs(&mut TinyDecays)
    }

    /// Every tensor that the loss depends on, changed.
    pub fn map_inputs(self, change: &mut impl Change) -> Self {
        Self {
            inputs: self.inputs.map(change),
            state: self.state.map(|state| O::map_state(state, change)),
            ..self
        }
    }

    /// Every tensor changed.
    pub fn map(self, change: &mut impl Change) -> Self {
        let case = self.map_inputs(change);
        Self {
            output_cotangent: O::map_output(case.output_cotangent, change),
            state_cotangent: O::map_state(case.state_cotangent, change),
            ..case
        }
    }

    /// In another float type.
    pub fn cast(self, dtype: FloatDType) -> Self {
        self.map(&mut Cast(dtype))
    }

    /// On another device, in a float type that it has.
    pub fn on(self, device: &Device, dtype: DType) -> Self {
        let resets = self.resets.as_ref().map(|resets| Tensor::from_data(resets.to_data(), device));
        Self { resets, ..self.map(&mut MoveTo(device, dtype)) }
    }

    /// The tokens `from .. to`, starting from `state`.
    pub fn part(&self, from: usize, to: usize, state: Option<O::State>) -> Self {
        let cut = &mut Tokens(from..to);
        Self {
            inputs: self.inputs.clone().map(cut),
            state,
            resets: self.resets.clone().map(|resets| resets.narrow(1, from, to - from)),
            output_cotangent: O::map_output(self.output_cotangent.clone(), cut),
            state_cotangent: self.state_cotangent.clone(),
        }
    }

    /// The sequence `row` of the batch alone.
    pub fn row(&self, row: usize) -> Self {
        let resets = self.resets.clone().map(|resets| resets.narrow(0, row, 1));
        Self { resets, ..self.clone().map(&mut Row(row)) }
    }

    /// With all inputs as leaves whose gradients are recorded.
    pub fn tracked(self) -> Self {
        self.map_inputs(&mut Track)
    }

    /// Output and final state.
    pub fn run(&self, form: Form) -> (O::Output, O::State) {
        self.inputs.run(self.state.clone(), self.resets.clone(), form)
    }

    /// Output and final state of a run in parts that end at `ends`, carrying the state.
    pub fn in_parts(&self, ends: impl IntoIterator<Item = usize>, form: Form) -> (O::Output, O::State) {
        let (mut from, mut state, mut outputs) = (0, self.state.clone(), Vec::new());
        for end in ends {
            let (output, next) = self.part(from, end, state).run(form);
            outputs.push(output);
            (from, state) = (end, Some(next));
        }
        (O::join(outputs), state.expect("there is a part"))
    }

    /// The scalar `Σ output · cotangent + Σ final state · cotangent`.
    pub fn loss(&self, output: O::Output, state: O::State) -> Tensor<1> {
        self.output_loss(output) + self.state_loss(state)
    }

    /// The part of the loss that the output has.
    pub fn output_loss(&self, output: O::Output) -> Tensor<1> {
        let flat = |output| {
            let mut flat = Flat(Vec::new());
            O::map_output(output, &mut flat);
            Tensor::cat(flat.0, 0)
        };
        (flat(output) * flat(self.output_cotangent.clone())).sum()
    }

    /// The part of the loss that the final state has.
    pub fn state_loss(&self, state: O::State) -> Tensor<1> {
        let flat = |state| {
            let mut flat = Flat(Vec::new());
            O::map_state(state, &mut flat);
            Tensor::cat(flat.0, 0)
        };
        (flat(state) * flat(self.state_cotangent.clone())).sum()
    }

    /// The gradients of `loss` with respect to all inputs, which are leaves.
    pub fn gradients(&self, loss: Tensor<1>) -> Outcome {
        let (outcome, gradients) = (&mut Outcome::default(), &loss.backward());
        self.inputs.clone().map(&mut PutGradients { outcome, gradients, prefix: "" });
        if let Some(state) = self.state.clone() {
            O::map_state(state, &mut PutGradients { outcome, gradients, prefix: "initial_" });
        }
        std::mem::take(outcome)
    }

    /// Output, final state and every gradient, computed by `run`.
    pub fn outcome_of(self, run: impl Fn(&Self) -> (O::Output, O::State)) -> Outcome {
        let case = self.tracked();
        let (output, state) = run(&case);
        let returned = returned::<O>(&output, &state);
        returned.and(case.gradients(case.loss(output, state)))
    }

    /// Output, final state and every gradient, in this form.
    pub fn outcome(self, form: Form) -> Outcome {
        self.outcome_of(|case| case.run(form))
    }

    /// Output and final state alone, in this form.
    pub fn returned(&self, form: Form) -> Outcome {
        let (output, state) = self.run(form);
        returned::<O>(&output, &state)
    }
}

/// Output and final state by name.
pub fn returned<O: Operator>(output: &O::Output, state: &O::State) -> Outcome {
    let mut outcome = outcome::<O>(output.clone());
    O::map_state(state.clone(), &mut Put { outcome: &mut outcome, prefix: "final_" });
    outcome
}

/// An output alone, by name.
pub fn outcome<O: Operator>(output: O::Output) -> Outcome {
    let mut outcome = Outcome::default();
    O::map_output(output, &mut Put { outcome: &mut outcome, prefix: "" });
    outcome
}

/// Records the tensors.
struct Put<'a> {
    outcome: &'a mut Outcome,
    prefix: &'static str,
}

impl Change for Put<'_> {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        self.outcome.put(&format!("{}{name}", self.prefix), &tensor);
        tensor
    }
}

/// Finds the first two extents, batch and time, and the device.
struct Place(Option<([usize; 2], Device)>);

impl Change for Place {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        let dims = tensor.dims();
        self.0 = Some(([dims[0], dims[1]], tensor.device()));
        tensor
    }
}

/// Collects the tensors as vectors.
struct Flat(Vec<Tensor<1>>);

impl Change for Flat {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        self.0.push(tensor.clone().reshape([-1]));
        tensor
    }
}

/// Records the gradients of the tensors.
struct PutGradients<'a> {
    outcome: &'a mut Outcome,
    gradients: &'a Gradients,
    prefix: &'static str,
}

impl Change for PutGradients<'_> {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        self.outcome.put_gradient(&format!("{}{name}", self.prefix), &tensor, self.gradients);
        tensor
    }
}
