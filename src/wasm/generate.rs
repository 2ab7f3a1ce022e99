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
    sampling::Sampling,
    session::{self, Cut, Generation, Options, View},
};

/// The squares that the tower sees of a picture; none while the tokens of one are on their way.
#[wasm_bindgen]
pub struct Tiles(RefCell<Option<Cut>>);

/// A text on its way; none while a step of it runs.
#[wasm_bindgen]
pub struct Writing(RefCell<Option<Generation<Backend>>>);

/// Texts that are searched for; none while a step of it runs.
#[wasm_bindgen]
pub struct Searching(RefCell<Option<session::Searching<Backend>>>);

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
    #[wasm_bindgen(method, getter)]
    fn beams(this: &WritingOptions) -> Option<u32>;
    #[wasm_bindgen(method, getter)]
    fn constrained(this: &WritingOptions) -> bool;
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
                ..Sampling::default()
            },
            beams: self.beams().map(|beams| beams as usize),
            constrained: self.constrained(),
            ..Options::default()
        }
    }
}

#[wasm_bindgen]
impl Engine {
    /// Most tokens of a prompt and what is written after it.
    pub fn context(&self) -> std::result::Result<usize, JsValue> {
        self.session.context().map_err(|e| js_error(&e))
    }

    /// Rows and columns of the tiles of a picture of this size, both 0 where it is one square, and its tokens. `low` sees it once;
    /// `several` says that it is one of several.
    pub fn layout(
        &self,
        width: usize,
        height: usize,
        low: bool,
        several: bool,
    ) -> std::result::Result<Vec<u32>, JsValue> {
        let layout = self.session.layout((width, height), View { low, several }).map_err(|e| js_error(&e))?;
        Ok([layout.rows, layout.columns, layout.tokens].map(|n| n as u32).into())
    }

    /// Whether the tokens of a picture's squares are known by themselves, or only together, where they are packed.
    #[wasm_bindgen(js_name = keepsSquares)]
    pub fn keeps_squares(&self) -> bool {
        let pictures = self.session.config.generator().ok().and_then(|generator| generator.pictures.as_ref());
        pictures.is_some_and(|pictures| pictures.packed.is_none())
    }

    /// The squares of a picture.
    pub fn tiles(&self, picture: &ImageData, low: bool, several: bool) -> std::result::Result<Tiles, JsValue> {
        let cut = || {
            let pixels = Pixels::of(picture)?;
            self.session.cut(&pixels.words(), pixels.size(), View { low, several })
        };
        Ok(Tiles(RefCell::new(Some(cut().map_err(|e: Error| js_error(&e))?))))
    }

    /// Runs the next square of a part of a picture through the tower; `first` is the row of the picture's first token in prompts.
    #[wasm_bindgen(js_name = putSquare)]
    pub fn put_square(&self, tiles: &Tiles, part: usize, first: usize) -> std::result::Result<(), JsValue> {
        let cut = take(&tiles.0)?;
        let put = self.session.put_square(&cut, part, first);
        tiles.0.replace(Some(cut));
        put.map_err(|e| js_error(&e))
    }

    /// Keeps the square's tokens; whether all of its part are there.
    #[wasm_bindgen(js_name = keepSquare)]
    pub async fn keep_square(&self, tiles: &Tiles, first: usize) -> std::result::Result<bool, JsValue> {
        let mut cut = take(&tiles.0)?;
        let kept = self.session.keep_square(&mut cut, first).await;
        tiles.0.replace(Some(cut));
        kept.map_err(|e| js_error(&e))
    }

    /// Begins a text with a prompt's token ids.
    pub fn generate(&self, ids: &[u32], options: &WritingOptions) -> std::result::Result<Writing, JsValue> {
        let begin = || {
            let (options, _) = self.session.search_rule(options.options())?;
            self.session.generate(ids, options)
        };
        let generation = begin().map_err(|e: Error| js_error(&e))?;
        Ok(Writing(RefCell::new(Some(generation))))
    }

    /// Begins to search for the likeliest text; none where texts are written token by token.
    pub fn search(&self, ids: &[u32], options: &WritingOptions) -> std::result::Result<Option<Searching>, JsValue> {
        let begin = || {
            let (options, rule) = self.session.search_rule(options.options())?;
            rule.map(|rule| self.session.search(ids, rule, options)).transpose()
        };
        let searching = begin().map_err(|e: Error| js_error(&e))?;
        Ok(searching.map(|searching| Searching(RefCell::new(Some(searching)))))
    }

    /// Runs the next step of it; whether it was the last.
    #[wasm_bindgen(js_name = searchOn)]
    pub async fn search_on(&self, searching: &Searching) -> std::result::Result<bool, JsValue> {
        let mut state = take(&searching.0)?;
        let done = self.session.search_on(&mut state).await;
        searching.0.replace(Some(state));
        done.map_err(|e| js_error(&e))
    }

    /// Runs the next part of a prompt; whether it was the last.
    #[wasm_bindgen(js_name = readPrompt)]
    pub async fn read_prompt(&self, writing: &Writing) -> std::result::Result<bool, JsValue> {
        let mut generation = take(&writing.0)?;
        let read = self.session.read_prompt(&mut generation).await;
        writing.0.replace(Some(generation));
        read.map_err(|e| js_error(&e))
    }

    /// The next token, of those that are allowed, if some are named; none at the end.
    #[wasm_bindgen(js_name = nextToken)]
    pub async fn next_token(
        &self,
        writing: &Writing,
        allowed: Option<Vec<u32>>,
    ) -> std::result::Result<Option<u32>, JsValue> {
        let mut generation = take(&writing.0)?;
        let token = self.session.next_token_among(&mut generation, allowed.as_deref()).await;
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
        let mut state = take(&choosing.state)?;
        let done = self.session.weigh(&mut state).await;
        choosing.state.replace(Some(state));
        done.map_err(|e| js_error(&e))
    }
}

/// What a step works on, and puts back.
fn take<T>(slot: &RefCell<Option<T>>) -> std::result::Result<T, JsValue> {
    slot.take().ok_or_else(busy)
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

/// Once all is done: of the likeliest text.
#[wasm_bindgen]
impl Searching {
    /// Its tokens.
    pub fn tokens(&self) -> std::result::Result<Vec<u32>, JsValue> {
        Ok(self.0.borrow().as_ref().ok_or_else(busy)?.best().tokens.clone())
    }

    /// The mean of the logarithms of its tokens' probabilities.
    pub fn score(&self) -> std::result::Result<f64, JsValue> {
        Ok(self.0.borrow().as_ref().ok_or_else(busy)?.best().score)
    }

    /// Why it ended: stop, length or context.
    pub fn finish(&self) -> std::result::Result<String, JsValue> {
        Ok(self.0.borrow().as_ref().ok_or_else(busy)?.finish().name().into())
    }
}
