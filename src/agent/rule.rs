//! The kernel's side of the policy: which calls become events at all. What of
//! these matters is said in user space, by the patterns of `pipeline`.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::record::FileId;
use crate::host::Obstacle;

/// The words of a path rule; a path of up to 255 bytes fits.
pub(super) const PATH_WORDS: usize = 32;

/// A rule of the programs. No rule ever denies a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Opens of exactly this path, as the caller writes it (an LSM rung sees
    /// the resolved path).
    Path(PathBuf),
    /// Opens of this file under any name. Only the LSM rung sees files.
    File(FileId),
}

impl Rule {
    /// The rule for the file that `path` names now.
    pub fn file_at(path: &Path) -> std::io::Result<Self> {
        let file = std::fs::metadata(path)?;
        let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
        let device = u64::from(major) << 20 | u64::from(minor);
        Ok(Self::File(FileId::new(file.ino(), device)))
    }
}

/// `struct rule_path`: the path in words, padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(super) struct PathKey {
    words: [u64; PATH_WORDS],
}

// SAFETY: integers only.
unsafe impl aya::Pod for PathKey {}

impl PathKey {
    pub(super) fn new(path: &Path) -> Result<Self, Obstacle> {
        let bytes = path.as_os_str().as_bytes();
        if bytes.len() >= PATH_WORDS * 8 {
            return Err(Obstacle::new(
                format!(
                    "the path rule {}… is {} bytes long",
                    path.display(),
                    bytes.len()
                ),
                format!(
                    "the kernel side matches at most {} bytes; use a file rule",
                    PATH_WORDS * 8 - 1
                ),
            ));
        }
        let mut padded = [0u8; PATH_WORDS * 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        let mut words = [0; PATH_WORDS];
        for (word, chunk) in words.iter_mut().zip(padded.chunks_exact(8)) {
            *word = u64::from_le_bytes(chunk.try_into().expect("chunks of eight"));
        }
        Ok(Self { words })
    }

    /// FNV-1a over words in place of bytes, up to the word that holds the
    /// string's end, as bpf/open.h computes it.
    pub(super) fn hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for word in self.words {
            hash = (hash ^ word).wrapping_mul(0x100_0000_01b3);
            if word.to_le_bytes().contains(&0) {
                break;
            }
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_ends_where_the_string_ends() {
        let short = PathKey::new(Path::new("/etc/hosts")).unwrap();
        let mut behind = short;
        behind.words[5] = 99;
        assert_eq!(short.hash(), behind.hash());
        let other = PathKey::new(Path::new("/etc/host5")).unwrap();
        assert_ne!(short.hash(), other.hash());
    }

    #[test]
    fn a_path_too_long_is_refused_with_a_way_out() {
        let long = PathBuf::from("/".repeat(256));
        let refusal = PathKey::new(&long).unwrap_err();
        assert!(refusal.remedy.contains("file rule"), "{refusal}");
        assert!(PathKey::new(&PathBuf::from("/".repeat(255))).is_ok());
    }
}
