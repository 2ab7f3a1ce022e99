//! The naive reference from end to end.

use std::collections::HashMap;

use crate::{
    checkpoint::Checkpoint,
    error::{Error, Result},
    kernels::{ActId, MatrixRef, Run, WeightId},
    model::{InMemory, Look, Model, TextTower, VisionTower, question},
    plan::{HostRun, Plan},
    preprocess::{Sampling, positions, resize},
    quant::{Format, Matrix},
    session::{pictures, pool_index},
    text::TextEncoder,
};

/// What the naive twins make of one picture and one text.
pub struct ReferenceRun {
    /// The text's token ids.
    pub ids: Vec<u32>,
    /// What the picture's pixels go through; of a model that finds things also what is asked of it by the text.
    pub vision: Reference,
    /// What the text goes through.
    pub text: Reference,
}

/// Plans that have run one after the other.
pub struct Reference {
    /// Each with what its run left behind.
    pub runs: Vec<(Plan, HostRun)>,
    /// The last one's embedding; empty for a picture that has none.
    pub embedding: Vec<f32>,
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
        let mut memory = InMemory::load(checkpoint, format)?;
        let Model { vision, look, text: Some(tower), decoder, .. } = std::mem::take(&mut memory.model) else {
            return Err(lacks(checkpoint));
        };
        let sampling = Sampling::new(&checkpoint.config.preprocessor, width, height)?;
        let seen = resize(pixels, width, height, &sampling);
        let (ids, text) = run_text(checkpoint, &memory, tower, text)?;
        let vision = match (vision, look) {
            (Some(vision), _) => run_vision(checkpoint, &memory, vision, (&seen, sampling.size())),
            (None, Some(Look { plan, pixels, features, .. })) => {
                let run = plan.run_reference(&memory.weights, &[(pixels, &seen)], Run::items(1));
                let features: Vec<Vec<u32>> = features.iter().map(|(_, act)| run.acts[act.0].clone()).collect();
                let asked = match decoder {
                    None => ask(checkpoint, &mut memory, &features, &text.embedding)?,
                    Some(decoder) => {
                        let scene = decoder.reduced.iter().zip(&features).map(|(&act, words)| (act, words.as_slice()));
                        let prompt = (decoder.condition, bytemuck::cast_slice(&text.embedding));
                        let inputs: Vec<(ActId, &[u32])> = scene.chain([prompt]).collect();
                        let run = decoder.plan.run_reference(&memory.weights, &inputs, Run::items(1));
                        (decoder.plan, run)
                    }
                };
                Reference { runs: vec![(plan, run), asked], embedding: Vec::new() }
            }
            (None, None) => return Err(lacks(checkpoint)),
        };
        Ok(Self { ids, vision, text })
    }

    /// The taps of both towers by name.
    #[must_use]
    pub fn taps(self) -> HashMap<String, Vec<f32>> {
        let runs = self.vision.runs.into_iter().chain(self.text.runs);
        runs.flat_map(|(_, run)| run.taps).collect()
    }
}

fn lacks(checkpoint: &Checkpoint) -> Error {
    let found = checkpoint.towers.name();
    Error::BadInput(format!("towers: expected a checkpoint with both towers, found the {found} tower alone"))
}

fn run_vision(
    checkpoint: &Checkpoint,
    InMemory { weights, host, .. }: &InMemory,
    vision: VisionTower,
    (seen, (width, height)): (&[u32], (usize, usize)),
) -> Reference {
    let config = &checkpoint.config;
    let one = pictures(config, 1);
    let (patch, hidden) = (config.vision.patch_size, config.vision.encoder.hidden);
    let (rows, columns) = (height / patch, width / patch);
    let (x, shape);
    let mut inputs = vec![(vision.pixels, seen)];
    if let Some(naflex) = vision.naflex {
        let table = host[naflex.positions.0].row(0);
        x = positions(&table, hidden, [rows, columns], one.tokens as usize);
        shape = [columns as u32, (rows * columns) as u32];
        inputs.push((naflex.x, bytemuck::cast_slice(&x)));
        inputs.extend([(naflex.columns, &shape[..1]), (naflex.lengths, &shape[1..])]);
    }
    let run = vision.plan.run_reference(weights, &inputs, one);
    let embedding = bytemuck::cast_slice(&run.acts[vision.embedding.0]).to_vec();
    Reference { runs: vec![(vision.plan, run)], embedding }
}

fn run_text(
    checkpoint: &Checkpoint,
    InMemory { weights, host, .. }: &InMemory,
    tower: TextTower,
    text: &str,
) -> Result<(Vec<u32>, Reference)> {
    let config = &checkpoint.config;
    let ids = TextEncoder::new(&checkpoint.tokenizer, config)?.encode(text)?;
    let mut rows: Vec<f32> = ids.iter().flat_map(|&id| host[tower.table.0].row(id as usize)).collect();
    rows.iter_mut().zip(host[tower.positions.0].row(0)).for_each(|(x, position)| *x += position);
    let index = [pool_index(config.text.pooling, &ids)];
    let inputs = [(tower.tokens, bytemuck::cast_slice(&rows)), (tower.index, &index[..])];
    let run = tower.plan.run_reference(weights, &inputs, Run::tokens(1, ids.len() as u32));
    let embedding = bytemuck::cast_slice(&run.acts[tower.embedding.0]).to_vec();
    Ok((ids, Reference { runs: vec![(tower.plan, run)], embedding }))
}

/// How much each token of a detector's scene is like the query.
fn ask(
    checkpoint: &Checkpoint,
    memory: &mut InMemory,
    features: &[Vec<u32>],
    query: &[f32],
) -> Result<(Plan, HostRun)> {
    let labels =
        MatrixRef { id: WeightId(memory.weights.len()), format: Format::F32, rows: 1, cols: query.len() as u32 };
    memory.weights.push(Matrix::new(Format::F32, query, query.len())?);
    let grid = checkpoint.config.vision.grid() as u32;
    let asked = question(labels, grid * grid);
    let inputs = asked.inputs.map(|(act, place)| (act, features[place].as_slice()));
    let run = asked.plan.run_reference(&memory.weights, &inputs, Run::items(1));
    Ok((asked.plan, run))
}
