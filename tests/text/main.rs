//! Words on their way to a model and back: tokenizers, prompts, and texts that keep to a pattern.

#[path = "../common/mod.rs"]
mod common;
mod ids;
mod patterns;
mod prompts;
mod reference;
#[path = "../common/texts.rs"]
mod texts;
mod tokenizers;
