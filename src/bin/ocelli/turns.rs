//! `ocelli turns`: a model that is loaded once and embeds the same picture whenever a line on stdin says how often, so that
//! `tools/bench_cpu.py` can have several programs take turns on the same cores.

use std::{io, path::PathBuf, time::Instant};

use ocelli::{
    Checkpoint, Result,
    config::Towers,
    pictures::Picture,
    random::Random,
    session::{LoadOptions, Session, Source},
};
use serde_json::json;

use crate::{
    bad_input,
    cli::{Keep, Setup},
    device::{self, Chosen},
    output::print_json,
};

pub async fn run(setup: &Setup, model: PathBuf, format: Keep, labels: &[usize], image: PathBuf) -> Result<()> {
    let picture = Picture::open(&image)?;
    let Chosen { device, tuning, .. } = device::choose(setup).await?;
    let checkpoint = Checkpoint::open_towers(&model, Towers::Vision)?;
    let start = Instant::now();
    let options = LoadOptions { towers: Towers::Vision, format: format.format(), tuning, ..LoadOptions::default() };
    let session = Session::load(device, &checkpoint, options)?;
    print_json(&json!({ "load": start.elapsed().as_secs_f64() }))?;
    let random = |count: usize| (0..count).map(|i| Random::new(i as u64).floats(session.config.embedding)).collect();
    let random: Vec<Vec<Vec<f32>>> = labels.iter().map(|&count| random(count)).collect();
    let sets = random.iter().map(|texts| session.labels(texts)).collect::<Result<Vec<_>>>()?;
    for line in io::stdin().lines() {
        let line = line.map_err(bad_input)?;
        let count = line.parse().map_err(|_| bad_input(format!("expected how many pictures, found {line:?}")))?;
        for (set, labels) in sets.iter().zip(labels) {
            let start = Instant::now();
            for _ in 0..count {
                session.read(session.classify(set, &picture)?).await?;
            }
            print_json(&json!({ "labels": labels, "seconds": start.elapsed().as_secs_f64() }))?;
        }
        if !sets.is_empty() {
            continue;
        }
        let pictures: Vec<&dyn Source<_>> = vec![&picture as _; count];
        let start = Instant::now();
        let embeddings = session.embed_images(&pictures).await?;
        print_json(&json!({ "seconds": start.elapsed().as_secs_f64(), "embedding": embeddings.last() }))?;
    }
    Ok(())
}
