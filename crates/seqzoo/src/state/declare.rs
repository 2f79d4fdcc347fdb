//! Declaring a state by its fields.

use super::{MixerState, Scoped, StateMapper, StatePart};
use burn::tensor::Tensor;

/// A field of a state that is a tensor or may be none, and belongs to a [`StatePart`].
pub trait StateTensor: Sized {
    /// The field replaced by what `mapper` makes of it.
    fn map_tensor<M: StateMapper>(self, name: &str, part: StatePart, mapper: &mut M) -> Self;
}

impl<const D: usize> StateTensor for Tensor<D> {
    fn map_tensor<M: StateMapper>(self, name: &str, part: StatePart, mapper: &mut M) -> Self {
        mapper.tensor(name, part, self)
    }
}

impl<T: StateTensor> StateTensor for Option<T> {
    fn map_tensor<M: StateMapper>(self, name: &str, part: StatePart, mapper: &mut M) -> Self {
        self.map(|tensor| tensor.map_tensor(name, part, mapper))
    }
}

/// A field of a state that knows its parts itself: a number, a state in the state, or several of them.
pub trait StateField: Sized {
    /// The field with everything in it replaced by what `mapper` makes of it.
    fn map_field<M: StateMapper>(self, name: &str, mapper: &mut M) -> Self;
}

impl StateField for u64 {
    fn map_field<M: StateMapper>(self, name: &str, mapper: &mut M) -> Self {
        mapper.number(name, self)
    }
}

impl<S: MixerState> StateField for S {
    fn map_field<M: StateMapper>(self, name: &str, mapper: &mut M) -> Self {
        self.map_state(&mut Scoped::new(name, mapper))
    }
}

impl<S: MixerState> StateField for Vec<S> {
    fn map_field<M: StateMapper>(self, name: &str, mapper: &mut M) -> Self {
        let scope = |index| format!("{name}.{index}");
        let states = self.into_iter().enumerate();
        states.map(|(index, state)| state.map_field(&scope(index), mapper)).collect()
    }
}

/// Declares the state of a layer by its fields; how it is walked, saved, counted and selected follows from them.
///
/// ```
/// use burn::tensor::Tensor;
/// use seqzoo::state;
///
/// # #[derive(Clone, Debug)]
/// struct MovingAverage;
///
/// impl MovingAverage {
///     const KIND: &str = "moving_average";
/// }
///
/// state! {
///     /// State of [`MovingAverage`].
///     pub struct MovingAverageState of MovingAverage {
///         /// The average, `[B, D]`.
///         pub average: Tensor<2> as Recurrent,
///         /// How many tokens have passed.
///         pub position: u64,
///     }
/// }
/// ```
///
/// The layer has a constant `KIND`, the name in files, as every [`Layer`](crate::Layer) has. A tensor, or an
/// `Option` of one, stands `as` the [`StatePart`](crate::state::StatePart) that it is. Without `as` stand numbers
/// (`u64`, at most 2^53), [`ConvStates`](crate::parts::ConvStates), and other states and vectors of them, whose names in files
/// begin with that of the field: any [`StateField`](crate::state::StateField).
#[macro_export]
macro_rules! state {
    (@map $mapper:ident, $name:expr, $value:expr) => {
        $crate::state::StateField::map_field($value, $name, $mapper)
    };
    (@map $mapper:ident, $name:expr, $value:expr, $part:ident) => {
        $crate::state::StateTensor::map_tensor($value, $name, $crate::state::StatePart::$part, $mapper)
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $state:ident of $layer:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty $(as $part:ident)?),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $state {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        impl $crate::MixerState for $state {
            fn layer(&self) -> ::std::string::String {
                #[allow(unused_imports, reason = "the constant may be the type's own")]
                use $crate::Layer as _;
                $layer::KIND.into()
            }

            fn map_state<M: $crate::state::StateMapper>(self, mapper: &mut M) -> Self {
                Self {
                    $($field: $crate::state!(@map mapper, ::std::stringify!($field), self.$field $(, $part)?),)*
                }
            }
        }
    };
}
