//! Texts become token ids and ids become text, in a file of its own: it is larger than all else together.

use std::sync::Arc;

use js_sys::Uint32Array;
use wasm_bindgen::prelude::*;

use super::{folder::ModelFolder, js_error};
use crate::{
    Error,
    config::{Config, Generator},
    text::{Guide, Prompt, Request, TextEncoder, TextStream, Tokenizer},
};

type Result<T> = std::result::Result<T, JsValue>;

/// A model's tokenizer by itself.
#[wasm_bindgen]
pub struct TokenizerEngine {
    tokenizer: Arc<Tokenizer>,
    what: What,
}

/// What it is for.
enum What {
    /// The text tower.
    Encode(TextEncoder),
    /// A model that writes.
    Write(Generator),
}

impl TokenizerEngine {
    fn encoder(&self) -> Result<&TextEncoder> {
        match &self.what {
            What::Encode(encoder) => Ok(encoder),
            What::Write(_) => Err(js_error(&Error::WrongModel(
                "tokens: expected a model with a text tower, found one that writes: its prompts have a form of their own".into(),
            ))),
        }
    }

    fn generator(&self) -> Result<&Generator> {
        match &self.what {
            What::Write(generator) => Ok(generator),
            What::Encode(_) => Err(js_error(&Error::WrongModel(
                "prompt: expected a model that writes, found one with a text tower: load smolvlm, paligemma, llava, llava_onevision or florence2"
                    .into(),
            ))),
        }
    }
}

impl TokenizerEngine {
    fn prompt_of(&self, request: &str, layouts: &[u32], context: usize) -> Result<Prompt> {
        let rule = self.generator()?.prompt;
        let prompt = Request::parse(request).and_then(|asked| asked.prompt(&self.tokenizer, rule, layouts, context));
        prompt.map_err(|e| js_error(&e))
    }

    fn ends(&self) -> Result<Vec<u32>> {
        let generator = self.generator()?;
        let own = generator.prompt.ends().iter().filter_map(|token| self.tokenizer.id(token));
        Ok(generator.stops.iter().copied().chain(own).collect())
    }
}

#[wasm_bindgen]
impl TokenizerEngine {
    /// From a folder of which no more than tensor files are wanted.
    #[wasm_bindgen(constructor)]
    pub fn new(folder: &mut ModelFolder) -> Result<TokenizerEngine> {
        let mut make = || {
            let (config, files) = folder.folder.described()?;
            let Config { text_rule, .. } = &config;
            if let Ok(generator) = config.generator() {
                let added = generator.prompt.added_tokens();
                let tokenizer = Tokenizer::with_tokens(&files, text_rule.byte_fallback, &added)?;
                return Ok(Self { tokenizer: tokenizer.into(), what: What::Write(generator.clone()) });
            }
            let encoder = TextEncoder::new(&files, &config)?;
            Ok(Self { tokenizer: Arc::clone(encoder.tokenizer()), what: What::Encode(encoder) })
        };
        make().map_err(|e: Error| js_error(&e))
    }

    /// The ids that the text tower is fed.
    pub fn encode(&self, text: &str) -> Result<Uint32Array> {
        self.encoder()?.encode(text).map(|ids| ids.as_slice().into()).map_err(|e| js_error(&e))
    }

    /// Whether a text is longer than the text tower takes, so that its end is not among [`Self::encode`]'s ids.
    pub fn cuts(&self, text: &str) -> Result<bool> {
        self.encoder()?.encoded(text).map(|encoded| encoded.cut).map_err(|e| js_error(&e))
    }

    /// The ids of a prompt: a [`Request`] as JSON, rows, columns and tokens of each picture, and the room that there is.
    pub fn prompt(&self, request: &str, layouts: &[u32], context: usize) -> Result<Uint32Array> {
        Ok(self.prompt_of(request, layouts, context)?.ids.as_slice().into())
    }

    /// The token ids of answers to a prompt, which is given as for [`Self::prompt`].
    pub fn answers(
        &self,
        request: &str,
        layouts: &[u32],
        context: usize,
        answers: Vec<String>,
    ) -> Result<Vec<Uint32Array>> {
        let prompt = self.prompt_of(request, layouts, context)?;
        let answers = prompt.answers(&self.tokenizer, &answers).map_err(|e| js_error(&e))?;
        Ok(answers.iter().map(|ids| ids.as_slice().into()).collect())
    }

    /// What holds an answer to a pattern, behind such a prompt.
    pub fn guide(&self, request: &str, layouts: &[u32], context: usize, pattern: &str) -> Result<TokenGuide> {
        let prompt = self.prompt_of(request, layouts, context)?;
        let (ends, vocab) = (self.ends()?, self.generator()?.decoder.vocab);
        prompt.guide(&self.tokenizer, pattern, &ends, vocab).map(TokenGuide).map_err(|e| js_error(&e))
    }

    /// Tokens that end what the model says.
    pub fn stops(&self) -> Result<Uint32Array> {
        Ok(self.ends()?.as_slice().into())
    }

    /// The ids of a part of a prompt, of any length: none of them is a special token's, whatever the text says.
    #[wasm_bindgen(js_name = encodePlain)]
    pub fn encode_plain(&self, text: &str) -> Result<Uint32Array> {
        self.tokenizer.encode_plain(text).map(|ids| ids.as_slice().into()).map_err(|e| js_error(&e))
    }

    /// The text of token ids; `skip_special` leaves out special tokens.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.tokenizer.decode(ids, skip_special).map_err(|e| js_error(&e))
    }

    /// The same, as token ids come one by one.
    pub fn stream(&self, skip_special: bool) -> Result<TokenStream> {
        self.tokenizer.stream(skip_special).map(TokenStream).map_err(|e| js_error(&e))
    }
}

/// A text that comes token by token, in whole characters.
#[wasm_bindgen]
pub struct TokenStream(TextStream);

#[wasm_bindgen]
impl TokenStream {
    /// The characters that this token completes.
    pub fn push(&mut self, id: u32) -> String {
        self.0.push(id)
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> String {
        self.0.finish()
    }
}

/// A text that keeps to a pattern.
#[wasm_bindgen]
pub struct TokenGuide(Guide);

#[wasm_bindgen]
impl TokenGuide {
    /// The tokens that may come next, a bit each; none where the text is whole and nothing can follow.
    pub fn allowed(&mut self) -> Result<Uint32Array> {
        self.0.allowed().map(Uint32Array::from).map_err(|e| js_error(&e))
    }

    /// The characters that this token completes, which may come.
    pub fn push(&mut self, id: u32) -> String {
        self.0.push(id)
    }
}
