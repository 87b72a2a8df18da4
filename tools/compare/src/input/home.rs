//! Where `cargo bench` leaves its results.

use std::env;
use std::path::PathBuf;

use cargo_metadata::MetadataCommand;

/// Where Criterion looks for it, in its order: `CRITERION_HOME`, then `criterion` in
/// cargo's target directory.
pub fn criterion_home() -> PathBuf {
    let named = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(home) = named("CRITERION_HOME") {
        return home.into();
    }
    let target = named("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.or_else(|| {
        let metadata = MetadataCommand::new().no_deps().exec().ok()?;
        Some(metadata.target_directory.into_std_path_buf())
    });
    target
        .unwrap_or_else(|| PathBuf::from("target"))
        .join("criterion")
}
