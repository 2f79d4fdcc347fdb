//! Cross-entropy from the channels before the head, in blocks: the logits of all positions never exist at once.
//!
//! # The gradient of a sum is made in the forward pass
//!
//! A block has the logits of some positions. From them come the losses, and in the same place the gradient of a sum of
//! losses with known factors (all 1, or one over their number): `factor (p - onehot)`. Its products with the weights and
//! with the channels are the gradients of both, known up to the number that comes from above in the backward pass, as Liger
//! kernel has it (Hsu et al. 2024, <https://arxiv.org/abs/2410.10989>, section 3.2). This takes three products of the size
//! of the head: logits, and two gradients. Logits made again in the backward pass would be a fourth, and would save no memory:
//! these gradients are the first that a backward pass makes, and are there while all others are made, in either order. Blocks
//! of classes in place of positions need the fourth product, too, since the sum of exponentials comes first.
//!
//! Losses one by one ([`Reduction::Each`]) have gradients that the forward pass cannot know: their logits are made again.
//!
//! A call of which no gradient is wanted makes the logits alone, and one of which some are not wanted leaves out the products
//! for those: the weights of a frozen head, or channels that nobody trains.

mod head;
mod kernel;
mod naive;
mod problem;

use crate::form::{Form, Forms, Report};
use burn::tensor::{Device, Int, Tensor};
pub use head::Head;
use problem::Problem;

/// Options of [`cross_entropy`].
#[derive(Clone, Debug, Default)]
pub struct CrossEntropyOptions {
    /// What becomes of the losses of all positions.
    pub reduction: Reduction,
    /// Positions with this target do not count. `None`: all count.
    pub ignore_index: Option<i64>,
    /// The share `ε` of the target that all classes divide evenly, from 0 to 1. Default: `0.0`.
    pub label_smoothing: f64,
    /// The factor `z` of the squared logarithm of the sum of exponentials, which keeps it near 0; 1e-4 in PaLM, 1e-5 in
    /// OLMo 2. Default: `0.0`.
    pub z_loss: f64,
    /// Logits are `cap · tanh(l / cap)`, as in Gemma 2. `None`: they are not capped.
    pub logit_cap: Option<f64>,
    /// How to compute it: this operator has the forms `Naive`, `Chunked` and `Kernel`.
    pub form: Form,
}

/// What becomes of the losses of all positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean over those that count, `[1]`: 0 if none counts, and then all gradients are 0, too.
    #[default]
    Mean,
    /// Their sum, `[1]`.
    Sum,
    /// They stay as they are, `[N]`, with 0 where a position does not count.
    Each,
}

/// Cross-entropy of the classes that a head predicts.
///
/// ```text
/// l = cap(W h + bias);   s = log Σ_v exp(l_v)
/// loss = s - (1 - ε) l_target - ε mean_v(l_v) + z s²
/// ```
///
/// # Where
///
/// * `h` is a position of `hidden`, `W` and `bias` are the [`Head`];
/// * `ε` is [`label_smoothing`](CrossEntropyOptions::label_smoothing), by PyTorch's definition: a target of `1 - ε`, and `ε`
///   divided evenly among all classes, the target included;
/// * `z` is [`z_loss`](CrossEntropyOptions::z_loss), and `cap(l) = l` without a
///   [`logit_cap`](CrossEntropyOptions::logit_cap).
///
/// # Forms
///
/// [`Form::Chunked`] takes `size` positions at a time in tensor operations, [`Form::Kernel`] the same with native code between
/// the products, on the CPU; both have a hand-written backward. [`Form::Naive`], the law, has the logits of all positions at
/// once, in this pass and in the other. See the [module](self) for what a block is.
///
/// # Shapes
///
/// * `hidden`: `[N, D]`; `targets`: `[N]`, classes from 0 to `V - 1`; the head: `[D, V]` or `[V, D]`.
/// * Returns `[1]`, or `[N]` with [`Reduction::Each`]: in `f64` for `hidden` in `f64`, else in `f32`, however narrow the
///   inputs are. Gradients have the dtype of their inputs. No positions have the loss 0, or no losses.
///
/// # Panics
///
/// If a shape disagrees, `D` or `V` is 0, an option is out of its range, or a target is no class. Targets are looked at
/// where they can be read without waiting for the device; elsewhere (on GPUs) a target that is no class gives a loss without
/// a meaning.
///
/// # Finite numbers
///
/// Logits may be as large as their type. A bias of minus infinity takes a class away (without a cap): it gets neither
/// probability nor gradient; as a target, or with label smoothing, its loss is infinite. What a position that does not count
/// holds changes no loss, but its channels must be finite for the gradient of the weights.
///
/// # Source
///
/// z-loss: Chowdhery et al. 2022 (PaLM), section 5, <https://arxiv.org/abs/2204.02311>. Caps: Gemma 2, section 2,
/// <https://arxiv.org/abs/2408.00118>.
#[track_caller]
pub fn cross_entropy(
    hidden: Tensor<2>,
    head: Head,
    targets: Tensor<1, Int>,
    options: CrossEntropyOptions,
) -> Tensor<1> {
    let [positions, _] = hidden.dims();
    let report = cross_entropy_report(positions, head.classes(), &options, &hidden.device());
    let problem = Problem::new(hidden, head, targets, &options);
    match report.form {
        Form::Chunked { size } => kernel::run(problem, size, false),
        Form::Kernel => {
            let size = kernel::block(problem.head.classes());
            kernel::run(problem, size, true)
        }
        _ => naive::naive(problem),
    }
}

/// Which form [`cross_entropy`] takes for so many `positions` and `classes` on `device` under `options`, and why.
///
/// # Panics
///
/// As [`cross_entropy`] does, if the form asked for cannot be had.
#[track_caller]
pub fn cross_entropy_report(
    positions: usize,
    classes: usize,
    options: &CrossEntropyOptions,
    device: &Device,
) -> Report {
    let chunked = Form::Chunked { size: kernel::block(classes) };
    let many_tokens = if kernel::has_blocks(device) { chunked } else { Form::Naive };
    let forms = Forms { many_tokens, one_token: Form::Naive, kernel: kernel::on(device) };
    options.form.resolve(positions, &forms)
}
