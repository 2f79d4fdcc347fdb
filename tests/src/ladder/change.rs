//! Changes of every tensor of a case, whatever its rank.

use crate::Inputs;
use burn::tensor::{DType, Device, FloatDType, Tensor};
use seqzoo::ops::repeat_heads;
use std::ops::Range;

/// A change of tensors of any rank.
pub trait Change {
    /// What becomes of the tensor `name`.
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D>;
}

/// Whether a tensor of this name holds log decays.
fn is_decay(name: &str) -> bool {
    ["g", "gk"].contains(&name)
}

/// In another float type.
pub struct Cast(pub FloatDType);

impl Change for Cast {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        tensor.cast(self.0)
    }
}

/// On another device, in a float type that it has.
pub struct MoveTo<'a>(pub &'a Device, pub DType);

impl Change for MoveTo<'_> {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        Tensor::from_data(tensor.to_data(), (self.0, self.1))
    }
}

/// A leaf whose gradient is recorded.
pub struct Track;

impl Change for Track {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        tensor.require_grad()
    }
}

/// Some tokens of a sequence, `[B, T, ...]`; what is no sequence has fewer axes.
pub struct Tokens(pub Range<usize>);

impl Change for Tokens {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        if D < 3 { tensor } else { tensor.narrow(1, self.0.start, self.0.len()) }
    }
}

/// One sequence of the batch, or its state.
pub struct Row(pub usize);

impl Change for Row {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        if D < 3 && !name.starts_with("state") { tensor } else { tensor.narrow(0, self.0, 1) }
    }
}

/// One token of every sequence changed: `factor · x + offset`, and log decays stay negative.
pub struct ChangedToken {
    /// Which.
    pub token: usize,
    /// What it is multiplied by.
    pub factor: f64,
    /// What is then added to it.
    pub offset: f64,
}

impl Change for ChangedToken {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        if D < 3 {
            return tensor;
        }
        let offset = if is_decay(name) { -self.offset } else { self.offset };
        let changed = tensor.clone().narrow(1, self.token, 1) * self.factor + offset;
        let mut here = tensor.dims().map(|extent| 0..extent);
        here[1] = self.token..self.token + 1;
        tensor.slice_assign(here, changed)
    }
}

/// Moved by `step` along a random direction, which the state of `directions` fixes.
pub struct Moved {
    /// Where the directions come from.
    pub directions: Inputs,
    /// How far.
    pub step: f64,
}

impl Change for Moved {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        let direction = self.directions.uniform(tensor.dims());
        tensor + direction * self.step
    }
}

/// Random numbers in (-1, 1) instead.
pub struct Redrawn<'a>(pub &'a mut Inputs);

impl Change for Redrawn<'_> {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        self.0.uniform(tensor.dims())
    }
}

/// Multiplied by a number.
pub struct Times(pub f64);

impl Change for Times {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        tensor * self.0
    }
}

/// The middle of a tensor that is a row larger on every side, and NaN there.
pub struct AmidNan;

impl Change for AmidNan {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        let dims = tensor.dims();
        let around =
            Tensor::<D>::full(dims.map(|extent| extent + 2), f64::NAN, (&tensor.device(), tensor.dtype()));
        let middle = dims.map(|extent| 1..extent + 1);
        around.slice_assign(middle.clone(), tensor).slice(middle)
    }
}

/// The same numbers in another order in memory.
pub struct View;

impl Change for View {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        if D < 3 { tensor } else { tensor.swap_dims(1, 2).add_scalar(0.0).swap_dims(1, 2) }
    }
}

/// Some tokens forget almost everything, all others nothing.
pub struct HarshDecays;

impl Change for HarshDecays {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        if !is_decay(name) {
            return tensor;
        }
        if D < 3 {
            return tensor.full_like(-30.0);
        }
        let mask = Inputs::new(3, &tensor.device()).uniform(tensor.dims()).greater_scalar(0.3);
        tensor.zeros_like().mask_fill(mask, -30.0)
    }
}

/// All tokens forget almost everything.
pub struct TinyDecays;

impl Change for TinyDecays {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        if is_decay(name) { tensor - 30.0 } else { tensor }
    }
}

/// Gates with two heads; `repeated`, each of them for its group of the four heads of the values.
pub struct TwoHeads {
    /// Whether the two are repeated.
    pub repeated: bool,
}

impl Change for TwoHeads {
    fn of<const D: usize>(&mut self, name: &str, tensor: Tensor<D>) -> Tensor<D> {
        if D < 3 || !(is_decay(name) || name == "beta") {
            return tensor;
        }
        let two = tensor.narrow(2, 0, 2);
        if !self.repeated {
            return two;
        }
        let mut dims = two.dims();
        let four = repeat_heads(two.reshape([dims[0] as i32, dims[1] as i32, 2, -1]), 4);
        dims[2] = 4;
        four.reshape(dims)
    }
}
