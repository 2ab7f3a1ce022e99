//! Conversations in JSON files, as OpenAI's interface has them.

use std::path::Path;

use ocelli::{
    Result,
    text::{Message, Part, messages_of},
};
use serde_json::Value;

use crate::{bad_input, text_file};

/// Reads a conversation about so many pictures, which it shows one after the other.
pub fn read(path: &Path, pictures: usize) -> Result<Vec<Message>> {
    let bad = |what: &dyn std::fmt::Display| bad_input(format!("{}: {what}", path.display()));
    let list: Vec<Value> = serde_json::from_str(&text_file::read(path)?).map_err(|e| bad(&e))?;
    let messages = messages_of(&list).map_err(|e| bad(&e))?;
    let shown = messages.iter().flat_map(|message| &message.content).filter(|part| matches!(part, Part::Picture(_)));
    match shown.count() {
        found if found == pictures => Ok(messages),
        found => Err(bad(&format!("expected {pictures} pictures, as many as --image names, found {found}"))),
    }
}
