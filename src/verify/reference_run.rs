//! The naive reference from end to end.

use std::collections::HashMap;

use crate::{
    checkpoint::Checkpoint,
    error::{Error, Result},
    kernels::Run,
    model::{InMemory, TextTower, VisionTower},
    plan::HostRun,
    preprocess::{Sampling, positions, resize},
    quant::Format,
    session::{pictures, pool_index},
    text::TextEncoder,
};

/// What the naive twins make of one picture and one text.
pub struct ReferenceRun {
    /// The text's token ids.
    pub ids: Vec<u32>,
    /// The picture tower and its run.
    pub vision: (VisionTower, HostRun),
    /// The text tower and its run.
    pub text: (TextTower, HostRun),
}

impl ReferenceRun {
    /// Runs both towers on the CPU, with all weights in memory; slow. A picture is RGBA words with width and height; `format`
    /// none keeps the weights as the files have them.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint, the picture or the text; [`Error::BadInput`] for a single tower.
    pub fn of(
        checkpoint: &Checkpoint,
        format: Option<Format>,
        (pixels, width, height): (&[u32], usize, usize),
        text: &str,
    ) -> Result<Self> {
        let InMemory { model, weights, host } = InMemory::load(checkpoint, format)?;
        let (Some(vision), Some(tower)) = (model.vision, model.text) else {
            let found = checkpoint.towers.name();
            return Err(Error::BadInput(format!(
                "towers: expected a checkpoint with both towers, found the {found} tower alone"
            )));
        };
        let config = &checkpoint.config;
        let sampling = Sampling::new(&config.preprocessor, width, height)?;
        let (seen, (width, height)) = (resize(pixels, width, height, &sampling), sampling.size());
        let one = pictures(config, 1);
        let (patch, hidden) = (config.vision.patch_size, config.vision.encoder.hidden);
        let (rows, columns) = (height / patch, width / patch);
        let (x, shape);
        let mut inputs = vec![(vision.pixels, &seen[..])];
        if let Some(naflex) = vision.naflex {
            let table = host[naflex.positions.0].row(0);
            x = positions(&table, hidden, [rows, columns], one.tokens as usize);
            shape = [columns as u32, (rows * columns) as u32];
            inputs.push((naflex.x, bytemuck::cast_slice(&x)));
            inputs.extend([(naflex.columns, &shape[..1]), (naflex.lengths, &shape[1..])]);
        }
        let vision_run = vision.plan.run_reference(&weights, &inputs, one);

        let ids = TextEncoder::new(&checkpoint.tokenizer, config)?.encode(text)?;
        let mut rows: Vec<f32> = ids.iter().flat_map(|&id| host[tower.table.0].row(id as usize)).collect();
        rows.iter_mut().zip(host[tower.positions.0].row(0)).for_each(|(x, position)| *x += position);
        let index = [pool_index(config.text.pooling, &ids)];
        let inputs = [(tower.tokens, bytemuck::cast_slice(&rows)), (tower.index, &index[..])];
        let text_run = tower.plan.run_reference(&weights, &inputs, Run::tokens(1, ids.len() as u32));
        Ok(Self { ids, vision: (vision, vision_run), text: (tower, text_run) })
    }

    /// The taps of both towers by name.
    #[must_use]
    pub fn taps(self) -> HashMap<String, Vec<f32>> {
        self.vision.1.taps.into_iter().chain(self.text.1.taps).collect()
    }
}
