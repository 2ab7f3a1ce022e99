//! The tuning that was best on a device, kept in the user's folder for what can be found again.

use std::{collections::BTreeMap, fs, path::PathBuf};

use super::autotune;
use crate::{
    error::Result,
    gpu::{Gpu, Tuning},
};

/// The tuning that autotuning found on this device before, or finds now.
///
/// # Errors
/// As [`autotune`].
pub async fn kept(gpu: &Gpu) -> Result<Tuning> {
    let name = format!("{}, ocelli {}", gpu.name(), env!("CARGO_PKG_VERSION"));
    let mut known = recall();
    let before = known.get(&name).and_then(|text| Tuning::parse(text).ok());
    if let Some(tuning) = before.filter(|tuning| gpu.check_tuning(tuning).is_ok()) {
        return Ok(tuning);
    }
    let tuning = autotune(gpu).await?.tuning;
    known.insert(name, tuning.name());
    remember(&known);
    Ok(tuning)
}

fn file() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("ocelli").join("tiers.json"))
}

fn recall() -> BTreeMap<String, String> {
    let read = || serde_json::from_slice(&fs::read(file()?).ok()?).ok();
    read().unwrap_or_default()
}

/// Without a place to keep it, the next run races again.
fn remember(known: &BTreeMap<String, String>) {
    let write = || {
        let file = file()?;
        fs::create_dir_all(file.parent()?).ok()?;
        fs::write(file, serde_json::to_vec_pretty(known).ok()?).ok()
    };
    let _ = write();
}
