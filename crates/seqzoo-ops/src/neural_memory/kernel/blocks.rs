//! The operator over blocks, for a memory of one layer.
//!
//! Tokens lie in blocks of [`SLOTS`] slots, of which some hold none. No edge of a chunk is inside a block, and every
//! sequence has equally many, so that a program may have all of them at once.

use super::super::layout::Layout;
use super::super::options::NeuralMemoryState;
use super::super::places::Places;
use super::super::problem::Problem;
use crate::kernel::tape::on_tape;
use crate::kernel::tensors::{Maybe, tensors};
use crate::matrix_memory::kernel::Outputs;
use burn::backend::{Backend, Dispatch, ExtensionType, backend_extension, tensor::FloatTensor};
use burn::tensor::{Tensor, TensorData};

/// Slots of a block: the tokens that programs of matrix memories work on at once.
pub(super) const SLOTS: usize = 16;

/// What a mark says of a block.
pub(super) mod mark {
    /// The first slot that holds a token.
    pub const FIRST: usize = 0;
    /// The slot after the last one that does.
    pub const END: usize = 1;
    /// What happens before the block.
    pub const KIND: usize = 2;
    /// The block that the block's chunk begins with, and -1 if that was before the first.
    pub const ORIGIN: usize = 3;
    pub const NUMBERS: usize = 4;

    /// A chunk begins: a [`KIND`] at least as great.
    pub const BEGINS: f32 = 1.0;
    /// The memory is reset, and a chunk begins.
    pub const RESET: f32 = 2.0;
}

/// The arguments of a call, in one dtype, `f32` or `f64`: `s = n · SLOTS`.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Inputs<B: Backend> {
    pub query: FloatTensor<B>,    // [b, s, h, k], and 0 where a slot holds no token
    pub key: FloatTensor<B>,      // [b, s, h, k], and 0
    pub value: FloatTensor<B>,    // [b, s, h, v], and 0
    pub forget: FloatTensor<B>,   // [b, s, h, 1]
    pub momentum: FloatTensor<B>, // [b, s, h, 1]
    pub step: FloatTensor<B>,     // [b, s, h, 1]
    pub memory: FloatTensor<B>,   // [b, h, 3k, v]: W, S and W* before the first token
    pub initial: FloatTensor<B>,  // [b, h, k, v]
    /// Always there, but without a gradient.
    #[extension_type]
    pub marks: Maybe<B>, // [b, n, mark::NUMBERS]
}
tensors!(Inputs[9]: query, key, value, forget, momentum, step, memory, initial; maybe marks);

/// The tensors that the backward pass reads; the values themselves are not among them.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) struct Saved<B: Backend> {
    pub query: FloatTensor<B>,
    pub key: FloatTensor<B>,
    pub forget: FloatTensor<B>,
    pub momentum: FloatTensor<B>,
    pub step: FloatTensor<B>,
    pub memory: FloatTensor<B>,
    #[extension_type]
    pub marks: Maybe<B>,
    /// W and S before every block, `[b, h, n, 2k, v]`.
    pub states: FloatTensor<B>,
    /// What the answer to every key is off by, twice, `[b, s, h, v]`.
    pub differences: FloatTensor<B>,
    /// The products of queries with keys inside the blocks, `[b, h, n, SLOTS, SLOTS]`.
    pub products: FloatTensor<B>,
    /// How far what one token writes is in what another reads, `[b, h, n, SLOTS, SLOTS]`.
    pub between: FloatTensor<B>,
    /// How far the memory before the block, and every token, are in what is there after it.
    pub edges: FloatTensor<B>,
}

/// There are none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings;

/// The linear memory as backends with a kernel implement it. Its outputs are those of all slots, and W, S and W* after
/// the last.
#[backend_extension(
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(all(feature = "cube", feature = "fusion")),
)]
pub(crate) trait LinearMemoryBackend: Backend {
    /// The outputs alone; what autodiff records.
    #[fusion(meta = super::fusion::outputs)]
    fn linear_memory(#[extension_type] inputs: Inputs<Self>, settings: Settings) -> Outputs<Self>;

    #[fusion(meta = super::fusion::forward)]
    fn linear_memory_forward(
        #[extension_type] inputs: Inputs<Self>,
        settings: Settings,
    ) -> (Outputs<Self>, Saved<Self>);

    /// The gradients of the inputs, each in the shape of its tensor.
    #[fusion(meta = super::fusion::vjp)]
    fn linear_memory_vjp(
        #[extension_type] saved: Saved<Self>,
        #[extension_type] upstream: Outputs<Self>,
        settings: Settings,
    ) -> Inputs<Self>;
}

on_tape!(LinearMemory[9, 2]: LinearMemoryBackend {
    linear_memory, linear_memory_forward, linear_memory_vjp
});

/// Runs the kernel; a residual memory is no concern of it.
pub(super) fn run(problem: Problem) -> (Tensor<4>, NeuralMemoryState) {
    let Problem { query, key, value, forget, momentum, step, initial, state, chunk, resets, .. } = problem;
    let places = Places::new(state.places(), resets, query.dims()[1], chunk);
    let layout = Layout::in_slots(&places, SLOTS.min(chunk), SLOTS);
    let position = state.position.clone();
    let marks = marks(&layout, &places, &query);
    let [query, key, value, forget, momentum, step] =
        [query, key, value, forget, momentum, step].map(|tokens| layout.placed(tokens).into_dispatch());
    let [initial] = <[_; 1]>::try_from(initial).expect("the memory has one layer");
    let width = initial.dims()[2];
    let memory = [state.weights, state.momentum, state.start].concat();
    let inputs = Inputs {
        query,
        key,
        value,
        forget,
        momentum,
        step,
        memory: Tensor::cat(memory, 2).into_dispatch(),
        initial: initial.into_dispatch(),
        marks: Maybe::Present(marks.into_dispatch()),
    };
    let Outputs { output, memory } = Dispatch::linear_memory(inputs, Settings);
    let output = layout.taken(Tensor::from_dispatch(output));
    let memory = Tensor::<4>::from_dispatch(memory);
    let part = |index: usize| vec![memory.clone().narrow(2, index * width, width)];
    let (weights, momentum) = (part(0), part(1));
    // Where the next token begins a chunk, its gradient is taken at the weights as they are now.
    let start = places.begin_next(&memory.device()).choose(&weights, part(2));
    let position = places.position(&position);
    (output, NeuralMemoryState { weights, momentum, start, position, chunk, surprise: None })
}

/// The marks of all blocks, `[b, n, NUMBERS]`, on the device and in the dtype of `like`.
fn marks(layout: &Layout, places: &Places, like: &Tensor<4>) -> Tensor<3> {
    let rows = places.positions.len();
    let mut marks = Vec::with_capacity(rows * layout.blocks * mark::NUMBERS);
    for row in 0..rows {
        let mut origin = -1.0;
        for (block, held) in layout.held_by(row).enumerate() {
            let kind = match held.token {
                Some(token) if places.is_reset(row, token) => mark::RESET,
                Some(token) if places.positions[row][token] == 0 => mark::BEGINS,
                _ => 0.0,
            };
            if kind > 0.0 {
                origin = block as f32;
            }
            marks.extend([held.slots.start as f32, held.slots.end as f32, kind, origin]);
        }
    }
    let data = TensorData::new(marks, [rows, layout.blocks, mark::NUMBERS]);
    Tensor::from_data(data.convert_dtype(like.dtype()), (&like.device(), like.dtype()))
}
