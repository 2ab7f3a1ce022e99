//! What `config.json` says before any other file of its folder is here: whose family the model is, and which towers it has. So
//! a model that Ocelli does not run is refused before its files are missed.

use serde_json::Value;

use super::{Family, Towers};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// The kind of a model in transformers' format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The family.
    pub family: Family,
    /// The towers that the checkpoint has: one alone in what `CLIPVisionModel` and its like save.
    pub towers: Towers,
    /// Whether the settings of the one tower are those of the whole file, and not of a section.
    pub(super) flat: bool,
    /// Whether CLIP's towers end in a projection: those of `CLIPVisionModel` and `CLIPTextModel` do not.
    pub(super) projection: bool,
    /// Whether the file names Python code of its own repository (`auto_map`), which may make anything of the model.
    pub own_code: bool,
}

/// transformers' classes of single towers.
const SINGLE: [(&str, Towers); 6] = [
    ("CLIPVisionModelWithProjection", Towers::Vision),
    ("CLIPVisionModel", Towers::Vision),
    ("CLIPTextModelWithProjection", Towers::Text),
    ("CLIPTextModel", Towers::Text),
    ("SiglipVisionModel", Towers::Vision),
    ("SiglipTextModel", Towers::Text),
];

impl Kind {
    /// Reads `model_type` and `architectures` of `config.json`.
    ///
    /// # Errors
    /// [`Error::WrongModel`] for another architecture; [`Error::BadCheckpoint`] if the file cannot be understood.
    pub fn parse(config: &[u8]) -> Result<Self> {
        Self::of(&mut Object::parse("config.json", config)?)
    }

    pub(super) fn of(root: &mut Object) -> Result<Self> {
        let architecture =
            root.take::<Value>("architectures")?.unwrap_or_default()[0].as_str().unwrap_or_default().to_string();
        let own_code = root.take::<Value>("auto_map")?.is_some();
        let single = SINGLE.iter().find(|(class, _)| *class == architecture).map(|(_, towers)| *towers);
        let (family, towers, flat) = match root.take::<String>("model_type")?.as_deref() {
            Some("clip") => (Family::Clip, single.unwrap_or_default(), false),
            Some("siglip") => (Family::Siglip, single.unwrap_or_default(), false),
            Some("clip_vision_model") => (Family::Clip, Towers::Vision, true),
            Some("clip_text_model") => (Family::Clip, Towers::Text, true),
            Some("siglip_vision_model") => (Family::Siglip, Towers::Vision, true),
            Some("siglip_text_model") => (Family::Siglip, Towers::Text, true),
            Some("siglip2") => {
                return Err(Error::WrongModel(
                    "config.json: expected model_type \"siglip\", found \"siglip2\": of SigLIP 2, Ocelli runs the checkpoints of fixed \
                     resolution, such as siglip2-base-patch16-224, and not NaFlex"
                        .into(),
                ));
            }
            other => {
                return Err(Error::WrongModel(format!(
                    "config.json: expected model_type \"clip\" or \"siglip\", found {}: Ocelli runs these two families",
                    other.map_or("none".into(), |name| format!("{name:?}"))
                )));
            }
        };
        let projection = !["CLIPVisionModel", "CLIPTextModel"].contains(&architecture.as_str());
        Ok(Self { family, towers, flat, projection, own_code })
    }
}
