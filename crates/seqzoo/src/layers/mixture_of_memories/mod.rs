//! Mixture of memories: every token writes to and reads from a few of several memories.

mod config;
mod packing;
mod rule;

pub use config::{ConvolutionPlace, MixtureOfMemoriesConfig};
pub use rule::{MemoryRule, RuleParameters};

use crate::SequenceMixer;
use crate::ops::{Report, accumulator};
use crate::parts::{
    ConvStates, GatedRmsNorm, HeadLayout, Router, Routing, ShortConv, ShortConvs, cut, join_heads, project,
    split_heads,
};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor, TensorData, activation::silu};
use packing::Packing;
use rule::Tokens;

crate::layer!(MixtureOfMemories, "mixture_of_memories", MixtureOfMemoriesConfig);

/// Mixture of memories: a router sends every token to a few of several memories, so that what would blur one memory is
/// kept apart in others.
///
/// ```text
/// p_t = softmax(W_r x_t)        e ∈ top k of p_t        w_te = p_te / Σ_{top k} p_t
/// k, v, β, g of memory e are projections of its own; q = W_q x_t for all
/// S_e changes by its rule where t goes to e, and else stays as it is
/// y_t = W_o ( RMSNorm( Σ_e w_te S_eᵀ q_t + S_sharedᵀ q_t ) ⊙ silu(W_g x_t) )
/// ```
///
/// Where
///
/// * the rule is one of [`MemoryRule`]; its parameters beside projections, such as the rates of heads, are those of all memories,
/// * a memory sees the tokens that went to it as a sequence: decays count these and not the others,
/// * the shared memory, if there is one, sees every token, with a weight of 1,
/// * queries, keys and values pass `silu`, and the short convolution stands where [`ConvolutionPlace`] says,
/// * of memories that a token likes equally the first ones are taken, the same in every form.
///
/// Training sorts the tokens by memory, stably, and gives all memories to the operator as
/// [segments](crate::ops::Segments) of one row: the cost grows with `k`, not with the number of memories. A step computes
/// and touches the memories chosen alone; the others are the same to the bit. A reset returns all memories of its row to zero,
/// also those that the token does not go to.
///
/// The choices are read from the device in every call. [`auxiliary_loss`](SequenceMixer::auxiliary_loss) of the state that
/// a call returns is `balance` times the [load-balancing loss](Routing::balance_loss) of this call, to be added to the
/// loss; [`routing`](MixtureOfMemoriesState::routing) says where its tokens went.
///
/// The state is all memories, `4·(M + 1)·H·K·V` bytes per sequence with the shared one, and the last inputs of the
/// convolutions: `4·(W − 1)·D` on the sequence, `4·(M + 1)·(W − 1)·H·(2K + V)` in the memories.
///
/// The published layer convolves across the edges of memories and of sequences when it trains, and not when it streams, and
/// sorts tokens by an order that is not stable; here both forms are one. Its capacity option, which does nothing, is left out.
///
/// Source: Du et al. 2025, <https://arxiv.org/abs/2502.13685> (sec. 3), with the gated delta rule as in the authors' models
/// of 340 M parameters, whose defaults these are.
///
/// Should be created with [`MixtureOfMemoriesConfig`].
#[derive(Module, Debug)]
pub struct MixtureOfMemories {
    /// `W_r`.
    pub router: Router,
    /// `W_q`, `D` to `H·K`.
    pub query: Linear,
    /// For every memory, or one for all: `D` to its keys, `H·K`, its values, `H·V`, and what its rule wants beside them:
    /// the logits of beta, `H`; then what makes the decays, `H`; the steps, `H`; or `W₁ x`, 16 numbers.
    pub memories: Vec<Linear>,
    /// The same of the shared memory.
    pub shared: Option<Linear>,
    /// The parameters of the rule that all memories share.
    pub rule: RuleParameters,
    /// The convolution of the input, if there is one.
    pub conv: Option<ShortConv>,
    /// The convolutions of the queries, keys and values of every memory, if there are any.
    pub convolutions: ShortConvs,
    /// The norm of each head's output, gated where there is a gate.
    pub norm: GatedRmsNorm,
    /// `W_g`, `D` to `H·V`.
    pub gate: Option<Linear>,
    /// `W_o`, `H·V` to `D`.
    pub output: Linear,
    #[module(skip)]
    pub(super) layout: HeadLayout,
    pub(super) balance: f64,
}

crate::state! {
    /// One memory of a [`MixtureOfMemories`].
    pub struct MemoryOfMixture of MixtureOfMemories {
        /// The memory `S`, `[B, H, K, V]`.
        pub memory: Tensor<4> as Recurrent,
        /// The last inputs of its convolutions, if it has them.
        pub convolutions: ConvStates,
    }
}

crate::state! {
    /// State of [`MixtureOfMemories`].
    pub struct MixtureOfMemoriesState of MixtureOfMemories {
        /// The memories, in order, and behind them the shared one.
        pub memories: Vec<MemoryOfMixture>,
        /// The last inputs of the convolution over the sequence, `[B, W - 1, D]`.
        pub inputs: Option<Tensor<3>> as Convolution,
        /// Where the tokens of the last call went. No call reads it.
        pub routing: Option<Routing>,
    }
}

impl MemoryOfMixture {
    /// The same with zeros in some rows.
    fn cleared(self, rows: &[bool]) -> Self {
        let mask = Tensor::<1, Bool>::from_data(TensorData::from(rows), &self.memory.device());
        let convolutions = self.convolutions.0.into_iter().map(|inputs| {
            let mask = mask.clone().reshape([rows.len(), 1, 1]).expand(inputs.dims());
            inputs.mask_fill(mask, 0.0)
        });
        let convolutions = ConvStates(convolutions.collect());
        let mask = mask.reshape([rows.len(), 1, 1, 1]).expand(self.memory.dims());
        Self { memory: self.memory.mask_fill(mask, 0.0), convolutions }
    }
}

impl MixtureOfMemories {
    /// What memories see of tokens `[B·T, D]`, in the order of the packing and behind them for the shared memory:
    /// queries, and keys, values and the rest side by side, `[n, _]`.
    fn tokens(&self, seen: Tensor<2>, packing: &Packing) -> (Tensor<2>, Tensor<2>) {
        let order = packing.dispatch.order(&seen.device());
        let query = project(&self.query, seen.clone());
        let (mut queries, mut others) = (vec![query.clone().select(0, order.clone())], Vec::new());
        let routed = seen.clone().select(0, order);
        if let [one] = self.memories.as_slice() {
            others.push(one.forward(routed));
        } else {
            let memories = packing.dispatch.touched.iter().zip(cut(routed, &packing.dispatch.counts));
            others.extend(memories.map(|(memory, tokens)| self.memories[*memory].forward(tokens)));
        }
        if let Some(shared) = &self.shared {
            queries.push(query);
            others.push(shared.forward(seen));
        }
        (Tensor::cat(queries, 0), Tensor::cat(others, 0))
    }

    /// What the memories of every token say together, `[B·T, H·V]`, where `read` is in the order of the packing.
    fn mixed(&self, read: Tensor<4>, routing: &Routing, packing: &Packing) -> Tensor<2> {
        let [batch, time, top_k] = routing.weights.dims();
        let [_, count, heads, width] = read.dims();
        let (tokens, read) = (batch * time, read.reshape([count, heads * width]));
        let own = packing.dispatch.combine(read.clone().narrow(0, 0, tokens * top_k), routing);
        match &self.shared {
            Some(_) => own + read.narrow(0, tokens * top_k, tokens),
            None => own,
        }
    }

    /// How many memories there are, with the shared one.
    fn count(&self) -> usize {
        self.router.destinations() + usize::from(self.shared.is_some())
    }

    /// The numbers, in the state, of the memories that tokens went to.
    fn touched(&self, packing: &Packing) -> Vec<usize> {
        let shared = self.shared.as_ref().map(|_| self.router.destinations());
        packing.dispatch.touched.iter().copied().chain(shared).collect()
    }
}

impl SequenceMixer for MixtureOfMemories {
    type State = MixtureOfMemoriesState;

    fn d_model(&self) -> usize {
        self.query.weight.lazy_shape()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let HeadLayout { heads, key, value, .. } = self.layout;
        let dtype = accumulator(self.query.weight.val().dtype());
        let memory = MemoryOfMixture {
            memory: Tensor::zeros([batch, heads, key, value], (device, dtype)),
            convolutions: self.convolutions.init_state(batch, device),
        };
        MixtureOfMemoriesState {
            memories: vec![memory; self.count()],
            inputs: self.conv.as_ref().map(|conv| conv.init_state(batch, device)),
            routing: None,
        }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let ([batch, time, channels], device) = (input.dims(), input.device());
        let HeadLayout { heads, key: keys, value: values, .. } = self.layout;
        let routing = self.router.forward(input.clone());
        let packing = Packing::new(&routing, resets.as_ref());
        let shared = self.shared.as_ref().and(resets.as_ref());
        let packed_resets = packing.resets(shared, &device);
        let segments = packing.segments(self.shared.as_ref().map(|_| time));

        let (seen, inputs) = match (&self.conv, state.inputs) {
            (Some(conv), inputs) => {
                let (seen, inputs) = conv.forward(input.clone(), resets, inputs);
                (seen, Some(inputs))
            }
            (None, _) => (input.clone(), None),
        };
        let (query, others) = self.tokens(seen.reshape([batch * time, channels]), &packing);
        let part = |from, count| others.clone().narrow(1, from, count).unsqueeze_dim::<3>(0);
        let (keys, values) = (heads * keys, heads * values);
        let extra = others.dims()[1] - keys - values;
        let extra = (extra > 0).then(|| part(keys + values, extra));
        let tokens = [query.unsqueeze_dim(0), part(0, keys), part(keys, values)];

        let touched = self.touched(&packing);
        let mut memories = state.memories;
        assert_eq!(
            memories.len(),
            self.count(),
            "The argument `state` holds {} memories, but the layer has {}.",
            memories.len(),
            self.count()
        );
        let convolutions = gathered(&memories, &touched);
        let (tokens, convolutions) =
            self.convolutions.forward_segments(tokens, packed_resets.as_ref(), &segments, convolutions);
        let [query, key, value] = if self.convolutions.convs.is_empty() { tokens.map(silu) } else { tokens };
        let tokens = Tokens { query, key, value, extra, resets: packed_resets, segments };
        let before = touched.iter().map(|memory| memories[*memory].memory.clone()).collect();
        let (read, after) = self.rule.forward(tokens, heads, Tensor::cat(before, 0));

        let rows = vec![batch; touched.len()];
        let mut convolutions: Vec<_> =
            convolutions.0.into_iter().map(|inputs| cut(inputs, &rows).into_iter()).collect();
        for (number, memory) in touched.iter().zip(cut(after, &rows)) {
            let inputs = convolutions.iter_mut().filter_map(Iterator::next).collect();
            memories[*number] = MemoryOfMixture { memory, convolutions: ConvStates(inputs) };
        }
        for (memory, state) in memories.iter_mut().enumerate().take(self.router.destinations()) {
            if let Some(rows) = packing.reset_after(memory) {
                *state = state.clone().cleared(rows);
            }
        }

        let mixed = self.mixed(read, &routing, &packing).reshape([batch, time, heads, values / heads]);
        let gate = self.gate.as_ref().map(|gate| split_heads(gate.forward(input), heads));
        let output = project(&self.output, join_heads(self.norm.forward(mixed, gate)));
        (output, MixtureOfMemoriesState { memories, inputs, routing: Some(routing) })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        self.rule.report(time, device)
    }

    fn auxiliary_loss(&self, state: &Self::State) -> Option<Tensor<1>> {
        let routing = state.routing.as_ref().filter(|_| self.balance > 0.0)?;
        Some(routing.balance_loss().mul_scalar(self.balance))
    }
}

/// The last inputs of the convolutions of some memories, one after the other.
fn gathered(memories: &[MemoryOfMixture], touched: &[usize]) -> ConvStates {
    let count = memories[0].convolutions.0.len();
    let gathered = (0..count).map(|conv| {
        let inputs = touched.iter().map(|memory| memories[*memory].convolutions.0[conv].clone());
        Tensor::cat(inputs.collect(), 0)
    });
    ConvStates(gathered.collect())
}
