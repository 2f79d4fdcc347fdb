//! The files of one trial.

use proptest::prelude::*;
use std::path::Path;

/// A file in the directory of a trial.
#[derive(Clone)]
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Files to read together, and what they are read as: an index into what the test knows of.
#[derive(Clone)]
pub struct Document {
    pub subject: usize,
    pub files: Vec<File>,
}

impl Document {
    pub fn new(subject: usize, files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let files = files.into_iter().map(|(name, bytes)| File { name, bytes }).collect();
        Self { subject, files }
    }

    /// All bytes.
    pub fn size(&self) -> usize {
        self.files.iter().map(|file| file.bytes.len()).sum()
    }

    pub fn write(&self, directory: &Path) {
        for file in &self.files {
            let path = directory.join(&file.name);
            std::fs::create_dir_all(path.parent().expect("a file has a directory")).unwrap();
            std::fs::write(path, &file.bytes).unwrap();
        }
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "subject {}", self.subject)?;
        for File { name, bytes } in &self.files {
            let shown = &bytes[..bytes.len().min(3000)];
            write!(f, "\n{name}, {} bytes: {}", bytes.len(), shown.escape_ascii())?;
        }
        Ok(())
    }
}

/// One of `valid`, with one of its files replaced by what `hostile` makes of it.
pub fn spoilt<S: Strategy<Value = Vec<u8>> + 'static>(
    valid: Vec<Document>,
    hostile: impl Fn(File, Vec<Vec<u8>>) -> S + Clone + 'static,
) -> BoxedStrategy<Document> {
    let others = valid.iter().flat_map(|document| &document.files).map(|file| file.bytes.clone());
    let others: Vec<_> = others.take(4).collect();
    (prop::sample::select(valid), any::<prop::sample::Index>())
        .prop_flat_map(move |(document, file)| {
            let file = file.index(document.files.len());
            let spoilt = hostile(document.files[file].clone(), others.clone());
            (Just(document), Just(file), spoilt)
        })
        .prop_map(|(mut document, file, bytes)| {
            document.files[file].bytes = bytes;
            document
        })
        .boxed()
}
