//! What the tests share: an adapter or SKIPPED, and a comparison that has met wrong answers.
#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use ocelli::{Gpu, Power};
use safetensors::SafeTensors;

pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Tensors of a fixture in f32, by their names.
pub fn tensors<M: FromIterator<(String, Vec<f32>)>>(path: &Path) -> M {
    let bytes = std::fs::read(path).expect("a fixture");
    let file = SafeTensors::deserialize(&bytes).expect("a sound fixture");
    file.tensors().into_iter().map(|(name, tensor)| (name, bytemuck::pod_collect_to_vec(tensor.data()))).collect()
}

pub const MODELS: [&str; 8] =
    ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2", "naflex", "open-clip", "open-clip-siglip"];

thread_local! {
    static GPU: OnceCell<&'static Gpu> = const { OnceCell::new() };
}

/// This thread's GPU, never dropped: the driver's own thread-local state is gone before ours would be.
/// Tests run only if there is one, see [`runs_on_gpu`].
pub fn gpu() -> &'static Gpu {
    let new = || pollster::block_on(Gpu::new(Power::Any)).expect("an adapter was found before");
    GPU.with(|slot| *slot.get_or_init(|| Box::leak(Box::new(new()))))
}

/// Whether GPU tests can run. Without an adapter they are SKIPPED, and under REQUIRE_GPU=1 that is a failure.
pub fn runs_on_gpu() -> bool {
    match pollster::block_on(Gpu::new(Power::Any)) {
        Ok(gpu) => {
            println!("adapter: {}", gpu.name());
            true
        }
        Err(error) => {
            println!("SKIPPED, no GPU: {error}");
            if std::env::var_os("REQUIRE_GPU").is_some_and(|v| v == "1") {
                println!("REQUIRE_GPU=1: this is a failure");
                std::process::exit(1);
            }
            false
        }
    }
}

/// Each number may differ by `bound` times its own `magnitude`; NaN and infinity never pass.
pub fn compare(what: &str, found: &[f32], expected: &[f32], magnitude: &[f32], bound: f64) -> Result<(), String> {
    ocelli::verify::compare(found, expected, magnitude, bound).map(drop).map_err(|why| format!("{what}: {why}"))
}

/// Euclidean distance.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "embeddings of one length");
    a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt()
}

/// The files of a tiny checkpoint, by name; what the reference made of it is not among them.
pub fn files(model: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(fixtures().join(model)).expect("a fixture");
    let paths = entries.map(|e| e.expect("an entry").path()).filter(|path| path.is_file());
    let name = |path: &std::path::Path| path.file_name().and_then(|n| n.to_str()).expect("a plain name").to_string();
    paths
        .map(|path| (name(&path), std::fs::read(&path).expect("a fixture")))
        .filter(|(name, _)| !matches!(name.as_str(), "golden.json" | "taps.safetensors"))
        .collect()
}
