//! The checks of `seqzoo::testing` catch layers that break the contract, one way each.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::testing::Trial;
use seqzoo::{SequenceMixer, state};
use seqzoo_tests::{autodiff, plain};

/// A sum of all tokens, `h_t = h_{t-1} + W x_t`, and how it goes wrong.
#[derive(Module, Debug)]
struct Sum {
    linear: Linear,
    #[module(skip)]
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    ForgetsTheState,
    LosesTheState,
    IgnoresResets,
    LooksAhead,
    CutsTheGradient,
    IsNotANumber,
    StartsElsewhere,
}

impl Sum {
    const KIND: &str = "sum";
}

state! {
    struct SumState of Sum {
        sum: Tensor<2> as Recurrent,
        /// A second one, which goes nowhere.
        shadow: Option<Tensor<2>> as Recurrent,
        tokens: u64,
    }
}

impl SequenceMixer for Sum {
    type State = SumState;

    fn d_model(&self) -> usize {
        4
    }

    fn init_state(&self, batch: usize, device: &Device) -> SumState {
        let options = (device, self.linear.weight.val().dtype());
        SumState { sum: Tensor::zeros([batch, 4], options), shadow: None, tokens: 0 }
    }

    fn forward_packed(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Option<SumState>,
    ) -> (Tensor<3>, SumState) {
        let [batch, _, _] = input.dims();
        let state = state.unwrap_or_else(|| {
            let mut state = self.init_state(batch, &input.device());
            if self.fault == Fault::StartsElsewhere {
                state.sum = state.sum + 1.0;
            }
            state
        });
        self.mix(input, resets, state)
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        mut state: SumState,
    ) -> (Tensor<3>, SumState) {
        let [batch, time, _] = input.dims();
        let mut sum = state.sum.clone();
        match self.fault {
            Fault::ForgetsTheState => sum = sum.zeros_like(),
            Fault::CutsTheGradient => sum = sum.detach(),
            _ => {}
        }
        let mut tokens = self.linear.forward(input);
        if self.fault == Fault::LooksAhead {
            tokens = tokens.clone() + tokens.flip([1]);
        }
        if self.fault == Fault::IsNotANumber && time == 1 {
            tokens = tokens.sub_scalar(1e9).sqrt();
        }
        let mut outputs = Vec::new();
        for t in 0..time {
            if let (Some(resets), true) = (&resets, self.fault != Fault::IgnoresResets) {
                sum = sum.mask_fill(resets.clone().narrow(1, t, 1).expand([batch, 4]), 0.0);
            }
            sum = sum + tokens.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
            outputs.push(sum.clone());
        }
        if self.fault != Fault::LosesTheState {
            state.sum = sum;
        }
        state.tokens += time as u64;
        (Tensor::stack(outputs, 1), state)
    }
}

fn sum(fault: Fault, device: &Device) -> Sum {
    Sum { linear: LinearConfig::new(4, 4).init(device), fault }
}

fn trial(device: &Device) -> Trial {
    Trial::new(4, device).with_time(5)
}

/// The sentence of the panic.
fn caught(check: impl FnOnce(&Trial, &Sum), fault: Fault) -> String {
    let device = autodiff();
    let run = || check(&trial(&device), &sum(fault, &device));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).expect_err("the fault is caught");
    panic.downcast_ref::<String>().expect("a panic is a sentence").clone()
}

#[test]
fn a_layer_that_keeps_the_contract_passes() {
    let device = autodiff();
    trial(&device).all(&sum(Fault::None, &device));
    let layer = sum(Fault::None, &device);
    let layer = seqzoo::testing::double(layer);
    let (_, state) = layer.forward(Tensor::<3>::ones([2, 3, 4], (&device, burn::tensor::DType::F64)), None);
    trial(&device).law_from(&layer, seqzoo::MixerState::detach(state));
}

#[test]
fn faults_are_caught_by_a_sentence() {
    for fault in [Fault::ForgetsTheState, Fault::LosesTheState, Fault::CutsTheGradient, Fault::IsNotANumber] {
        let said = caught(Trial::law, fault);
        assert!(said.contains("` differs by ") && said.ends_with("more than 1e-9."), "{fault:?}: {said}");
    }
    assert!(caught(Trial::law, Fault::CutsTheGradient).contains("`d_"), "it is the gradient that differs");
    assert!(caught(Trial::law, Fault::LosesTheState).starts_with("split after 1 of 5 tokens: "));
    assert!(
        caught(Trial::packing, Fault::IgnoresResets).contains("packed sequences differ from separate ones")
    );
    assert!(
        caught(Trial::causality, Fault::LooksAhead).contains("a changed token changes outputs before it")
    );
    let said = caught(Trial::fresh_start, Fault::StartsElsewhere);
    assert!(said.contains("a start without a state differs"), "{said}");
}

#[test]
#[should_panic(expected = "make the layer and the trial on a device with autodiff")]
fn gradients_want_a_device_with_autodiff() {
    let device = plain();
    trial(&device).law(&sum(Fault::None, &device));
}

#[test]
#[should_panic(expected = "must be made on the same device")]
fn a_layer_from_another_device_is_refused() {
    trial(&autodiff()).law(&sum(Fault::None, &plain()));
}
