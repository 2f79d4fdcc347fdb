//! Sequence-mixing operators for [Burn](burn): mathematics on tensors, without parameters.
//!
//! Each operator is one folder, and the file says which form it holds: `naive` is the recurrence
//! token by token (the law), `chunked` or `parallel` the form that trains on any backend, `kernel` native code
//! with a hand-written backward for the backends that have it. All forms compute the
//! same function, take an optional initial state and return the final one, and are differentiable
//! in both.
//!
//! | operator | what it computes |
//! |---|---|
//! | [`linear_attention`](linear_attention::linear_attention) | `S_t = diag(a_t) S_{t-1} + k_t v_tᵀ`, `o_t = scale · S_tᵀ q_t` |
//! | [`delta_rule`](delta_rule::delta_rule) | `S_t = (I - β_t k_t k_tᵀ) diag(a_t) S_{t-1} + β_t k_t v_tᵀ`, `o_t = scale · S_tᵀ q_t` |
//! | [`linear_scan`](linear_scan::linear_scan) | `h_t = a_t ⊙ h_{t-1} + x_t`, real or complex |
//! | [`selective_scan`](selective_scan::selective_scan) | `h_t = exp(Δ_t A) ⊙ h_{t-1} + Δ_t u_t B_t`, `y_t = C_t · h_t` |
//! | [`diagonal_ssm`](diagonal_ssm::diagonal_ssm) | `h_t = λ ⊙ h_{t-1} + u_t`, `y_t = Re(w · h_t)`, complex |
//! | [`causal_conv`](causal_conv::causal_conv) | short depthwise convolution over the last `width` tokens |
//! | [`long_conv`](causal_conv::long::long_conv) | depthwise convolution as long as one likes |
//! | [`neural_memory`](neural_memory::neural_memory) | `S_t = η_t S_{t-1} - θ_t ∇loss`, `W_t = (1 - α_t) W_{t-1} + S_t`, `o_t = M(q_t)` |
//! | [`ttt`](ttt::ttt) | `W_t = W - η_t Σ k_sᵀ u_s` over a chunk, `u` the gradient of a loss with a layer norm |
//! | [`attention`](attention::attention) | causal softmax attention with a growing cache or a sliding window |
//! | [`landmark_attention`](attention::landmark::landmark_attention) | the same in two levels: a landmark per block of tokens, and the tokens inside |
//! | [`retrieve`](attention::hopfield::retrieve) | patterns out of a modern Hopfield network, in any number of steps |
//! | [`sigmoid_attention`](attention::sigmoid::sigmoid_attention) | the same with a sigmoid of every score by itself |
//! | [`token_wise`] | what stands around the mixers: linear maps, norms, gates, feature maps |
//! | [`adamw`](adamw::adamw) | a step of AdamW |
//!
//! One operator follows a sequence mixer in every language model: [`cross_entropy`](cross_entropy::cross_entropy), the loss of
//! a head, without the logits of all positions at once.
//!
//! # Conventions
//!
//! | letter | word | meaning |
//! |---|---|---|
//! | `B` | batch | independent sequences |
//! | `T` | time | tokens |
//! | `H` | heads | memories per sequence (in attention: heads of the queries) |
//! | `HK` | key heads | heads of keys and queries (in attention: of keys and values); `HK` divides `H` |
//! | `K` | key | channels of queries and keys, per head |
//! | `V` | value | channels of values, per head |
//! | `C` | chunk | tokens worked on at once |
//! | `D` | channels | of a convolution, a scan or a model |
//! | `E` | inner channels | of a state space |
//! | `N` | state size | numbers in the state of a channel; in front of a state, the number of segments |
//! | `G` | groups | of channels that share what a token writes and reads |
//! | `W` | width | taps of a short convolution |
//! | `L` | length | taps of a long one |
//! | `P` | past | inputs before the first token |
//!
//! * Sequences are `[B, T, H, K]`, states `[B, H, K, V]`.
//! * Log decays are natural logarithms, at most 0. The default scale is `K^-1/2`.
//! * State and accumulators are `f32` or wider whatever the inputs are; the output has the dtype of
//!   the inputs.
//! * `resets: [B, T]`, true where the state is cleared *before* the token, serves episode boundaries, and packed sequences
//!   whose states nobody wants.
//! * [`Segments`] are packed sequences with states of their own, where an operator takes them: `N` of them, which all parts
//!   of a state have in place of `B`. Resets may lie in them.
//! * A wrong argument panics with a sentence that names it, the shape found and the shape wanted. No tokens, heads or
//!   channels are wrong; a batch of no sequences is not: outputs and states are of none, too.
#![warn(missing_docs)]

pub mod adamw;
pub mod attention;
pub mod causal_conv;
pub mod cross_entropy;
pub mod delta_rule;
pub mod diagonal_ssm;
pub mod linear_attention;
pub mod linear_scan;
pub mod neural_memory;
pub mod selective_scan;
pub mod token_wise;
pub mod ttt;

mod activation;
#[doc(hidden)]
pub mod checks;
mod complex;
mod fast_weights;
mod form;
mod heads;
mod kernel;
#[cfg(feature = "flex")]
#[doc(hidden)]
pub mod kernel_constants;
#[cfg(feature = "flex")]
#[doc(hidden)]
pub mod kernel_functions;
mod matrix_memory;
mod precision;
mod resets;
mod scan;
mod segments;
mod tail;

pub use activation::exact_gelu;
pub use complex::Complex;
pub use form::{Form, Report};
pub use heads::repeat_heads;
pub use kernel::Kernel;
pub use matrix_memory::decay::Decay;
pub use precision::{accumulator, to_dtype};
pub use segments::{Segment, SegmentPart, Segments};
