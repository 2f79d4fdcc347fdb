//! What the configurations of the Titans layers share.

/// Declares a configuration of attention and a [`NeuralMemory`](super::NeuralMemory), with numbers of its own: how far the
/// attention looks, and how long a chunk of the memory is.
macro_rules! titans_config {
    (
        $(#[$meta:meta])*
        pub struct $config:ident {
            $($(#[$own_meta:meta])* $own:ident = $default:tt),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(burn::config::Config, Debug)]
        pub struct $config {
            /// Channels of input and output.
            pub d_model: usize,
            $($(#[$own_meta])* #[config(default = $default)] pub $own: usize,)+
            /// Heads of the attention and of the memory. Default: `4`.
            #[config(default = 4)]
            pub num_heads: usize,
            /// Channels per head. Default: `None`, `d_model / num_heads`.
            pub head_dim: Option<usize>,
            /// Learned tokens that the attention always sees, and as many that the memory has read. Default: `4`.
            #[config(default = 4)]
            pub num_persistent: usize,
            /// Whether the attention's queries and keys carry rotary positions. Default: `true`.
            #[config(default = true)]
            pub rotary: bool,
            /// Matrices of each memory, with GELU between them; 1 is a linear memory. Default: `2`.
            #[config(default = 2)]
            pub depth: usize,
            /// Channels between those matrices, as a multiple of those of a head. Default: `4.0`.
            #[config(default = 4.0)]
            pub expand_hidden: f64,
            /// Whether the memory adds its input to its answer. Default: `false`.
            #[config(default = false)]
            pub residual: bool,
            /// Whether the memory's weights forget. Default: `true`.
            #[config(default = true)]
            pub forgetting: bool,
            /// Whether past surprise carries on as momentum. Default: `true`.
            #[config(default = true)]
            pub momentum: bool,
            /// The largest step of a token along its gradient. Default: `None`, 1 for a linear memory and 0.02 for a
            /// deeper one, which diverges sooner.
            pub max_step: Option<f64>,
            /// Taps of the short convolutions after the memory's query, key and value projections, at least 2. `None`:
            /// `silu` without a convolution. Default: `Some(4)`.
            #[config(default = "Some(4)")]
            pub conv_size: Option<usize>,
            /// The epsilon of the norms. Default: `1e-5`.
            #[config(default = 1e-5)]
            pub norm_epsilon: f64,
            /// How the projections are initialised. Default:
            /// [`ProjectionInit::Uniform`](crate::parts::ProjectionInit::Uniform).
            #[config(default = "crate::parts::ProjectionInit::Uniform")]
            pub initializer: crate::parts::ProjectionInit,
        }

        impl $config {
            fn attention(&self, window: Option<usize>) -> super::SoftmaxAttentionConfig {
                super::SoftmaxAttentionConfig::new(self.d_model)
                    .with_num_heads(self.num_heads)
                    .with_head_dim(self.head_dim)
                    .with_window(window)
                    .with_num_persistent(self.num_persistent)
                    .with_rotary(self.rotary)
                    .with_initializer(self.initializer)
            }

            fn memory(&self, chunk: usize) -> super::NeuralMemoryConfig {
                super::NeuralMemoryConfig::new(self.d_model)
                    .with_num_heads(self.num_heads)
                    .with_head_dim(self.head_dim)
                    .with_depth(self.depth)
                    .with_expand_hidden(self.expand_hidden)
                    .with_chunk(chunk)
                    .with_residual(self.residual)
                    .with_forgetting(self.forgetting)
                    .with_momentum(self.momentum)
                    .with_max_step(self.max_step)
                    .with_num_persistent(self.num_persistent)
                    .with_conv_size(self.conv_size)
                    .with_norm_epsilon(self.norm_epsilon)
                    .with_initializer(self.initializer)
            }
        }
    };
}

pub(super) use titans_config;
