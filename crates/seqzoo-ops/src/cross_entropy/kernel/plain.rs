//! What is between the products, in tensor operations.

use super::blocks::Steps;
use crate::cross_entropy::problem::Rule;
use burn::backend::{Backend, TensorMetadata, get_or_init_device_settings, tensor::FloatTensor};
use burn::tensor::{IndexingUpdateOp, Shape};

/// Tensor operations of any backend.
pub(super) struct Plain;

impl<B: Backend> Steps<B> for Plain {
    fn losses(
        logits: FloatTensor<B>,
        bias: Option<&FloatTensor<B>>,
        classes: FloatTensor<B>,
        factors: Option<FloatTensor<B>>,
        rule: &Rule,
    ) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
        let [rows, count] = logits.shape().dims();
        let dtypes = get_or_init_device_settings::<B>(&logits.device());
        let column = |tensor| B::float_reshape(tensor, Shape::new([rows, 1]));
        let ignored = B::float_lower_elem(classes.clone(), 0.0.into(), dtypes.bool_dtype);
        let classes = B::float_into_int(column(B::float_clamp_min(classes, 0.0.into())), dtypes.int_dtype);

        let mut logits = logits;
        if let Some(bias) = bias {
            logits = B::float_add(logits, B::float_reshape(bias.clone(), Shape::new([1, count])));
        }
        if let Some(cap) = rule.cap {
            let bounded = B::float_tanh(B::float_div_scalar(logits, cap.into()));
            logits = B::float_mul_scalar(bounded, cap.into());
        }
        let largest = B::float_max_dim(logits.clone(), 1);
        let below = B::float_sub(logits.clone(), largest.clone());
        let said = B::float_gather(1, below.clone(), classes.clone());
        let mean = (rule.smoothing > 0.0).then(|| B::float_mean_dim(below.clone(), 1));
        let powers = B::float_exp(below);
        let sum = B::float_sum_dim(powers.clone(), 1);
        let log_sum = B::float_log(sum.clone());
        let normaliser = B::float_add(log_sum.clone(), largest); // log Σ exp
        let mut losses = B::float_sub(log_sum, B::float_mul_scalar(said, (1.0 - rule.smoothing).into()));
        if let Some(mean) = mean {
            losses = B::float_sub(losses, B::float_mul_scalar(mean, rule.smoothing.into()));
        }
        if rule.z > 0.0 {
            let square = B::float_mul(normaliser.clone(), normaliser.clone());
            losses = B::float_add(losses, B::float_mul_scalar(square, rule.z.into()));
        }
        let losses = B::float_reshape(losses, Shape::new([rows]));
        let losses = B::float_mask_fill(losses, ignored.clone(), 0.0.into());
        let gradient = factors.map(|factors| {
            let factors = column(B::float_mask_fill(factors, ignored, 0.0.into()));
            let mut slope = factors.clone();
            if rule.z > 0.0 {
                let more = B::float_mul_scalar(normaliser, (2.0 * rule.z).into());
                slope = B::float_mul(slope, B::float_add_scalar(more, 1.0.into()));
            }
            let mut gradient = B::float_mul(powers, B::float_div(slope, sum));
            if rule.smoothing > 0.0 {
                let even = B::float_mul_scalar(factors.clone(), (rule.smoothing / count as f64).into());
                gradient = B::float_sub(gradient, even);
            }
            let owed = B::float_mul_scalar(factors, (rule.smoothing - 1.0).into());
            gradient = B::float_scatter(1, gradient, classes, owed, IndexingUpdateOp::Add);
            if let Some(cap) = rule.cap {
                // tanh' = 1 - tanh²
                let bounded = B::float_div_scalar(logits, cap.into());
                let flat = B::float_mul(gradient.clone(), B::float_mul(bounded.clone(), bounded));
                gradient = B::float_sub(gradient, flat);
            }
            gradient
        });
        (losses, gradient)
    }

    fn product(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        B::float_matmul(a, b)
    }

    fn add_product(sum: FloatTensor<B>, a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
        B::float_add(sum, B::float_matmul(a, b))
    }

    fn add(sum: FloatTensor<B>, part: FloatTensor<B>) -> FloatTensor<B> {
        B::float_add(sum, part)
    }

    fn scale(tensor: FloatTensor<B>, factor: &FloatTensor<B>) -> FloatTensor<B> {
        let ones = vec![1; tensor.shape().num_dims()];
        B::float_mul(tensor, B::float_reshape(factor.clone(), Shape::from(ones)))
    }
}
