//! The layers on [`DeltaHeads`](crate::parts::DeltaHeads) as mixers.

/// Makes `$layer` a mixer with the state `$state`. The layer has `heads` and a method `decay_and_gate`, which takes the
/// input `[B, T, D]` and returns the decay of the memory and the gate of the outputs, `[B, T, H·V]`.
macro_rules! delta_mixer {
    ($layer:ident, $state:ident) => {
        impl crate::SequenceMixer for $layer {
            type State = $state;

            fn d_model(&self) -> usize {
                self.heads.d_model()
            }

            fn init_state(&self, batch: usize, device: &burn::tensor::Device) -> $state {
                let (memory, convolutions) = self.heads.init_state(batch, device);
                $state { memory, convolutions }
            }

            fn mix(
                &self,
                input: burn::tensor::Tensor<3>,
                resets: Option<burn::tensor::Tensor<2, burn::tensor::Bool>>,
                state: $state,
            ) -> (burn::tensor::Tensor<3>, $state) {
                let state = (state.memory, state.convolutions);
                let (decay, gate) = self.decay_and_gate(&input);
                let (output, (memory, convolutions)) = self.heads.forward(input, decay, gate, resets, state);
                (output, $state { memory, convolutions })
            }

            fn report(&self, time: usize, device: &burn::tensor::Device) -> crate::ops::Report {
                self.heads.report(time, device)
            }
        }
    };
}

pub(super) use delta_mixer;
