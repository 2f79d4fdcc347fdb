//! Blocks in a file.
//!
//! ```text
//! bytes    0..8    "seqzooLB"
//!          8..12   format version, 1
//!         12..16   bytes of a number: 4 or 8
//!         16..48   sequences, heads, tokens of a block, channels
//!         48..56   blocks
//!         56..88   SHA-256 of all blocks
//!         88..120  SHA-256 of the bytes before
//! then the blocks
//! ```
//!
//! All numbers are little-endian.

use super::host::Shape;
use crate::StateError;
use crate::files::map;
use memmap2::Mmap;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"seqzooLB";
const VERSION: u32 = 1;
const HEADER: usize = 120;

/// A file of blocks that grows at its end, locked as long as it is used.
pub(super) struct BlockFile {
    path: PathBuf,
    file: File,
    map: Mmap,
    shape: Shape,
    blocks: usize,
    digest: Sha256,
}

impl BlockFile {
    /// A file without blocks, in place of whatever was there.
    pub fn create(path: &Path, shape: Shape) -> Result<Self, StateError> {
        let file = opened(path, OpenOptions::new().read(true).write(true).create(true).truncate(false))?;
        file.set_len(0).map_err(|error| StateError::io(path, error))?;
        let mut made = Self {
            path: path.into(),
            map: empty().map_err(|error| StateError::io(path, error))?,
            file,
            shape,
            blocks: 0,
            digest: Sha256::new(),
        };
        made.write(&[])?;
        Ok(made)
    }

    /// The blocks in `path`, which are read once and checked.
    pub fn open(path: &Path, shape: Shape) -> Result<Self, StateError> {
        let file = opened(path, OpenOptions::new().read(true).write(true))?;
        let map = map(&file).map_err(|error| StateError::io(path, error))?;
        let blocks = checked(&map, shape).map_err(|problem| match problem {
            Problem::Malformed(text) => StateError::malformed(path, text),
            Problem::Mismatch(text) => StateError::mismatch(path, text),
        })?;
        let digest = Sha256::new().chain_update(&map[HEADER..]);
        Ok(Self { path: path.into(), file, map, shape, blocks, digest })
    }

    /// Adds a block at the end.
    pub fn append(&mut self, block: &[u8]) -> Result<(), StateError> {
        self.digest.update(block);
        self.blocks += 1;
        self.write(block)
    }

    pub fn blocks(&self) -> usize {
        self.blocks
    }

    pub fn unit(&self, number: usize) -> &[u8] {
        let unit = self.shape.unit();
        &self.map[HEADER + number * unit..HEADER + (number + 1) * unit]
    }

    /// Writes a block at the end, the header, and maps the file anew.
    fn write(&mut self, block: &[u8]) -> Result<(), StateError> {
        let header = header(self.shape, self.blocks, self.digest.clone());
        let mut write = || {
            self.file.seek(SeekFrom::End(0))?;
            if self.blocks == 0 {
                self.file.write_all(&header)?;
            } else {
                self.file.write_all(block)?;
                self.file.seek(SeekFrom::Start(0))?;
                self.file.write_all(&header)?;
            }
            map(&self.file)
        };
        self.map = write().map_err(|error| StateError::io(&self.path, error))?;
        Ok(())
    }
}

fn opened(path: &Path, options: &OpenOptions) -> Result<File, StateError> {
    let file = options.open(path).map_err(|error| StateError::io(path, error))?;
    file.try_lock().map_err(|_| StateError::mismatch(path, "another store uses it"))?;
    Ok(file)
}

fn empty() -> std::io::Result<Mmap> {
    memmap2::MmapMut::map_anon(1)?.make_read_only()
}

fn header(shape: Shape, blocks: usize, digest: Sha256) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend((shape.width as u32).to_le_bytes());
    for number in [shape.batch, shape.heads, shape.block, shape.channels, blocks] {
        header.extend((number as u64).to_le_bytes());
    }
    header.extend(digest.finalize());
    let seal = Sha256::digest(&header);
    header.extend(seal);
    header
}

enum Problem {
    Malformed(String),
    Mismatch(String),
}

/// The number of blocks in `bytes`, if these are a whole file of blocks of `shape`.
fn checked(bytes: &[u8], shape: Shape) -> Result<usize, Problem> {
    let malformed = |text: String| Err(Problem::Malformed(text));
    if bytes.len() < HEADER || &bytes[..8] != MAGIC {
        return malformed("it does not begin with the header of a file of blocks".into());
    }
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let small = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    if small(8) != VERSION {
        let text = format!("it is of format version {}, this library reads version {VERSION}", small(8));
        return Err(Problem::Mismatch(text));
    }
    if Sha256::digest(&bytes[..HEADER - 32]).as_slice() != &bytes[HEADER - 32..HEADER] {
        return malformed("its header is damaged".into());
    }
    let found = [u64::from(small(12)), number(16), number(24), number(32), number(40)];
    let wanted =
        [shape.width, shape.batch, shape.heads, shape.block, shape.channels].map(|number| number as u64);
    if found != wanted {
        return Err(Problem::Mismatch(format!(
            "it holds [bytes of a number, sequences, heads, tokens of a block, channels] = {found:?}, but {wanted:?} \
             are wanted"
        )));
    }
    let blocks = number(48);
    let length = blocks
        .checked_mul((shape.unit() * shape.units()) as u64)
        .and_then(|length| length.checked_add(HEADER as u64));
    if length != Some(bytes.len() as u64) {
        return malformed(format!("its {blocks} blocks do not make the {} bytes that it holds", bytes.len()));
    }
    if Sha256::digest(&bytes[HEADER..]).as_slice() != &bytes[56..88] {
        return malformed("its blocks are damaged".into());
    }
    Ok(blocks as usize)
}
