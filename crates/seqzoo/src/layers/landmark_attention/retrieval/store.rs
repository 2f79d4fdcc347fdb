//! Everything that a stream has read: whole blocks away from the device, their landmarks and the current block on it.

use super::RetrievalConfig;
use super::arena::Arena;
use super::host::{Host, Shape};
use crate::layers::LandmarkAttention;
use crate::ops::{accumulator, to_dtype};
use crate::{ConfigError, Layer, StateError};
use burn::tensor::{Device, Tensor};
use std::path::Path;

/// What a stream through [`LandmarkAttention::retrieve`] has read.
///
/// Whole blocks are in the memory of the host, or in a file that is mapped into it: keys before rotation, and values. On the
/// device are the keys of their landmarks, the block that is not whole yet, and as many blocks as the
/// [budget](RetrievalConfig::budget) allows, of which the least recently used leave first. A block counts once per sequence
/// and key and value head.
///
/// It is of one layer and of a fixed batch, and holds no gradients.
pub struct LandmarkStore {
    pub(super) config: RetrievalConfig,
    pub(super) shape: Shape,
    pub(super) host: Host,
    pub(super) arena: Arena,
    /// Keys of the landmarks of all blocks, before rotation, `[B, N, HK, d]`.
    pub(super) landmarks: Tensor<4>,
    /// Keys (before rotation) and values of the block that is not whole yet, `[B, P, HK, d]`.
    pub(super) local: [Tensor<4>; 2],
    pub(super) read: u64,
}

/// How many blocks were read, each counted once per sequence and key and value head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockCounts {
    /// By queries: a block counts for every query that reads it, or once for queries that chose it together.
    pub read: u64,
    /// From the host to the device.
    pub loaded: u64,
}

impl LandmarkStore {
    /// An empty store in the host's memory, for `batch` sequences through `layer`.
    ///
    /// # Errors
    ///
    /// If `top_k` is 0, the batch is empty, or the budget is less than one token asks for.
    pub fn in_memory(
        layer: &LandmarkAttention,
        config: &RetrievalConfig,
        batch: usize,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let shape = shape(layer, batch);
        let budget = budget(layer, config, batch)?;
        Ok(Self::new(layer, config, budget, Host::memory(shape), shape, device))
    }

    /// An empty store in the file `path`, in place of whatever was there.
    ///
    /// # Errors
    ///
    /// As [`in_memory`](Self::in_memory), and if the file cannot be written or another store uses it.
    pub fn create(
        path: impl AsRef<Path>,
        layer: &LandmarkAttention,
        config: &RetrievalConfig,
        batch: usize,
        device: &Device,
    ) -> Result<Self, StateError> {
        let path = path.as_ref();
        let shape = shape(layer, batch);
        let budget = budget(layer, config, batch).map_err(|error| StateError::mismatch(path, error))?;
        Ok(Self::new(layer, config, budget, Host::create(path, shape)?, shape, device))
    }

    /// The store in the file `path`, which is read once and checked. It holds whole blocks: the tokens since
    /// [`position`](Self::position) are to be given again.
    ///
    /// # Errors
    ///
    /// As [`in_memory`](Self::in_memory), and if the file cannot be read, is not a whole file of blocks, was written by
    /// another format version, is of other dimensions, or another store uses it.
    pub fn open(
        path: impl AsRef<Path>,
        layer: &LandmarkAttention,
        config: &RetrievalConfig,
        batch: usize,
        device: &Device,
    ) -> Result<Self, StateError> {
        let path = path.as_ref();
        let shape = shape(layer, batch);
        let budget = budget(layer, config, batch).map_err(|error| StateError::mismatch(path, error))?;
        let mut store = Self::new(layer, config, budget, Host::open(path, shape)?, shape, device);
        store.landmarks = store.landmarks_of_host();
        Ok(store)
    }

    fn new(
        layer: &LandmarkAttention,
        config: &RetrievalConfig,
        budget: usize,
        host: Host,
        shape: Shape,
        device: &Device,
    ) -> Self {
        let dtype = accumulator(layer.query.weight.val().dtype());
        let empty = || Tensor::zeros([shape.batch, 0, shape.heads, shape.channels], (device, dtype));
        Self {
            config: config.clone(),
            shape,
            host,
            arena: Arena::new(budget, shape, dtype, device),
            landmarks: empty(),
            local: [empty(), empty()],
            read: 0,
        }
    }

    /// How many tokens have passed, landmarks included.
    pub fn position(&self) -> u64 {
        (self.blocks() * self.shape.block + self.place()) as u64
    }

    /// How many whole blocks there are.
    pub fn blocks(&self) -> usize {
        self.host.blocks(self.shape)
    }

    /// How many blocks were read since the store was made.
    pub fn counts(&self) -> BlockCounts {
        BlockCounts { read: self.read, loaded: self.arena.loaded }
    }

    /// How many blocks are on the device, each counted once per sequence and key and value head: at most the budget.
    pub fn resident(&self) -> usize {
        self.arena.resident()
    }

    /// The bytes on the device: the room for blocks, which does not grow, the block that is not whole yet, and the keys of
    /// all landmarks, which grow by `1 / (2 · block)` of what a whole cache would.
    pub fn device_bytes(&self) -> usize {
        let bytes = |tensor: &Tensor<4>| tensor.dims().iter().product::<usize>() * tensor.dtype().size();
        self.arena.bytes() + bytes(&self.landmarks) + self.local.iter().map(bytes).sum::<usize>()
    }

    /// The place of the next token in its block.
    pub(super) fn place(&self) -> usize {
        self.local[0].dims()[1]
    }

    /// Adds tokens `[B, P, HK, d]` to the current block, which goes to the host when it is whole.
    pub(super) fn push(&mut self, key: Tensor<4>, value: Tensor<4>) -> Result<(), StateError> {
        let add = |local: &Tensor<4>, new: Tensor<4>| match local.dims()[1] {
            0 => new,
            _ => Tensor::cat(vec![local.clone(), new], 1),
        };
        let [keys, values] = &self.local;
        self.local = [add(keys, key), add(values, value)];
        let Shape { block, .. } = self.shape;
        if self.place() < block {
            return Ok(());
        }
        let [keys, values] = self.local.clone();
        let whole = Tensor::cat(vec![keys.clone(), values.clone()], 3).swap_dims(1, 2); // [b, hk, block, 2d]
        self.host.append(whole.into_data().as_bytes())?;
        let landmark = keys.clone().narrow(1, block - 1, 1);
        self.landmarks = add(&self.landmarks, copied(landmark));
        self.local = [keys, values].map(|local| {
            let [batch, _, heads, channels] = local.dims();
            Tensor::zeros([batch, 0, heads, channels], (&local.device(), local.dtype()))
        });
        Ok(())
    }

    /// The keys of all landmarks, read from the host.
    fn landmarks_of_host(&self) -> Tensor<4> {
        let Shape { batch, heads, block, channels, .. } = self.shape;
        let (blocks, device, dtype) = (self.blocks(), self.landmarks.device(), self.landmarks.dtype());
        if blocks == 0 {
            return self.landmarks.clone();
        }
        let width = self.shape.width;
        let at = (block - 1) * 2 * channels * width;
        let units = (0..blocks * batch * heads).map(|number| self.host.unit(number));
        let bytes: Vec<u8> = units.flat_map(|unit| unit[at..at + channels * width].iter().copied()).collect();
        let shape = vec![blocks, batch, heads, channels];
        let data = burn::tensor::TensorData::from_bytes_vec(bytes, shape, dtype);
        Tensor::<4>::from_data(data, (&device, dtype)).swap_dims(0, 1)
    }
}

/// A copy: a view would keep the whole block.
fn copied(landmark: Tensor<4>) -> Tensor<4> {
    let dtype = landmark.dtype();
    to_dtype(landmark + 0.0, dtype)
}

fn shape(layer: &LandmarkAttention, batch: usize) -> Shape {
    let width = accumulator(layer.query.weight.val().dtype()).size();
    Shape { batch, heads: layer.key_value_heads, block: layer.block, channels: layer.head_dim, width }
}

/// The budget, if it is enough for one token of every sequence.
fn budget(layer: &LandmarkAttention, config: &RetrievalConfig, batch: usize) -> Result<usize, ConfigError> {
    let unless =
        |holds, problem: &dyn Fn() -> String| ConfigError::unless(holds, LandmarkAttention::KIND, problem);
    unless(config.top_k > 0, &|| "top_k is 0; let at least 1 block be read".into())?;
    unless(batch > 0, &|| "a store of no sequences; give it at least 1".into())?;
    let least = batch.saturating_mul(layer.heads).saturating_mul(config.top_k);
    let budget = config.budget.unwrap_or(least.saturating_mul(4));
    unless(budget >= least, &|| {
        format!("budget = {budget}, but at least {least} are wanted: sequences times heads times top_k")
    })?;
    crate::config::check_numbers(
        LandmarkAttention::KIND,
        "the blocks on the device",
        &[budget, layer.block, 2 * layer.head_dim],
    )?;
    Ok(budget)
}
