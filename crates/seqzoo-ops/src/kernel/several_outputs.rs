//! One autodiff node with several outputs.
//!
//! Burn's tape gives every node one output. An operator with a hand-written backward and `K` outputs
//! becomes a core node, which holds the backward, and one light node per output. When the tape reaches
//! a light node, that node puts the gradient of its output into a slot and wakes the core. The core
//! comes later, because it is the parent of all of them, and takes what the slots hold. The slot of an
//! output that the loss never used stays empty.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};
use burn::tensor::Shape;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

/// A hand-written backward of an operator with `N` inputs and `K` outputs.
pub(crate) trait Vjp<B: Backend, const N: usize, const K: usize>: Send + Debug + 'static {
    /// What the forward pass keeps for the backward pass.
    type Saved: Clone + Send + Debug + 'static;

    /// The gradients of the inputs; `None` stands for an output that the loss never used.
    fn vjp(saved: Self::Saved, outputs: [Option<FloatTensor<B>>; K]) -> [FloatTensor<B>; N];
}

/// Runs `compute` and puts it on the tape, with `V` as its backward.
///
/// `compute` is told whether a gradient will be wanted; what it then saves must be there, and what it
/// saves otherwise is dropped.
pub(crate) fn record<B, C, V, const N: usize, const K: usize>(
    inputs: [NodeGuard; N],
    compute: impl FnOnce(bool) -> ([FloatTensor<B>; K], V::Saved),
) -> [FloatTensor<Autodiff<B, C>>; K]
where
    B: Backend,
    C: CheckpointStrategy,
    V: Vjp<B, N, K>,
{
    let slots = Slots::<B, K>::new();
    let (core, outputs) = match Core::<V, K>(PhantomData).prepare::<C>(inputs).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (outputs, saved) = compute(true);
            let token = token::<B>(&outputs[0]);
            (prepared.finish((saved, slots.clone()), token), outputs)
        }
        OpsKind::UnTracked(prepared) => {
            let (outputs, _) = compute(false);
            let token = token::<B>(&outputs[0]);
            (prepared.finish(token), outputs)
        }
    };
    let mut index = 0..K;
    outputs.map(|output| {
        let index = index.next().expect("there are as many indices as outputs");
        match Deliver::<K>.prepare::<C>([core.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((slots.clone(), index), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    })
}

/// Where the gradients of `K` outputs meet.
#[derive(Debug)]
struct Slots<B: Backend, const K: usize>(Arc<Mutex<[Option<FloatTensor<B>>; K]>>);

impl<B: Backend, const K: usize> Clone for Slots<B, K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Backend, const K: usize> Slots<B, K> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new([const { None }; K])))
    }

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
    B::float_zeros(Shape::new([1]), &like.device(), like.dtype().into())
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
struct Core<V, const K: usize>(PhantomData<V>);

impl<B: Backend, V: Vjp<B, N, K>, const N: usize, const K: usize> Backward<B, N> for Core<V, K> {
    type State = (V::Saved, Slots<B, K>);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let _ = gradients.consume::<B>(&ops.node);
        let (saved, slots) = ops.state;
        for (input, gradient) in ops.parents.into_iter().zip(V::vjp(saved, slots.take())) {
            if let Some(node) = input {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
