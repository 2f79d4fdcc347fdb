//! Which parameters an optimizer should decay.
//!
//! Published models decay matrices and nothing else: no norms, no biases, and none of the parameters that set time
//! scales (`A_log`, `dt_bias`, `D`), whatever their shape. [`WeightDecay::of`] divides the parameters of any module
//! in that way, for the parameter groups of Burn's optimizers:
//!
//! ```
//! use burn::optim::AdamWConfig;
//! use burn::tensor::Device;
//! use seqzoo::{WeightDecay, layers::GatedDeltaNetConfig};
//!
//! let device = Device::default().autodiff();
//! let layer = GatedDeltaNetConfig::new(16).with_num_heads(2).with_head_dim(4).init(&device);
//! let groups = WeightDecay::of(&layer);
//! assert!(groups.undecayed_names().any(|name| name == "decay.gate.a_log"));
//!
//! let adam = AdamWConfig::new();
//! let optimizer = adam
//!     .clone()
//!     .with_weight_decay(0.1)
//!     .init()
//!     .with_group(groups.undecayed(), adam.with_weight_decay(0.0).build(), None);
//! # let _ = optimizer;
//! ```

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamGroup, ParamId,
};
use burn::tensor::{Device, Tensor};
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

/// The parameters of a module, divided by whether an optimizer should decay them.
///
/// Not decayed are
///
/// * parameters of one axis: biases, the scales of norms, a number per channel or head,
/// * parameters called `bias`, and those of a type whose name ends in `Norm`, whatever their shape,
/// * parameters that their layer declares as [`Undecayed`].
///
/// All others are decayed, embeddings included. Parameters are found by their identities, so make the groups after a
/// record has been loaded.
#[derive(Clone, Debug)]
pub struct WeightDecay {
    decayed: Vec<(String, ParamId)>,
    undecayed: Vec<(String, ParamId)>,
}

impl WeightDecay {
    /// Divides the floating-point parameters of `module`.
    pub fn of<M: Module>(module: &M) -> Self {
        let mut divide =
            Divide { groups: Self { decayed: Vec::new(), undecayed: Vec::new() }, fields: Vec::new() };
        module.visit(&mut divide);
        divide.groups
    }

    /// The parameters to decay.
    pub fn decayed(&self) -> ParamGroup {
        ParamGroup::from_ids(self.decayed.iter().map(|(_, id)| *id).collect())
    }

    /// The parameters to leave alone.
    pub fn undecayed(&self) -> ParamGroup {
        ParamGroup::from_ids(self.undecayed.iter().map(|(_, id)| *id).collect())
    }

    /// The paths of the parameters to decay, such as `blocks.0.mixer.GatedDeltaNet.heads.query.weight`.
    pub fn decayed_names(&self) -> impl Iterator<Item = &str> {
        self.decayed.iter().map(|(name, _)| name.as_str())
    }

    /// The paths of the parameters to leave alone.
    pub fn undecayed_names(&self) -> impl Iterator<Item = &str> {
        self.undecayed.iter().map(|(name, _)| name.as_str())
    }
}

/// A parameter that takes no weight decay, whatever its shape, wherever its layer stands.
///
/// It is a [`Param`] in all else, under the same name in files: it dereferences to one, and is made from one.
///
/// ```
/// use burn::module::Module;
/// use burn::nn::{Initializer, Linear};
/// use burn::tensor::Device;
/// use seqzoo::{Undecayed, WeightDecay};
///
/// /// Rates of `[D, N]` states.
/// #[derive(Module, Debug)]
/// struct Rates {
///     a_log: Undecayed<2>,
/// }
///
/// let a_log = Initializer::Zeros.init([8, 4], &Device::default());
/// let rates = Rates { a_log: a_log.into() };
/// assert_eq!(rates.a_log.val().dims(), [8, 4]);
/// assert_eq!(WeightDecay::of(&rates).undecayed_names().collect::<Vec<_>>(), ["a_log"]);
/// ```
#[derive(Clone, Debug)]
pub struct Undecayed<const D: usize>(Param<Tensor<D>>);

impl<const D: usize> From<Param<Tensor<D>>> for Undecayed<D> {
    fn from(parameter: Param<Tensor<D>>) -> Self {
        Self(parameter)
    }
}

impl<const D: usize> Deref for Undecayed<D> {
    type Target = Param<Tensor<D>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<const D: usize> DerefMut for Undecayed<D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

thread_local! {
    /// Whether an [`Undecayed`] is being visited. A visitor is told the names and types of fields and their parameters,
    /// and anything more would change the names that other visitors see.
    static UNDECAYED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the parameter that a visitor or mapper has reached is declared as [`Undecayed`].
pub(crate) fn is_undecayed() -> bool {
    UNDECAYED.get()
}

impl<const D: usize> Module for Undecayed<D> {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        UNDECAYED.set(true);
        self.0.visit(visitor);
        UNDECAYED.set(false);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        UNDECAYED.set(true);
        let mapped = Module::map(self.0, mapper);
        UNDECAYED.set(false);
        Self(mapped)
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        self.0.collect_devices(devices)
    }

    fn to_device(self, device: &Device) -> Self {
        Self(Module::to_device(self.0, device))
    }

    fn fork(self, device: &Device) -> Self {
        Self(Module::fork(self.0, device))
    }

    fn valid(&self) -> Self {
        Self(Module::valid(&self.0))
    }

    fn train(self) -> Self {
        Self(Module::train(self.0))
    }

    fn materialize(self) -> Self {
        Self(Module::materialize(self.0))
    }
}

impl<const D: usize> ModuleDisplayDefault for Undecayed<D> {
    fn content(&self, content: Content) -> Option<Content> {
        self.0.content(content)
    }
}

impl<const D: usize> ModuleDisplay for Undecayed<D> {}

struct Divide {
    groups: WeightDecay,
    /// The names of the fields on the way to the parameter, and the types that hold them.
    fields: Vec<(String, String)>,
}

impl ModuleVisitor for Divide {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.fields.push((name.to_string(), container.to_string()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.fields.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        let by_field =
            self.fields.last().is_some_and(|(name, holder)| name == "bias" || holder.ends_with("Norm"));
        let group = match D == 1 || by_field || is_undecayed() {
            true => &mut self.groups.undecayed,
            false => &mut self.groups.decayed,
        };
        group.push((names.join("."), parameter.id));
    }
}
