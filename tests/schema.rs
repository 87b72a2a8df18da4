//! The committed JSON Schemas are those of the types.

use std::fs;
use std::path::Path;

/// With PROBECOST_WRITE_SCHEMAS=1 they are written anew.
#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let write = std::env::var_os("PROBECOST_WRITE_SCHEMAS").is_some();
    let mut names = Vec::new();
    for (name, schema) in probecost::schema::documents() {
        let path = directory.join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if write {
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "{} is not what the type says; PROBECOST_WRITE_SCHEMAS=1 cargo test --test schema",
            path.display()
        );
        names.push(path);
    }
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert!(names.contains(&path), "{} has no type", path.display());
    }
}
