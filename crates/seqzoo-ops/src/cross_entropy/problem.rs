//! Arguments after checking.

use super::{CrossEntropyOptions, Head, Reduction};
use crate::checks;
use crate::kernel::reads_without_waiting;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{FloatDType, Int, Tensor};

/// More classes than this have no numbers of their own in `f32`.
const MAX_CLASSES: usize = 1 << 24;

/// Arguments after checking, in the accumulator's dtype.
pub(super) struct Problem {
    pub hidden: Tensor<2>, // [n, d]
    pub head: Head,
    /// The class of every position, as a float: -1 where it does not count.
    pub classes: Tensor<1>, // [n]
    /// What the loss of every position is multiplied with in the reduction.
    pub factors: Tensor<1>, // [n]
    pub rule: Rule,
    pub reduction: Reduction,
}

/// How the loss of a position comes from its logits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub smoothing: f64,
    pub z: f64,
    pub cap: Option<f64>,
}

impl Problem {
    #[track_caller]
    pub fn new(
        hidden: Tensor<2>,
        head: Head,
        targets: Tensor<1, Int>,
        options: &CrossEntropyOptions,
    ) -> Self {
        let [positions, channels] = hidden.dims();
        let CrossEntropyOptions { reduction, ignore_index, label_smoothing, z_loss, logit_cap, .. } =
            *options;
        let classes = head.classes();
        checks::not_empty("hidden", "channel", channels);
        checks::not_empty("head", "class", classes);
        let axes = [("D", channels), ("V", classes)];
        let wanted = if head.embedding { [axes[1], axes[0]] } else { axes };
        checks::shape("head", &head.weight.dims(), &wanted);
        if let Some(bias) = &head.bias {
            checks::shape("bias", &bias.dims(), &[("V", classes)]);
        }
        checks::shape("targets", &targets.dims(), &[("N", positions)]);
        in_range("label_smoothing", label_smoothing, (0.0..=1.0).contains(&label_smoothing), "from 0 to 1");
        in_range("z_loss", z_loss, z_loss >= 0.0 && z_loss.is_finite(), "of at least 0");
        if let Some(cap) = logit_cap {
            in_range("logit_cap", cap, cap > 0.0 && cap.is_finite(), "above 0");
        }
        assert!(
            classes <= MAX_CLASSES,
            "The argument `head` has {classes} classes, but at most {MAX_CLASSES} are wanted."
        );
        if reads_without_waiting(&targets.device()) {
            check_targets(&targets, classes, ignore_index);
        }

        let wide = accumulator(hidden.dtype());
        let ignored = match ignore_index {
            Some(index) => targets.clone().equal_elem(index),
            None => targets.clone().zeros_like().bool(),
        };
        let numbers = to_dtype(targets.cast(FloatDType::from(wide)), wide);
        let counted = numbers.clone().ones_like().mask_fill(ignored.clone(), 0.0);
        let factors = match reduction {
            Reduction::Mean => counted.clone() / counted.sum().clamp_min(1.0),
            Reduction::Sum | Reduction::Each => counted,
        };
        Self {
            hidden: to_dtype(hidden, wide),
            head: Head {
                weight: to_dtype(head.weight, wide),
                bias: head.bias.map(|bias| to_dtype(bias, wide)),
                ..head
            },
            classes: numbers.mask_fill(ignored, -1.0),
            factors,
            rule: Rule { smoothing: label_smoothing, z: z_loss, cap: logit_cap },
            reduction,
        }
    }
}

#[track_caller]
fn in_range(option: &str, found: f64, fits: bool, wanted: &str) {
    assert!(fits, "The option `{option}` is {found}, but a finite number {wanted} is wanted.");
}

#[track_caller]
fn check_targets(targets: &Tensor<1, Int>, classes: usize, ignored: Option<i64>) {
    let numbers = targets.to_data();
    let wrong = numbers.iter::<i64>().enumerate().find(|(_, target)| {
        let class = usize::try_from(*target).is_ok_and(|target| target < classes);
        !class && ignored != Some(*target)
    });
    if let Some((position, target)) = wrong {
        panic!(
            "The argument `targets` has the class {target} at position {position}, but classes from 0 to {} are wanted.",
            classes - 1
        );
    }
}
