//! Folders that hold a model one step further in, or a part of one.

use serde_json::Value;

use super::plain;
use crate::error::{Error, Result};

/// The file in which sentence-transformers lists the parts of a model, each in a folder of its own.
pub const MODULES: &str = "modules.json";
/// What PEFT writes beside an adapter.
pub const ADAPTER: &str = "adapter_config.json";

/// The folder of the model in a folder of sentence-transformers, with its slash.
///
/// # Errors
/// [`Error::BadCheckpoint`] if the file is no list of parts; [`Error::WrongModel`] if it lists parts beyond a model and a
/// normalisation, which every embedding has here.
pub fn model_folder(modules: &[u8]) -> Result<String> {
    let bad = |what: String| Error::BadCheckpoint(format!("{MODULES}: {what}"));
    let modules: Value =
        serde_json::from_slice(modules).map_err(|e| bad(format!("not the JSON that was expected: {e}")))?;
    let kind =
        |module: &Value| module["type"].as_str().unwrap_or_default().rsplit('.').next().unwrap_or_default().to_string();
    let parts = modules.as_array().into_iter().flatten().filter(|module| kind(module) != "Normalize");
    match parts.collect::<Vec<_>>().as_slice() {
        [module] => {
            let path = module["path"].as_str().unwrap_or_default();
            match path.split('/').all(plain) {
                true => Ok(format!("{path}/")),
                false => Err(bad(format!("path: expected a folder in this one, found {path:?}"))),
            }
        }
        parts => {
            let found: Vec<String> = parts.iter().map(|module| kind(module)).collect();
            Err(Error::WrongModel(format!(
                "{MODULES}: expected one CLIPModel, found {found:?}: Ocelli runs no other parts"
            )))
        }
    }
}

/// The error for a folder that holds an adapter and no model.
pub fn adapter(label: &str, config: &[u8]) -> Error {
    let config: Value = serde_json::from_slice(config).unwrap_or_default();
    let base = config["base_model_name_or_path"].as_str().map(|base| format!(" for {base}")).unwrap_or_default();
    let kind = config["peft_type"].as_str().unwrap_or("PEFT");
    Error::WrongModel(format!(
        "{label}{ADAPTER}: expected a whole model, found an adapter ({kind}){base}: merge it into its model in Python \
         (PeftModel.from_pretrained(…).merge_and_unload()), save that with save_pretrained, and load the folder that this writes"
    ))
}
