//! Pictures on their way into prompts: squares through the tower, and their tokens to where prompts find them.

use std::{collections::HashMap, ops::Range};

use super::Session;
use crate::{
    backend::{Backend, Executor},
    config::{Config, Connector, Preprocessor, Tiles},
    error::{Error, Result},
    kernels::{ActId, PICTURE, Run},
    model,
    preprocess::{Packing, Tiling},
    session::run::check_finite,
    tokens::Layout,
};

/// What makes a decoder's tokens of squares.
pub struct Sight<B: Backend> {
    pub plan: B::Executor,
    pixels: ActId,
    rows: ActId,
    /// Tokens of a square.
    tokens: usize,
    /// Tokens of its grid, each way.
    side: usize,
    /// What ends a row where tokens are packed.
    newline: Option<Vec<f32>>,
}

impl<B: Backend> Sight<B> {
    /// `newline` are the numbers of the model's.
    pub fn new(plan: B::Executor, model: model::PictureTokens, newline: Option<Vec<f32>>) -> Self {
        let model::PictureTokens { pixels, rows, tokens, side, .. } = model;
        Self { plan, pixels, rows, tokens, side, newline }
    }
}

/// Most tokens of a picture in all its detail; 0 of a model that reads words alone.
pub fn most_tokens(config: &Config) -> usize {
    let Some(pictures) = config.generator().ok().and_then(|generator| generator.pictures.as_ref()) else { return 0 };
    let side = match pictures.connector {
        Connector::PixelShuffle(scale) => config.vision.grid() / scale,
        Connector::Linear | Connector::Mlp => config.vision.grid(),
        Connector::MeanAndGrid { grid, .. } => return grid.pow(2) + 1,
    };
    match (&config.preprocessor.tiles, pictures.packed) {
        (Tiles::Grid { pinpoints, side: tile, .. }, Some(most)) => {
            Packing::most_tokens(pinpoints.iter().map(|size| size.map(|n| n / tile)), side, most)
        }
        (Tiles::Split { longest_edge, side: tile, split: true }, _) => {
            (longest_edge.div_ceil(*tile).pow(2) + 1) * side.pow(2)
        }
        _ => side.pow(2),
    }
}

/// How much of a picture is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct View {
    /// The whole of it once, and no tiles.
    pub low: bool,
    /// It is one of several in a prompt: LLaVA-OneVision then sees each once.
    pub several: bool,
}

/// A picture that is cut into what the tower sees.
pub struct Cut {
    /// How it was cut, and the tokens that it becomes.
    pub layout: Layout,
    /// Squares of RGBA words.
    squares: Vec<Vec<u32>>,
    packed: Option<Packed>,
}

/// Tokens that are packed as their squares come.
struct Packed {
    packing: Packing,
    /// `[tokens, hidden]`
    tokens: Vec<f32>,
    /// Squares whose tokens are there.
    done: usize,
}

impl Packed {
    fn begin<B: Backend>(packing: Packing, sight: &Sight<B>) -> Self {
        let newline = sight.newline.as_deref().expect("a model that packs tokens has it");
        Self { tokens: packing.begin(newline), packing, done: 0 }
    }
}

impl Cut {
    /// Parts that are known by themselves: each has as many of the picture's tokens as the next. Packed tokens are one part.
    #[must_use]
    pub fn parts(&self) -> usize {
        if self.packed.is_some() { 1 } else { self.squares.len() }
    }

    /// What the tower sees, in its order: squares of RGBA words.
    #[must_use]
    pub fn squares(&self) -> &[Vec<u32>] {
        &self.squares
    }

    /// Which of a prompt's rows a part is, where `first` is the picture's first.
    fn rows(&self, part: usize, first: usize) -> Range<usize> {
        let each = self.layout.tokens / self.parts();
        first + part * each..first + (part + 1) * each
    }
}

impl<B: Backend> Session<B> {
    /// How a picture of so many pixels is cut, and its tokens.
    ///
    /// # Errors
    /// [`Error::BadImage`] for a size out of bounds, [`Error::WrongModel`] for a model that reads words alone.
    pub fn layout(&self, (width, height): (usize, usize), view: View) -> Result<Layout> {
        Ok(self.tiling(width, height, view)?.1)
    }

    /// Cuts a picture of RGBA words.
    ///
    /// # Errors
    /// As [`Session::layout`].
    pub fn cut(&self, pixels: &[u32], (width, height): (usize, usize), view: View) -> Result<Cut> {
        let (tiling, layout, packing) = self.tiling(width, height, view)?;
        let sight = self.sight()?;
        let packed = packing.map(|packing| Packed::begin(packing, sight));
        Ok(Cut { layout, squares: tiling.resize(pixels, width, height), packed })
    }

    fn tiling(&self, width: usize, height: usize, view: View) -> Result<(Tiling, Layout, Option<Packing>)> {
        let (sight, rule) = (self.sight()?, &self.config.preprocessor);
        let rule = Preprocessor { tiles: rule.tiles.for_prompt(view.low, view.several), ..rule.clone() };
        let tiling = Tiling::new(&rule, width, height)?;
        let pictures = self.config.generator()?.pictures.as_ref();
        let most = pictures.and_then(|pictures| pictures.packed);
        let packing = most.map(|most| Packing::new(&tiling, sight.side, most, width, height));
        let each = sight.tokens;
        let tokens = packing.as_ref().map_or(tiling.seen.len() * each, Packing::tokens);
        let layout = Layout { rows: tiling.rows, columns: tiling.columns, tokens };
        Ok((tiling, layout, packing))
    }

    /// Runs the next square of a part of a picture through the tower. [`Session::keep_square`] follows. The picture's tokens become the
    /// rows from `first` on: those that prompts then refer to by [`PICTURE`].
    ///
    /// # Errors
    /// [`Error::ContextFull`] for more rows than there is room for, [`Error::WrongModel`] for a model that reads words alone.
    ///
    /// # Panics
    /// If there is no such part.
    pub fn put_square(&self, cut: &Cut, part: usize, first: usize) -> Result<()> {
        let (language, sight, context) = (self.language()?, self.sight()?, self.config.text.tokens);
        let rows = cut.rows(part, first);
        if rows.end > context {
            return Err(Error::ContextFull(format!(
                "pictures: expected at most {context} tokens, found {}: show fewer or smaller pictures, or load the model with a larger context",
                rows.end
            )));
        }
        // What was computed with the rows that are replaced is worth nothing, and a text under way has lost them.
        let lost = |id: &u32| *id >= PICTURE && rows.contains(&((id - PICTURE) as usize));
        language.lose(lost);
        let square = cut.packed.as_ref().map_or(part, |packed| packed.done);
        sight.plan.write(&self.device, sight.pixels, 0, bytemuck::cast_slice(&cut.squares[square]));
        sight.plan.run_all(&self.device, Run::items(1));
        if cut.packed.is_none() {
            let place = (rows.start / sight.tokens) as u32;
            sight.plan.hand_over(&self.device, sight.rows, language.picture_rows(), place);
        }
        Ok(())
    }

    /// Keeps the tokens of the last square. Returns whether all of its part are there.
    ///
    /// # Errors
    /// [`Error::NotFinite`], or [`Error::Gpu`].
    pub async fn keep_square(&self, cut: &mut Cut, first: usize) -> Result<bool> {
        let (language, sight, rows) = (self.language()?, self.sight()?, cut.rows(0, first));
        let Some(packed) = &mut cut.packed else { return Ok(true) };
        let bytes = self.device.bytes(sight.plan.read(&self.device, sight.rows)).await?;
        let tokens: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
        check_finite(&tokens, tokens.len() / sight.tokens, "a picture's token")?;
        packed.packing.put(packed.done, &tokens, &mut packed.tokens);
        packed.done += 1;
        if packed.done < cut.squares.len() {
            return Ok(false);
        }
        let (plan, into) = language.picture_rows();
        let hidden = packed.tokens.len() / rows.len();
        plan.write(&self.device, into, rows.start * hidden, bytemuck::cast_slice(&packed.tokens));
        // It may be shown again.
        *packed = Packed::begin(packed.packing.clone(), sight);
        Ok(true)
    }

    /// Makes a picture's tokens the rows from `first` on; returns the row after them.
    ///
    /// # Errors
    /// As [`Session::put_square`] and [`Session::keep_square`].
    pub async fn show(&self, cut: &mut Cut, first: usize) -> Result<usize> {
        for part in 0..cut.parts() {
            self.put_square(cut, part, first)?;
            while !self.keep_square(cut, first).await? {
                self.put_square(cut, part, first)?;
            }
        }
        Ok(first + cut.layout.tokens)
    }

    /// Named activations of the picture tower and the connector, for the last square.
    ///
    /// # Errors
    /// As [`Session::put_square`].
    pub async fn taps_of_square(&self) -> Result<HashMap<String, Vec<f32>>> {
        self.sight()?.plan.taps(&self.device, Run::items(1)).await
    }

    fn sight(&self) -> Result<&Sight<B>> {
        let reads = self.config.generator()?.pictures.is_some();
        match &self.sight {
            Some(sight) => Ok(sight),
            None if reads => Err(self.lacks_vision()),
            None => Err(Error::WrongModel(format!(
                "{}: expected a model that reads pictures, found one that reads words alone: load smolvlm, paligemma, llava, llava_onevision or florence2",
                self.config.family.name()
            ))),
        }
    }
}
