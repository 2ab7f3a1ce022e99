//! Which kernels run: those asked for, those that won on this device before, or those that win a short race now.

use std::{collections::BTreeMap, fs, path::PathBuf};

use ocelli::{Gpu, Power, Result, gpu::Tier, trial};

/// A device in the tier of this name; `auto` finds one.
pub async fn gpu(tier: &str) -> Result<Gpu> {
    let gpu = Gpu::new(Power::High).await?;
    if tier != "auto" {
        gpu.set_tier(Tier::parse(tier)?)?;
        return Ok(gpu);
    }
    let name = format!("{}, ocelli {}", gpu.name(), env!("CARGO_PKG_VERSION"));
    let mut known = recall();
    let before = known.get(&name).and_then(|tier| Tier::parse(tier).ok());
    if before.is_some_and(|tier| gpu.set_tier(tier).is_ok()) {
        return Ok(gpu);
    }
    trial::settle(&gpu).await?;
    known.insert(name, gpu.tier().name().into());
    remember(&known);
    Ok(gpu)
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
