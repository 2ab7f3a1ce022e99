//! `ocelli turns`: a model that is loaded once and embeds the same picture whenever a line on stdin says how often, so that
//! `tools/bench_cpu.py` can have several programs take turns on the same cores.

use std::{io, path::PathBuf, time::Instant};

use ocelli::{
    Checkpoint, Result,
    config::Towers,
    pictures::Picture,
    session::{LoadOptions, Session, Source},
};
use serde_json::json;

use crate::{
    bad_input,
    cli::{Keep, Setup},
    device::{self, Chosen},
    output::print_json,
};

pub async fn run(setup: &Setup, model: PathBuf, format: Keep, image: PathBuf) -> Result<()> {
    let picture = Picture::open(&image)?;
    let Chosen { device, tuning, .. } = device::choose(setup).await?;
    let checkpoint = Checkpoint::open_towers(&model, Towers::Vision)?;
    let start = Instant::now();
    let options = LoadOptions { towers: Towers::Vision, format: format.format(), tuning, ..LoadOptions::default() };
    let session = Session::load(device, &checkpoint, options)?;
    print_json(&json!({ "load": start.elapsed().as_secs_f64() }))?;
    for line in io::stdin().lines() {
        let line = line.map_err(bad_input)?;
        let count = line.parse().map_err(|_| bad_input(format!("expected how many pictures, found {line:?}")))?;
        let pictures: Vec<&dyn Source<_>> = vec![&picture as _; count];
        let start = Instant::now();
        let embeddings = session.embed_images(&pictures).await?;
        print_json(&json!({ "seconds": start.elapsed().as_secs_f64(), "embedding": embeddings.last() }))?;
    }
    Ok(())
}
