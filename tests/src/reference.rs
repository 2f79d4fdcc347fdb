//! Gradients under the names that the original implementations gave their parameters.

use crate::{Golden, largest_error};
use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Gradients, Tensor};
use std::collections::BTreeMap;

/// Gradients of parameters, in the layout of PyTorch.
#[derive(Default)]
pub struct ReferenceGradients(BTreeMap<String, Vec<f64>>);

impl ReferenceGradients {
    /// Records the gradients of a projection: PyTorch keeps the weight as `[out, in]`.
    pub fn linear(&mut self, name: &str, linear: &Linear, gradients: &Gradients) {
        let weight = linear.weight.val().grad(gradients).expect("the weight has a gradient");
        self.put(format!("{name}.weight"), weight.transpose());
        if let Some(bias) = &linear.bias {
            self.parameter(&format!("{name}.bias"), bias, gradients);
        }
    }

    /// Records the gradient of a parameter of the same layout.
    pub fn parameter<const D: usize>(
        &mut self,
        name: &str,
        parameter: &Param<Tensor<D>>,
        gradients: &Gradients,
    ) {
        let gradient = parameter.val().grad(gradients).expect("the parameter has a gradient");
        self.put(name.to_string(), gradient);
    }

    /// Records the gradients of projections that are one here, side by side: a name and a width for each.
    pub fn joined(&mut self, parts: &[(String, usize)], linear: &Linear, gradients: &Gradients) {
        let weight = linear.weight.val().grad(gradients).expect("the weight has a gradient");
        let mut from = 0;
        for (name, width) in parts {
            self.put(format!("{name}.weight"), weight.clone().narrow(1, from, *width).transpose());
            from += width;
        }
    }

    /// Records the gradients of projections that the original has in one, `groups` times in turn some rows of each.
    pub fn grouped(&mut self, name: &str, groups: usize, linears: &[&Linear], gradients: &Gradients) {
        let rows = linears.iter().map(|linear| {
            let weight = linear.weight.val().grad(gradients).expect("the weight has a gradient");
            let [from, to] = weight.dims();
            weight.transpose().reshape([groups, to / groups, from])
        });
        self.put(name.to_string(), Tensor::cat(rows.collect(), 1));
    }

    /// Records the gradients of parameters that the original has in one, those of the first in front.
    pub fn stacked<'a, const D: usize>(
        &mut self,
        name: &str,
        parameters: impl Iterator<Item = &'a Param<Tensor<D>>>,
        gradients: &Gradients,
    ) {
        let each = parameters.map(|parameter| parameter.val().grad(gradients).expect("it has a gradient"));
        self.put(name.to_string(), Tensor::cat(each.collect(), 0));
    }

    fn put<const D: usize>(&mut self, name: String, gradient: Tensor<D>) {
        let values = gradient.into_data().try_to_vec().expect("gradients are f64");
        self.0.insert(name, values);
    }

    /// Compares every gradient that the file holds for the parameters that `belongs` picks; none may be
    /// missing here.
    #[track_caller]
    pub fn assert_equal(&self, golden: &Golden, belongs: impl Fn(&str) -> bool, tolerance: f64) {
        let names = golden.names().filter_map(|name| name.strip_prefix("d_params."));
        let mut compared = 0;
        for name in names.filter(|name| belongs(name)) {
            let found = self.0.get(name).unwrap_or_else(|| panic!("no gradient was recorded for `{name}`"));
            let error = largest_error(found, golden.values(&format!("d_params.{name}")));
            assert!(error <= tolerance, "the gradient of `{name}` differs by {error:e}");
            compared += 1;
        }
        assert!(compared > 0, "the file holds gradients");
    }
}
