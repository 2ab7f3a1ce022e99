//! The house has one direction: a module imports only from those before it (`docs/ARCHITECTURE.md`), and no files import in a circle.

mod graph;
mod rust;
mod typescript;

use std::{fs, path::Path};

use graph::{Graph, circle, excuse};

/// Lowest first; modules in one row do not know each other.
const ROWS: [&[&str]; 15] = [
    &["error", "random"],
    &["json", "threads", "tokens"],
    &["config"],
    &["checkpoint", "quant", "preprocess", "text", "sampling", "scores", "found"],
    &["gpu"],
    &["reference"],
    &["cpu"],
    &["kernels"],
    &["weights", "plan"],
    &["backend"],
    &["model", "autotune"],
    &["session"],
    &["verify", "pictures"],
    &["quantize", "synthetic"],
    &["wasm", "bin"],
];

/// Which files or folders may know which all the same. What is no longer needed here is an error.
const EXCUSED: [(&str, &str); 2] = [
    // The device makes buffers and pipelines, which come back to it to be read and bound.
    ("gpu/buffer.rs", "gpu/device.rs"),
    ("gpu/pipeline.rs", "gpu/device.rs"),
];

/// The folder or the file right below `src`.
fn module(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// What imports against the direction.
fn upwards(graph: &Graph) -> Vec<String> {
    let row = |path: &str| ROWS.iter().position(|row| row.contains(&module(path)));
    let mut found = Vec::new();
    for (file, known) in graph.iter().filter(|(file, _)| *file != "lib.rs") {
        let Some(own) = row(file) else {
            found.push(format!("{file}: expected a row in tests/architecture/main.rs, found none"));
            continue;
        };
        let up = known.iter().filter(|other| module(other) != module(file) && row(other).is_none_or(|row| row >= own));
        found.extend(up.map(|other| format!("{file} imports {other}")));
    }
    found
}

/// Path below `folder` and text of every file that ends with `end`.
fn sources(folder: &Path, end: &str) -> Vec<(String, String)> {
    fn walk(root: &Path, folder: &Path, end: &str, all: &mut Vec<(String, String)>) {
        for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                walk(root, &path, end, all);
            } else if path.to_string_lossy().ends_with(end) {
                let names: Vec<_> =
                    path.strip_prefix(root).expect("inside").iter().map(|n| n.to_string_lossy()).collect();
                all.push((names.join("/"), fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    let mut all = Vec::new();
    walk(folder, folder, end, &mut all);
    assert!(all.len() > 20, "{}: expected many files, found {}", folder.display(), all.len());
    all
}

fn pairs(files: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> + Clone {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn crate_graph() -> Graph {
    rust::graph(pairs(&sources(&root().join("src"), ".rs"))).expect("Rust")
}

#[test]
fn imports_go_one_way() {
    let mut graph = crate_graph();
    excuse(&mut graph, &EXCUSED);
    let found = upwards(&graph);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_files_import_in_a_circle() {
    let mut graph = crate_graph();
    assert_eq!(excuse(&mut graph, &EXCUSED), [], "excuses that nothing needs any more");
    assert_eq!(circle(&graph), None);
}

#[test]
fn no_typescript_imports_in_a_circle() {
    for folder in ["pkg/src", "www/src"] {
        let files: Vec<_> = sources(&root().join(folder), ".ts");
        let files: Vec<_> = files.into_iter().map(|(path, text)| (format!("{folder}/{path}"), text)).collect();
        assert_eq!(circle(&typescript::graph(pairs(&files))), None);
    }
}

#[test]
fn imports_against_the_direction_are_seen() {
    let wrong = |path: &str, text: &str| {
        let house = [
            ("lib.rs", "pub use error::Error; pub use checkpoint::Checkpoint;"),
            ("error.rs", ""),
            ("checkpoint/mod.rs", ""),
            ("gpu/mod.rs", ""),
            ("model.rs", ""),
            ("plan.rs", ""),
            ("session/mod.rs", ""),
        ];
        upwards(&rust::graph(house.into_iter().chain([(path, text)])).expect("Rust")).len()
    };
    assert_eq!(wrong("quant.rs", "use crate::Error;"), 0);
    assert_eq!(wrong("quant.rs", "use crate::gpu::Gpu;"), 1);
    assert_eq!(wrong("kernels/x.rs", "use crate::{error::{Error, Result}, model::Model, plan::{self}};"), 2);
    assert_eq!(wrong("gpu/x.rs", "fn f() { let x = crate::session::rows(1); }"), 1);
    assert_eq!(wrong("config.rs", "fn f(c: &crate::Checkpoint) {}"), 1);
    assert_eq!(wrong("bin/ocelli/main.rs", "use ocelli::session::Session;"), 0);
    assert_eq!(wrong("newcomer.rs", ""), 1);
}

#[test]
fn only_gpu_and_what_drives_it_know_wgpu() {
    for (path, text) in sources(&root().join("src"), ".rs") {
        // `backend` encodes, `wasm` copies the browser's own bitmaps.
        assert!(!text.contains("wgpu::") || ["gpu", "backend", "wasm"].contains(&module(&path)), "{path} names wgpu");
    }
}
