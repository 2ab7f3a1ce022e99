//! Models that write: pictures as tiles, prompts, tokens, as the package sees them.

use std::cell::RefCell;

use js_sys::Uint32Array;
use wasm_bindgen::prelude::*;
use web_sys::ImageData;

use super::{
    engine::{Backend, Engine},
    image_data::Pixels,
    js_error,
};
use crate::{
    Error,
    config::Preprocessor,
    preprocess::Tiling,
    sampling::Sampling,
    session::{self, Generation, Options},
};

/// The squares that the tower sees of a picture.
#[wasm_bindgen]
pub struct Tiles(Vec<Vec<u32>>);

#[wasm_bindgen]
impl Tiles {
    /// How many there are.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// A text on its way; none while a step of it runs.
#[wasm_bindgen]
pub struct Writing(RefCell<Option<Generation<Backend>>>);

/// Answers that are being weighed; none while a step of it runs.
#[wasm_bindgen]
pub struct Choosing {
    state: RefCell<Option<session::Choosing<Backend>>>,
    sampling: Sampling,
}

#[wasm_bindgen]
extern "C" {
    /// How a text is written: the fields of [`Options`] and [`Sampling`].
    pub type WritingOptions;
    #[wasm_bindgen(method, getter, js_name = maxTokens)]
    fn max_tokens(this: &WritingOptions) -> Option<u32>;
    #[wasm_bindgen(method, getter)]
    fn stops(this: &WritingOptions) -> Vec<u32>;
    #[wasm_bindgen(method, getter)]
    fn temperature(this: &WritingOptions) -> f32;
    #[wasm_bindgen(method, getter, js_name = topK)]
    fn top_k(this: &WritingOptions) -> Option<u32>;
    #[wasm_bindgen(method, getter, js_name = topP)]
    fn top_p(this: &WritingOptions) -> f32;
    #[wasm_bindgen(method, getter, js_name = repetitionPenalty)]
    fn repetition_penalty(this: &WritingOptions) -> f32;
    #[wasm_bindgen(method, getter)]
    fn seed(this: &WritingOptions) -> f64;
}

impl WritingOptions {
    fn options(&self) -> Options {
        Options {
            max_tokens: self.max_tokens().map(|most| most as usize),
            stops: self.stops(),
            sampling: Sampling {
                temperature: self.temperature(),
                top_k: self.top_k().map(|most| most as usize),
                top_p: self.top_p(),
                repetition_penalty: self.repetition_penalty(),
                seed: self.seed() as u64,
            },
            logits: false,
        }
    }
}

#[wasm_bindgen]
impl Engine {
    /// Most tokens of a prompt and what is written after it.
    pub fn context(&self) -> std::result::Result<usize, JsValue> {
        self.session.context().map_err(|e| js_error(&e))
    }

    /// Rows and columns of the tiles of a picture of this size, both 0 where it is one square, and its tokens. `low` sees all pictures as one.
    pub fn layout(&self, width: usize, height: usize, low: bool) -> std::result::Result<Vec<u32>, JsValue> {
        let layout = || {
            let tiling = Tiling::new(&self.rule(low), width, height)?;
            let tokens = tiling.seen.len() * self.session.tile_tokens()?;
            Ok([tiling.rows, tiling.columns, tokens].map(|n| n as u32).into())
        };
        layout().map_err(|e: Error| js_error(&e))
    }

    /// The squares of a picture.
    pub fn tiles(&self, picture: &ImageData, low: bool) -> std::result::Result<Tiles, JsValue> {
        let tiles = || {
            let pixels = Pixels::of(picture)?;
            let (width, height) = pixels.size();
            let tiling = Tiling::new(&self.rule(low), width, height)?;
            Ok(Tiles(tiling.resize(&pixels.words(), width, height)))
        };
        tiles().map_err(|e: Error| js_error(&e))
    }

    /// Runs a square through the tower: its tokens become those of number `number` in prompts.
    #[wasm_bindgen(js_name = putTile)]
    pub fn put_tile(&self, tiles: &Tiles, index: usize, number: usize) -> std::result::Result<(), JsValue> {
        self.session.put_tile(&tiles.0[index], number).map_err(|e| js_error(&e))
    }

    /// Begins a text with a prompt's token ids.
    pub fn generate(&self, ids: &[u32], options: &WritingOptions) -> std::result::Result<Writing, JsValue> {
        let generation = self.session.generate(ids, options.options()).map_err(|e| js_error(&e))?;
        Ok(Writing(RefCell::new(Some(generation))))
    }

    /// Runs the next part of a prompt; whether it was the last.
    #[wasm_bindgen(js_name = readPrompt)]
    pub async fn read_prompt(&self, writing: &Writing) -> std::result::Result<bool, JsValue> {
        let mut generation = writing.take()?;
        let read = self.session.read_prompt(&mut generation).await;
        writing.0.replace(Some(generation));
        read.map_err(|e| js_error(&e))
    }

    /// The next token; none at the end.
    #[wasm_bindgen(js_name = nextToken)]
    pub async fn next_token(&self, writing: &Writing) -> std::result::Result<Option<u32>, JsValue> {
        let mut generation = writing.take()?;
        let token = self.session.next_token(&mut generation).await;
        writing.0.replace(Some(generation));
        Ok(token.map_err(|e| js_error(&e))?.map(|token| token.id))
    }

    /// Begins to weigh answers, given by their token ids, to a prompt.
    pub fn choose(
        &self,
        ids: &[u32],
        answers: Vec<Uint32Array>,
        options: &WritingOptions,
    ) -> std::result::Result<Choosing, JsValue> {
        let Options { stops, sampling, .. } = options.options();
        let answers = answers.iter().map(Uint32Array::to_vec).collect();
        let begin = || {
            sampling.check()?;
            self.session.choose(ids, answers, &stops)
        };
        let state = begin().map_err(|e: Error| js_error(&e))?;
        Ok(Choosing { state: RefCell::new(Some(state)), sampling })
    }

    /// Runs the next step of it; whether it was the last.
    pub async fn weigh(&self, choosing: &Choosing) -> std::result::Result<bool, JsValue> {
        let mut state = choosing.state.take().ok_or_else(busy)?;
        let done = self.session.weigh(&mut state).await;
        choosing.state.replace(Some(state));
        done.map_err(|e| js_error(&e))
    }
}

impl Engine {
    fn rule(&self, low: bool) -> Preprocessor {
        let mut rule = self.session.config.preprocessor.clone();
        if low {
            rule.tiles = rule.tiles.whole();
        }
        rule
    }
}

impl Writing {
    fn take(&self) -> std::result::Result<Generation<Backend>, JsValue> {
        self.0.take().ok_or_else(busy)
    }
}

fn busy() -> JsValue {
    js_error(&Error::BadInput("text: expected one step after the other, found two at a time".into()))
}

/// Once all is weighed.
#[wasm_bindgen]
impl Choosing {
    /// The place of the answer that is chosen.
    pub fn pick(&self) -> std::result::Result<usize, JsValue> {
        Ok(self.state.borrow().as_ref().ok_or_else(busy)?.pick(&self.sampling))
    }

    /// Natural logarithms of the answers' probabilities, in their order.
    #[wasm_bindgen(js_name = logProbabilities)]
    pub fn log_probabilities(&self) -> std::result::Result<Vec<f64>, JsValue> {
        Ok(self.state.borrow().as_ref().ok_or_else(busy)?.log_probabilities().to_vec())
    }

    /// The probabilities, given that it is one of them.
    pub fn probabilities(&self) -> std::result::Result<Vec<f64>, JsValue> {
        Ok(self.state.borrow().as_ref().ok_or_else(busy)?.probabilities())
    }
}

#[wasm_bindgen]
impl Writing {
    /// Why it ended: stop, length or context; none while it goes on.
    pub fn finish(&self) -> Option<String> {
        let finish = self.0.borrow().as_ref().and_then(Generation::finish);
        finish.map(|finish| finish.name().into())
    }
}
