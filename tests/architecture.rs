//! The house has one direction: a module imports only from those before it (`docs/ARCHITECTURE.md`).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lowest first; modules in one row do not know each other, but for what `ALLOWED` says.
const ROWS: [&[&str]; 13] = [
    &["error", "random"],
    &["json"],
    &["config"],
    &["checkpoint", "quant", "preprocess", "text", "scores"],
    &["gpu"],
    &["kernels", "reference"],
    &["weights", "plan"],
    &["backend"],
    &["model", "trial"],
    &["session"],
    &["verify"],
    &["quantize", "synthetic"],
    &["wasm", "bin"],
];

/// A kernel's host half and its naive twin are two halves of one thing.
const ALLOWED: [(&str, &str); 2] = [("kernels", "reference"), ("reference", "kernels")];

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// What is re-exported at the root, and where it lives.
fn root_name(name: &str) -> &str {
    match name {
        "Error" | "Result" => "error",
        "Checkpoint" => "checkpoint",
        "Gpu" | "Power" => "gpu",
        "Score" => "scores",
        "Session" => "session",
        other => other,
    }
}

/// Modules of the library named after `root`, in paths and in grouped imports.
fn imports(root: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, root) in text.match_indices(root) {
        let rest = &text[at + root.len()..];
        let group = rest.strip_prefix('{').map_or(rest, |inner| {
            let mut depth = 1;
            let end = inner.find(|c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth == 0
            });
            &inner[..end.expect("braces close")]
        });
        let mut depth = 0;
        let grouped = rest.starts_with('{');
        let parts = group.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        for part in parts.take(if grouped { usize::MAX } else { 1 }) {
            let name: String = part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !name.is_empty() {
                found.push(root_name(&name).to_string());
            }
        }
    }
    found
}

fn broken(module: &str, text: &str) -> Vec<String> {
    let Some(own) = row(module) else {
        return vec![format!("{module}: expected a row in tests/architecture.rs, found none")];
    };
    // The program has a crate root of its own.
    let root = if module == "bin" { "ocelli::" } else { "crate::" };
    imports(root, text)
        .into_iter()
        .filter(|name| name != module && !ALLOWED.contains(&(module, name)))
        .filter(|name| row(name).is_none_or(|other| other >= own))
        .map(|name| format!("{module} imports {name}"))
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push(path);
        }
    }
    all
}

fn module_of(path: &Path, src: &Path) -> String {
    let first = path.strip_prefix(src).expect("inside src").iter().next().expect("a name");
    Path::new(first).file_stem().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn imports_go_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&src);
    assert!(files.len() > 20, "expected the crate's files, found {}", files.len());
    let mut all = Vec::new();
    for path in files.iter().filter(|path| !path.ends_with("lib.rs")) {
        all.extend(broken(&module_of(path, &src), &fs::read_to_string(path).expect("a file")));
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn the_checker_sees_a_wrong_import() {
    assert!(broken("quant", "use crate::error::Result;").is_empty());
    assert_eq!(broken("quant", "use crate::gpu::Gpu;").len(), 1);
    assert_eq!(broken("kernels", "use crate::{error::{Error, Result}, model::Model, plan::{self}};").len(), 2);
    assert_eq!(broken("gpu", "let x = crate::session::rows(1);").len(), 1);
    assert_eq!(broken("config", "fn f(c: &crate::Checkpoint) {}").len(), 1);
    assert_eq!(broken("newcomer", "").len(), 1);
}

#[test]
fn only_gpu_and_what_drives_it_know_wgpu() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&src) {
        let module = module_of(&path, &src);
        let knows = fs::read_to_string(&path).expect("a file").contains("wgpu::");
        // `plan` encodes, `wasm` copies the browser's own bitmaps.
        assert!(!knows || ["gpu", "plan", "wasm"].contains(&module.as_str()), "{module} names wgpu");
    }
}
