//! The naive reference of a model that writes: a picture's tokens, a prompt, and what follows it.

use super::Reference;
use crate::{
    checkpoint::Checkpoint,
    error::{Error, Result},
    kernels::{ActId, Run},
    model::{InMemory, LanguageModel, Model, PictureTokens},
    plan::{HostRun, Kind, Plan},
    preprocess::Tiling,
    quant::Matrix,
    text::Tokenizer,
};

/// What the naive twins make of one picture and of one prompt of words.
pub struct WrittenRun {
    /// The prompt's token ids.
    pub ids: Vec<u32>,
    /// What the picture goes through, seen as one square; none of a model that reads words alone.
    pub vision: Option<Reference>,
    /// What the prompt goes through.
    pub text: Reference,
    /// The tokens that follow it, the likeliest each time.
    pub written: Vec<u32>,
}

impl WrittenRun {
    /// As [`super::ReferenceRun::of`], of a model that writes so many tokens after the text.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint, the picture or the text.
    pub fn of(
        mut checkpoint: Checkpoint,
        (pixels, width, height): (&[u32], usize, usize),
        (text, most): (&str, usize),
    ) -> Result<Self> {
        let generator = checkpoint.config.generator()?.clone();
        let (files, fallback) = (&checkpoint.tokenizer, checkpoint.config.text_rule.byte_fallback);
        let tokenizer = Tokenizer::with_tokens(files, fallback, &generator.prompt.added_tokens())?;
        let ids = tokenizer.encode_plain(text)?;
        // Room for more would only cost memory.
        checkpoint.config.text.tokens = ids.len() + most;
        let InMemory { model, weights, .. } = InMemory::load(&checkpoint, None)?;
        let Model { language: Some(language), pictures, .. } = model else {
            return Err(Error::BadInput("goldens: expected a model that writes, found another".into()));
        };
        let vision = match pictures {
            None => None,
            Some(PictureTokens { plan, pixels: input, .. }) => {
                let mut rule = checkpoint.config.preprocessor.clone();
                rule.tiles = rule.tiles.for_prompt(true, false);
                let squares = Tiling::new(&rule, width, height)?.resize(pixels, width, height);
                let run = plan.run_reference(&weights, &[(input, &squares[0])], Run::items(1));
                Some(Reference { runs: vec![(plan, run)], embedding: Vec::new() })
            }
        };
        let LanguageModel { plan, ids: input, last, reader, .. } = language;
        let (mut runs, mut given, mut beginning) = (Vec::new(), Vec::new(), ids.clone());
        if let (Some(reader), Some(of)) = (reader, generator.seq2seq) {
            let (length, lengths) = (ids.len() as u32, reader.lengths);
            let run = reader.plan.run_reference(&weights, &[(reader.ids, &ids)], Run::tokens(1, length));
            given = shared(&reader.plan, &run, &plan);
            given.push((lengths, vec![length]));
            runs.push((reader.plan, run));
            beginning = of.start;
        }
        let length = beginning.len() as u32;
        let last_at = [length - 1];
        let mut inputs: Vec<(ActId, &[u32])> = vec![(input, &beginning), (last, &last_at)];
        inputs.extend(given.iter().map(|(act, words)| (*act, words.as_slice())));
        let run = plan.run_reference(&weights, &inputs, Run::tokens(1, length));
        let written = follow(&plan, &weights, (input, last), (length, most), (&run, &given));
        runs.push((plan, run));
        Ok(Self { ids, vision, text: Reference { runs, embedding: Vec::new() }, written })
    }
}

/// What one plan leaves in states that another one shares: by that one's activations.
fn shared(from: &Plan, run: &HostRun, to: &Plan) -> Vec<(ActId, Vec<u32>)> {
    let is_state = |kind: Kind| matches!(kind, Kind::State { .. });
    let states = from.acts().iter().zip(&run.acts).filter(|(act, _)| is_state(act.kind));
    let place = |name: &str| to.acts().iter().position(|act| is_state(act.kind) && act.name == name);
    states.filter_map(|(act, words)| Some((ActId(place(&act.name)?), words.clone()))).collect()
}

/// So many tokens that follow a prompt of so many: each step has the states that the one before left behind, and what is `given` to all.
fn follow(
    plan: &Plan,
    weights: &[Matrix],
    (input, last): (ActId, ActId),
    (prompt, most): (u32, usize),
    (run, given): (&HostRun, &[(ActId, Vec<u32>)]),
) -> Vec<u32> {
    let is_state = |act: &ActId| matches!(plan.acts()[act.0].kind, Kind::State { .. });
    let states: Vec<ActId> = (0..plan.acts().len()).map(ActId).filter(is_state).collect();
    let left = |run: &HostRun| states.iter().map(|act| run.acts[act.0].clone()).collect::<Vec<_>>();
    let (mut held, mut written) = (left(run), vec![run.acts[input.0][0]]);
    while written.len() < most {
        let token = [written[written.len() - 1]];
        let mut inputs: Vec<(ActId, &[u32])> = vec![(input, &token), (last, &[0])];
        inputs.extend(given.iter().map(|(act, words)| (*act, words.as_slice())));
        inputs.extend(states.iter().zip(&held).map(|(&act, words)| (act, words.as_slice())));
        let past = prompt + written.len() as u32 - 1;
        let run = plan.run_reference(weights, &inputs, Run { batch: 1, tokens: 1, past });
        held = left(&run);
        written.push(run.acts[input.0][0]);
    }
    written
}
