//! What the tests share: an adapter or SKIPPED, random numbers, and a comparison that has met wrong answers.
#![allow(dead_code, reason = "each test program uses its part")]

use std::{cell::OnceCell, path::PathBuf};

use ocelli::{
    Gpu, Power,
    kernels::WeightId,
    quant::Matrix,
    weights::{GpuStore, Store},
};

/// Small numbers without a dependency; the same ones every time.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn bits(&mut self) -> u32 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
    /// -1 to 1
    pub fn float(&mut self) -> f32 {
        self.bits() as f32 / (1u32 << 31) as f32 - 1.0
    }
    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}

pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

pub const MODELS: [&str; 7] = ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2", "open-clip", "open-clip-siglip"];

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

pub fn upload(gpu: &Gpu, weights: &[Matrix]) -> ocelli::plan::GpuWeights {
    let mut store = GpuStore::new(gpu);
    for (i, m) in weights.iter().enumerate() {
        let id = store.begin(&format!("weight {i}"), m.format, m.rows, m.cols).expect("a small weight");
        assert_eq!(id, WeightId(i));
        store.append(&m.packed);
    }
    store.weights
}

/// Each number may differ by `bound` times its own `magnitude`; NaN and infinity never pass.
pub fn compare(what: &str, found: &[f32], expected: &[f32], magnitude: &[f32], bound: f64) -> Result<(), String> {
    if found.len() != expected.len() || magnitude.len() != expected.len() {
        return Err(format!("{what}: expected {} numbers, found {}", expected.len(), found.len()));
    }
    if let Some(i) = found.iter().chain(expected).position(|x| !x.is_finite()) {
        return Err(format!(
            "{what}: expected finite numbers, found another at {i} of {} (found, then expected)",
            found.len()
        ));
    }
    let ratio = |i: usize| f64::from((found[i] - expected[i]).abs()) / f64::from(magnitude[i]).max(1e-30);
    let worst = (0..found.len()).max_by(|&a, &b| ratio(a).total_cmp(&ratio(b)));
    match worst {
        Some(i) if ratio(i) > bound => Err(format!(
            "{what}: at {i} expected {}, found {}: {:.3e} of its magnitude {}, expected at most {bound:.3e}",
            expected[i],
            found[i],
            ratio(i),
            magnitude[i]
        )),
        Some(_) => Ok(()),
        None => Err(format!("{what}: expected numbers to compare, found none")),
    }
}

/// Euclidean distance.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "embeddings of one length");
    a.iter().zip(b).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt()
}
