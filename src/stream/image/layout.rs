//! A store of images on disk: an OCI image layout.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, DescriptorBuilder, ImageIndex, ImageIndexBuilder,
    ImageManifest, ImageManifestBuilder, MediaType, OciLayoutBuilder, Sha256Digest,
};
use sha2::{Digest as _, Sha256};

use crate::file::hexadecimal;

/// The name of a layer's type where it is a tree in a file system of its own.
pub(super) const EROFS: &str = "application/vnd.erofs.layer.v1";

/// A directory with `oci-layout`, `index.json` and `blobs/sha256`.
#[derive(Debug)]
pub struct Layout(PathBuf);

/// Something in a store is not what the store says it is.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It cannot be read at all.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, io::Error),
    /// It says something that the format does not know.
    #[error("{0}: {1}")]
    Malformed(PathBuf, String),
    /// It is shorter or longer than its descriptor says.
    #[error(
        "{path} holds {found} bytes, and its descriptor says {said}: it was cut short or added to"
    )]
    Size {
        /// The blob.
        path: PathBuf,
        /// Bytes it has.
        found: u64,
        /// Bytes it should have.
        said: u64,
    },
    /// Its bytes are others than its name says.
    #[error("{0} does not have the digest that it is named by: it was changed")]
    Digest(PathBuf),
    /// No image has that name.
    #[error("{0} has no image {1}")]
    NoImage(PathBuf, String),
}

impl Layout {
    /// An empty store at `root`.
    pub fn create(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root.join("blobs/sha256"))?;
        let layout = OciLayoutBuilder::default()
            .image_layout_version("1.0.0")
            .build();
        let layout = layout.map_err(io::Error::other)?;
        fs::write(root.join("oci-layout"), json(&layout)?)?;
        let store = Self(root.to_owned());
        store.write_index(Vec::new())?;
        Ok(store)
    }

    /// The store at `root`, which may be damaged.
    pub fn open(root: &Path) -> Result<Self, Damage> {
        let path = root.join("oci-layout");
        fs::metadata(&path).map_err(|error| Damage::Unreadable(path, error))?;
        Ok(Self(root.to_owned()))
    }

    /// Takes the file at `path` in as the only layer of the image `name`.
    pub fn add(&self, name: &str, kind: MediaType, path: &Path) -> io::Result<()> {
        let mut hash = Sha256::new();
        let bytes = io::copy(&mut File::open(path)?, &mut HashingWriter(&mut hash))?;
        let digest = hexadecimal(&hash.finalize());
        fs::rename(path, self.blob(&digest))?;
        let layer = descriptor(kind, bytes, &digest)?;
        let config = self.put(MediaType::EmptyJSON, b"{}")?;
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(config)
            .layers([layer])
            .build()
            .map_err(io::Error::other)?;
        let mut manifest = self.put(MediaType::ImageManifest, &json(&manifest)?)?;
        let name = (ANNOTATION_REF_NAME.to_owned(), name.to_owned());
        manifest.set_annotations(Some([name].into()));
        let mut manifests = self.index().map_err(io::Error::other)?;
        manifests.push(manifest);
        self.write_index(manifests)
    }

    /// The layer of the image `name`.
    pub fn layer(&self, name: &str) -> Result<Layer, Damage> {
        let manifests = self.index()?;
        let named = manifests.into_iter().find(|manifest| {
            let annotations = manifest.annotations().as_ref();
            annotations.and_then(|all| all.get(ANNOTATION_REF_NAME)) == Some(&name.to_owned())
        });
        let named = named.ok_or_else(|| Damage::NoImage(self.0.clone(), name.into()))?;
        let mut bytes = Vec::new();
        let mut manifest = self.read(&named)?;
        let path = self.blob(manifest.digest());
        let read = manifest.read_to_end(&mut bytes);
        read.map_err(|error| Damage::Unreadable(path.clone(), error))?;
        manifest.check()?;
        let manifest = ImageManifest::from_reader(bytes.as_slice())
            .map_err(|error| Damage::Malformed(path.clone(), error.to_string()))?;
        match &manifest.layers()[..] {
            [layer] => self.read(layer),
            layers => Err(Damage::Malformed(
                path,
                format!("{} layers, where one is expected", layers.len()),
            )),
        }
    }

    fn read(&self, what: &Descriptor) -> Result<Layer, Damage> {
        let path = self.blob(what.digest().digest());
        let open = || -> io::Result<(File, u64)> {
            let file = File::open(&path)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        };
        let (file, found) = open().map_err(|error| Damage::Unreadable(path.clone(), error))?;
        let said = what.size();
        if found != said {
            return Err(Damage::Size { path, found, said });
        }
        Ok(Layer {
            digest: what.digest().digest().to_owned(),
            path,
            bytes: said,
            hash: Sha256::new(),
            file: BufReader::with_capacity(256 << 10, file),
        })
    }

    fn index(&self) -> Result<Vec<Descriptor>, Damage> {
        let path = self.0.join("index.json");
        let file = File::open(&path).map_err(|error| Damage::Unreadable(path.clone(), error))?;
        let index = ImageIndex::from_reader(file)
            .map_err(|error| Damage::Malformed(path, error.to_string()))?;
        Ok(index.manifests().clone())
    }

    fn write_index(&self, manifests: Vec<Descriptor>) -> io::Result<()> {
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests)
            .build()
            .map_err(io::Error::other)?;
        fs::write(self.0.join("index.json"), json(&index)?)
    }

    fn put(&self, kind: MediaType, bytes: &[u8]) -> io::Result<Descriptor> {
        let digest = hexadecimal(&Sha256::digest(bytes));
        fs::write(self.blob(&digest), bytes)?;
        descriptor(kind, bytes.len() as u64, &digest)
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.0.join("blobs/sha256").join(digest)
    }
}

/// A blob as it is read: [`Self::check`] says at the end whether it was the right one.
#[derive(Debug)]
pub struct Layer {
    path: PathBuf,
    digest: String,
    bytes: u64,
    hash: Sha256,
    file: BufReader<File>,
}

impl Layer {
    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its name: the digest, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what nobody has read yet, and compares the digest of it all.
    pub fn check(mut self) -> Result<(), Damage> {
        let rest = io::copy(&mut self, &mut io::sink());
        rest.map_err(|error| Damage::Unreadable(self.path.clone(), error))?;
        if hexadecimal(&self.hash.finalize()) == self.digest {
            Ok(())
        } else {
            Err(Damage::Digest(self.path))
        }
    }
}

impl Read for Layer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}

/// Hashes what is written.
struct HashingWriter<'a>(&'a mut Sha256);

impl Write for HashingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn descriptor(kind: MediaType, bytes: u64, digest: &str) -> io::Result<Descriptor> {
    let digest: Sha256Digest = digest.parse().map_err(io::Error::other)?;
    DescriptorBuilder::default()
        .media_type(kind)
        .size(bytes)
        .digest(digest)
        .build()
        .map_err(io::Error::other)
}

fn json(document: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec_pretty(document).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(root: &Path) -> Layout {
        let layout = Layout::create(root).unwrap();
        for (name, words) in [("one", "first words"), ("two", "other words")] {
            let file = root.join("new");
            fs::write(&file, words).unwrap();
            let kind = MediaType::ImageLayerZstd;
            layout.add(name, kind, &file).unwrap();
        }
        layout
    }

    #[test]
    fn what_was_put_in_comes_out() {
        let root = tempfile::tempdir().unwrap();
        store(root.path());
        let layout = Layout::open(root.path()).unwrap();
        let mut words = String::new();
        let mut layer = layout.layer("two").unwrap();
        layer.read_to_string(&mut words).unwrap();
        layer.check().unwrap();
        assert_eq!(words, "other words");
        let missing = layout.layer("three").unwrap_err();
        assert!(missing.to_string().ends_with("has no image three"));
    }

    #[test]
    fn damage_is_named() {
        let root = tempfile::tempdir().unwrap();
        let layout = store(root.path());
        let path = layout.layer("one").unwrap().path().to_owned();
        fs::write(&path, "first wordz").unwrap();
        let changed = layout.layer("one").unwrap().check().unwrap_err();
        assert!(matches!(changed, Damage::Digest(at) if at == path));
        fs::write(&path, "first").unwrap();
        let cut = layout.layer("one").unwrap_err().to_string();
        assert!(
            cut.contains("5 bytes") && cut.contains("cut short"),
            "{cut}"
        );
        fs::remove_file(&path).unwrap();
        assert!(matches!(layout.layer("one"), Err(Damage::Unreadable(..))));
        fs::write(root.path().join("index.json"), "{").unwrap();
        assert!(matches!(layout.layer("one"), Err(Damage::Malformed(..))));
        assert!(Layout::open(Path::new("/nowhere")).is_err());
    }
}
