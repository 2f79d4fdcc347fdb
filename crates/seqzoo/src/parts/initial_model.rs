//! What inner models of test-time training begin as.

use crate::Undecayed;
use crate::ops::ttt::{InnerModel, InnerNorm, TttState};
use crate::ops::{accumulator, to_dtype};
use crate::state::{StateField, StateMapper, StatePart};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{DType, Device, Tensor};

/// The deviation of the initial weights, as published.
const DEVIATION: f64 = 0.02;

/// The learned weights that every inner model begins as, and the layer norm after it, per head.
///
/// Weights are initially normal with deviation 0.02, biases zero, and the norm is without gain and offset. It computes in
/// `f32` or wider.
#[derive(Module, Debug)]
pub struct InitialModel {
    /// The weights, `[H, in, out]` for each of its layers.
    pub weights: Vec<Param<Tensor<3>>>,
    /// The biases, `[H, out]` for each of its layers.
    pub biases: Vec<Undecayed<2>>,
    /// The gain of the norm, `[H, K]`.
    pub gain: Undecayed<2>,
    /// The offset of the norm, `[H, K]`.
    pub offset: Undecayed<2>,
}

impl InitialModel {
    /// Of layers with matrices of these shapes, `[H, in, out]`.
    pub(crate) fn new(shapes: &[[usize; 3]], device: &Device) -> Self {
        let [heads, channels, _] = shapes[0];
        let normal = Initializer::Normal { mean: 0.0, std: DEVIATION };
        Self {
            weights: shapes.iter().map(|shape| normal.init(*shape, device)).collect(),
            biases: shapes
                .iter()
                .map(|[heads, _, out]| Initializer::Zeros.init([*heads, *out], device).into())
                .collect(),
            gain: Initializer::Ones.init([heads, channels], device).into(),
            offset: Initializer::Zeros.init([heads, channels], device).into(),
        }
    }

    /// The weights of all sequences, `[1, H, in, out]` and `[1, H, 1, out]`.
    pub fn model(&self) -> InnerModel {
        let wide = self.wide();
        let weights = self.weights.iter().map(|weights| to_dtype(weights.val(), wide).unsqueeze());
        let biases = self.biases.iter().map(|bias| to_dtype(bias.val(), wide).unsqueeze_dim::<3>(1));
        InnerModel { weights: weights.collect(), biases: biases.map(|bias| bias.unsqueeze()).collect() }
    }

    /// The layer norm.
    pub fn norm(&self) -> InnerNorm {
        let wide = self.wide();
        InnerNorm { gain: to_dtype(self.gain.val(), wide), offset: to_dtype(self.offset.val(), wide) }
    }

    fn wide(&self) -> DType {
        accumulator(self.gain.val().dtype())
    }
}

/// Its tensors by layer: the weights at the start of the chunk, and the sums of the gradients since then.
impl StateField for TttState {
    fn map_field<M: StateMapper>(self, name: &str, mapper: &mut M) -> Self {
        let mut layers = |part: &str, layers: Vec<Tensor<4>>| -> Vec<Tensor<4>> {
            let layers = layers.into_iter().enumerate();
            let place = |(layer, tensor)| {
                mapper.tensor(&format!("{name}.{part}.{layer}"), StatePart::Recurrent, tensor)
            };
            layers.map(place).collect()
        };
        Self {
            model: InnerModel {
                weights: layers("weights", self.model.weights),
                biases: layers("biases", self.model.biases),
            },
            gradients: InnerModel {
                weights: layers("weight_gradients", self.gradients.weights),
                biases: layers("bias_gradients", self.gradients.biases),
            },
            position: mapper.places(&format!("{name}.position"), self.position, self.chunk),
            chunk: self.chunk,
        }
    }
}
