//! Operators with a hand-written backward on Burn's tape.
//!
//! Burn's tape gives every node one output. An operator with `K` outputs becomes a core node, which holds the
//! backward, and one light node per output. When the tape reaches a light node, that node puts the gradient of its
//! output into a slot and wakes the core. The core comes later, because it is the parent of all of them, and takes
//! the gradients from the slots. An output that the loss never used has a gradient of zeros.

use super::tensors::Tensors;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, AutodiffBackend, Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// An operator with `N` inputs, `K` outputs and a hand-written backward, on the backend `B`.
pub(crate) trait Operator<B: Backend, const N: usize, const K: usize>: Debug + Send + 'static {
    /// The gradients of the inputs have the same type; an input without a gradient is absent from them.
    type Inputs: Tensors<B, N>;
    type Outputs: Tensors<B, K>;
    type Settings: Clone + Debug + Send + 'static;
    /// The tensors that the forward pass saves for the backward pass.
    type Saved: Clone + Debug + Send + 'static;

    /// Told before `forward`, by their places, which inputs have a gradient: what an operator notes that leaves out the others.
    fn told(settings: Self::Settings, _has_gradient: impl Fn(usize) -> bool) -> Self::Settings {
        settings
    }

    /// The outputs alone, for a call of which no gradient is wanted.
    fn outputs(inputs: Self::Inputs, settings: Self::Settings) -> Self::Outputs;

    fn forward(inputs: Self::Inputs, settings: Self::Settings) -> (Self::Outputs, Self::Saved);

    /// The gradients of the inputs, from those of the outputs.
    fn vjp(saved: Self::Saved, upstream: Self::Outputs, settings: Self::Settings) -> Self::Inputs;
}

/// Runs the operator `O` and puts it on the tape.
pub(crate) fn record<B, C, O, I, R, const N: usize, const K: usize>(inputs: I, settings: O::Settings) -> R
where
    B: Backend,
    C: CheckpointStrategy,
    O: Operator<B, N, K>,
    I: Tensors<Autodiff<B, C>, N>,
    R: Tensors<Autodiff<B, C>, K>,
{
    let inputs = inputs.into_array();
    let some = inputs.iter().flatten().next().expect("an operator has at least one input");
    let token = token::<B>(some.primitive());
    // An absent input has a node too, a constant: the tape takes one per input.
    let absent = Autodiff::<B, C>::from_inner(token.clone());
    let nodes = inputs.each_ref().map(|input| input.as_ref().unwrap_or(&absent).node());
    let settings = O::told(settings, |place| inputs[place].as_ref().is_some_and(is_tracked::<B, C>));
    let inputs = O::Inputs::from_array(inputs.map(|input| input.map(|tensor| tensor.into_primitive())));

    let slots = Slots::<B, K>::default();
    let (core, outputs) = match Core::<O, K>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (outputs, saved) = O::forward(inputs, settings.clone());
            let outputs = outputs.into_array();
            let shapes = outputs.each_ref().map(|output| output.as_ref().map(TensorMetadata::shape));
            (prepared.finish((saved, settings, slots.clone(), shapes), token), outputs)
        }
        OpsKind::UnTracked(prepared) => (prepared.finish(token), O::outputs(inputs, settings).into_array()),
    };
    let mut index = 0..K;
    R::from_array(outputs.map(|output| {
        let index = index.next().expect("there are as many indices as outputs");
        output.map(|output| match Deliver::<K>.prepare::<C>([core.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((slots.clone(), index), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        })
    }))
}

/// Whether a tensor has a gradient. The tape says so of nodes alone that are about to get a child, so one is begun and dropped.
fn is_tracked<B: Backend, C: CheckpointStrategy>(tensor: &FloatTensor<Autodiff<B, C>>) -> bool {
    let child = <Deliver<1> as Backward<B, 1>>::prepare::<C>(Deliver, [tensor.node()]).compute_bound();
    matches!(child.stateful(), OpsKind::Tracked(_))
}

/// Puts an operator on the tape: its name, its numbers of inputs and outputs, and the extension trait with its functions
/// for the outputs alone, forward and vjp; and what notes in its settings which inputs have a gradient, if anything does. Takes
/// the structs `Inputs`, `Outputs`, `Saved` and `Settings` of its place.
macro_rules! on_tape {
    ($operator:ident[$inputs:literal, $outputs:literal]: $backend:ident { $alone:ident, $forward:ident, $vjp:ident }
     $(, told by $told:path)?) => {
        #[derive(Debug)]
        struct $operator;

        impl<B: $backend> $crate::kernel::tape::Operator<B, $inputs, $outputs> for $operator {
            type Inputs = Inputs<B>;
            type Outputs = Outputs<B>;
            type Settings = Settings;
            type Saved = Saved<B>;

            $(fn told(settings: Settings, has_gradient: impl Fn(usize) -> bool) -> Settings {
                $told(settings, has_gradient)
            })?

            fn outputs(inputs: Inputs<B>, settings: Settings) -> Outputs<B> {
                B::$alone(inputs, settings)
            }

            fn forward(inputs: Inputs<B>, settings: Settings) -> (Outputs<B>, Saved<B>) {
                B::$forward(inputs, settings)
            }

            fn vjp(saved: Saved<B>, upstream: Outputs<B>, settings: Settings) -> Inputs<B> {
                B::$vjp(saved, upstream, settings)
            }
        }

        impl<B, C> $backend for burn::backend::Autodiff<B, C>
        where
            B: $backend,
            C: burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy,
        {
            fn $alone(inputs: Inputs<Self>, settings: Settings) -> Outputs<Self> {
                $crate::kernel::tape::record::<B, C, $operator, _, _, $inputs, $outputs>(inputs, settings)
            }

            fn $forward(_: Inputs<Self>, _: Settings) -> (Outputs<Self>, Saved<Self>) {
                unreachable!("the tape records the function for the outputs alone")
            }

            fn $vjp(_: Saved<Self>, _: Outputs<Self>, _: Settings) -> Inputs<Self> {
                unreachable!("Burn's autodiff is first order, so a backward pass is never recorded")
            }
        }
    };
}

pub(crate) use on_tape;

/// Where the gradients of `K` outputs meet.
#[derive(Debug)]
struct Slots<B: Backend, const K: usize>(Arc<Mutex<[Option<FloatTensor<B>>; K]>>);

impl<B: Backend, const K: usize> Clone for Slots<B, K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend, const K: usize> Default for Slots<B, K> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new([const { None }; K])))
    }
}

impl<B: Backend, const K: usize> Slots<B, K> {
    fn put(&self, index: usize, gradient: FloatTensor<B>) {
        self.0.lock().expect("no holder of the lock panics")[index] = Some(gradient);
    }

    fn take(&self) -> [Option<FloatTensor<B>>; K] {
        let mut slots = self.0.lock().expect("no holder of the lock panics");
        std::mem::replace(&mut *slots, [const { None }; K])
    }
}

/// The value of the core node, and the gradient that wakes it: one element that nobody reads.
fn token<B: Backend>(like: &FloatTensor<B>) -> FloatTensor<B> {
    zeros::<B>(Shape::new([1]), like)
}

fn zeros<B: Backend>(shape: Shape, like: &FloatTensor<B>) -> FloatTensor<B> {
    B::float_zeros(shape, &like.device(), like.dtype().into())
}

/// The node of one output.
#[derive(Debug)]
struct Deliver<const K: usize>;

impl<B: Backend, const K: usize> Backward<B, 1> for Deliver<K> {
    type State = (Slots<B, K>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let token = token::<B>(&gradient);
        let (slots, index) = ops.state;
        slots.put(index, gradient);
        if let [Some(core)] = ops.parents {
            gradients.register::<B>(core.id, token);
        }
    }
}

/// The node that holds the backward.
#[derive(Debug)]
struct Core<O, const K: usize>(PhantomData<O>);

impl<B: Backend, O: Operator<B, N, K>, const N: usize, const K: usize> Backward<B, N> for Core<O, K> {
    type State = (O::Saved, O::Settings, Slots<B, K>, [Option<Shape>; K]);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let token = gradients.consume::<B>(&ops.node);
        let (saved, settings, slots, mut shapes) = ops.state;
        let mut upstream = slots.take();
        for (gradient, shape) in upstream.iter_mut().zip(&mut shapes) {
            if let (None, Some(shape)) = (&gradient, shape.take()) {
                *gradient = Some(zeros::<B>(shape, &token));
            }
        }
        let found = O::vjp(saved, O::Outputs::from_array(upstream), settings).into_array();
        for (input, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (input, gradient) {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
