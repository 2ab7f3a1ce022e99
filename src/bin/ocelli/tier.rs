//! Which tiers the kernels run in: the one asked for, those that were best on this device before, or those that autotuning finds
//! now.

use std::{collections::BTreeMap, fs, path::PathBuf};

use ocelli::{
    Gpu, Power, Result, autotune,
    gpu::{Tier, Tuning},
};

/// A device, and its tuning for the tier of this name; `auto` finds one.
pub async fn gpu(tier: &str) -> Result<(Gpu, Tuning)> {
    let gpu = Gpu::new(Power::High).await?;
    if tier != "auto" {
        let tuning = Tuning::all(Tier::parse(tier)?);
        gpu.check_tuning(&tuning)?;
        return Ok((gpu, tuning));
    }
    let name = format!("{}, ocelli {}", gpu.name(), env!("CARGO_PKG_VERSION"));
    let mut known = recall();
    let before = known.get(&name).and_then(|text| Tuning::parse(text).ok());
    if let Some(tuning) = before.filter(|tuning| gpu.check_tuning(tuning).is_ok()) {
        return Ok((gpu, tuning));
    }
    let tuning = autotune::autotune(&gpu).await?.tuning;
    known.insert(name, tuning.name());
    remember(&known);
    Ok((gpu, tuning))
}

/// In the user's folder for what can be found again.
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
