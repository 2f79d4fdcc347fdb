//! What the layers on the delta rule do alike: their state, and how it goes from call to call.

/// Makes `$layer` a mixer with the state `$state`. The layer has `heads`, which are
/// [`DeltaHeads`](crate::parts::DeltaHeads), and a method `decay_and_gate`, which makes of an input `[B, T, D]` how the
/// memory fades and what gates the outputs, `[B, T, H·V]`.
macro_rules! delta_layer {
    ($layer:ident, $state:ident, $name:expr) => {
        #[doc = concat!("State of [`", stringify!($layer), "`].")]
        #[derive(Clone, Debug)]
        pub struct $state {
            /// The memory `S`, `[B, H, K, V]`.
            pub memory: Tensor<4>,
            /// The last inputs of the query, key and value convolutions, if the layer has them.
            pub convolutions: Vec<Tensor<3>>,
        }

        impl crate::SequenceMixer for $layer {
            type State = $state;

            fn init_state(&self, batch: usize, device: &Device) -> Self::State {
                let (memory, convolutions) = self.heads.init_state(batch, device);
                $state { memory, convolutions }
            }

            fn forward_packed(
                &self,
                input: Tensor<3>,
                resets: Option<Tensor<2, burn::tensor::Bool>>,
                state: Option<Self::State>,
            ) -> (Tensor<3>, Self::State) {
                let $state { memory, convolutions } =
                    state.unwrap_or_else(|| self.init_state(input.dims()[0], &input.device()));
                let (decay, gate) = self.decay_and_gate(&input);
                let (output, (memory, convolutions)) =
                    self.heads.forward(input, decay, gate, resets, (memory, convolutions));
                (output, $state { memory, convolutions })
            }
        }

        impl crate::MixerState for $state {
            fn layer(&self) -> String {
                $name.into()
            }

            fn map_state<M: crate::state::StateMapper>(self, mapper: &mut M) -> Self {
                let part = crate::state::StatePart::Recurrent;
                Self {
                    memory: mapper.tensor("memory", part, self.memory),
                    convolutions: crate::parts::ShortConvs::map_states(self.convolutions, mapper),
                }
            }
        }
    };
}

pub(super) use delta_layer;
