//! The tensors of a call to a kernel: structs whose fields have names, which the tape walks as arrays.

use burn::backend::{Backend, ExtensionType, tensor::FloatTensor};

/// A tensor that may be absent.
#[derive(ExtensionType, Clone, Debug)]
#[extension_type(fusion: cfg(all(feature = "cube", feature = "fusion")))]
pub(crate) enum Maybe<B: Backend> {
    Absent,
    Present(FloatTensor<B>),
}

impl<B: Backend> Maybe<B> {
    pub fn new(tensor: Option<FloatTensor<B>>) -> Self {
        tensor.map_or(Self::Absent, Self::Present)
    }

    pub fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Absent => None,
            Self::Present(tensor) => Some(tensor),
        }
    }
}

/// A struct of `N` tensors.
pub(crate) trait Tensors<B: Backend, const N: usize> {
    fn into_array(self) -> [Option<FloatTensor<B>>; N];

    fn from_array(tensors: [Option<FloatTensor<B>>; N]) -> Self;
}

/// Writes [`Tensors`] for a struct: its number of fields, those that are always there, and those that are [`Maybe`].
macro_rules! tensors {
    ($name:ident[$count:literal]: $($present:ident),* $(; maybe $($maybe:ident),*)?) => {
        impl<B: burn::backend::Backend> $crate::kernel::tensors::Tensors<B, $count> for $name<B> {
            fn into_array(self) -> [Option<burn::backend::tensor::FloatTensor<B>>; $count] {
                [$(Some(self.$present),)* $($(self.$maybe.into_option(),)*)?]
            }

            fn from_array(tensors: [Option<burn::backend::tensor::FloatTensor<B>>; $count]) -> Self {
                let [$($present,)* $($($maybe,)*)?] = tensors;
                Self {
                    $($present: $present.expect("this tensor is never absent"),)*
                    $($($maybe: $crate::kernel::tensors::Maybe::new($maybe),)*)?
                }
            }
        }
    };
}

pub(crate) use tensors;
