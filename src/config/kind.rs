//! What `config.json` says before any other file of its folder is here: whose family the model is, and which towers it has. So
//! a model that Ocelli does not run is refused before its files are missed.

use serde_json::Value;

use super::{Family, Patches, Towers, WRITES};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// The kind of a model in transformers' format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The family.
    pub family: Family,
    /// How pictures are cut: SigLIP 2 at fixed resolution says that it is SigLIP.
    pub patches: Patches,
    /// The towers that the checkpoint has: one alone in what `CLIPVisionModel` and its like save.
    pub towers: Towers,
    /// Whether the settings of the one tower are those of the whole file, and not of a section.
    pub(super) flat: bool,
    /// Whether CLIP's towers end in a projection: those of `CLIPVisionModel` and `CLIPTextModel` do not.
    pub(super) projection: bool,
    /// Whether the file names Python code of its own repository (`auto_map`), which may make anything of the model.
    pub own_code: bool,
}

/// The classes of models with a head, which others of their `model_type` lack.
const WITH_HEAD: [(Family, &str); 3] = [
    (Family::OwlVit, "OwlViTForObjectDetection"),
    (Family::Owlv2, "Owlv2ForObjectDetection"),
    (Family::ClipSeg, "CLIPSegForImageSegmentation"),
];

/// transformers' classes of single towers.
const SINGLE: [(&str, Towers); 8] = [
    ("CLIPVisionModelWithProjection", Towers::Vision),
    ("CLIPVisionModel", Towers::Vision),
    ("CLIPTextModelWithProjection", Towers::Text),
    ("CLIPTextModel", Towers::Text),
    ("SiglipVisionModel", Towers::Vision),
    ("SiglipTextModel", Towers::Text),
    ("Siglip2VisionModel", Towers::Vision),
    ("Siglip2TextModel", Towers::Text),
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
        let (family, patches, towers, flat) = match root.take::<String>("model_type")?.as_deref() {
            Some("clip") => (Family::Clip, Patches::Square, single.unwrap_or_default(), false),
            Some("siglip") => (Family::Siglip, Patches::Square, single.unwrap_or_default(), false),
            Some("siglip2") => (Family::Siglip, Patches::Naflex, single.unwrap_or_default(), false),
            Some("owlvit") => (Family::OwlVit, Patches::Square, Towers::Both, false),
            Some("owlv2") => (Family::Owlv2, Patches::Square, Towers::Both, false),
            Some("clipseg") => (Family::ClipSeg, Patches::Square, Towers::Both, false),
            Some("clip_vision_model") => (Family::Clip, Patches::Square, Towers::Vision, true),
            Some("clip_text_model") => (Family::Clip, Patches::Square, Towers::Text, true),
            Some("siglip_vision_model") => (Family::Siglip, Patches::Square, Towers::Vision, true),
            Some("siglip_text_model") => (Family::Siglip, Patches::Square, Towers::Text, true),
            Some("siglip2_vision_model") => (Family::Siglip, Patches::Naflex, Towers::Vision, true),
            Some("siglip2_text_model") => (Family::Siglip, Patches::Naflex, Towers::Text, true),
            Some("llama") => (Family::Llama, Patches::Square, Towers::Text, true),
            Some("qwen2") => (Family::Qwen2, Patches::Square, Towers::Text, true),
            Some("qwen3") => (Family::Qwen3, Patches::Square, Towers::Text, true),
            Some("gemma") => (Family::Gemma, Patches::Square, Towers::Text, true),
            Some("gemma2") => (Family::Gemma2, Patches::Square, Towers::Text, true),
            Some("gemma3_text") => (Family::Gemma3, Patches::Square, Towers::Text, true),
            Some("smolvlm" | "idefics3") => (Family::SmolVlm, Patches::Square, Towers::Both, false),
            Some("paligemma") => (Family::PaliGemma, Patches::Square, Towers::Both, false),
            Some("llava") => (Family::Llava, Patches::Square, Towers::Both, false),
            Some("florence2") => (Family::Florence2, Patches::Square, Towers::Both, false),
            Some("llava_onevision") => (Family::LlavaOnevision, Patches::Square, Towers::Both, false),
            other => {
                return Err(Error::WrongModel(format!(
                    "config.json: model_type: expected clip, siglip, siglip2, owlvit, owlv2, clipseg, smolvlm, paligemma, llava, \
                     llava_onevision, florence2, or a decoder by itself (llama, qwen2, qwen3, gemma, gemma2, gemma3_text), which Ocelli runs, \
                     found {}",
                    other.map_or("none".into(), |name| format!("{name:?}"))
                )));
            }
        };
        if family.generates() && !WRITES {
            return Err(family.unbuilt());
        }
        if let Some((_, class)) = WITH_HEAD.iter().find(|(with, class)| *with == family && *class != architecture)
            && !architecture.is_empty()
        {
            return Err(Error::WrongModel(format!(
                "config.json: architectures: expected {class}, found {architecture}, which lacks its head"
            )));
        }
        let projection = !["CLIPVisionModel", "CLIPTextModel"].contains(&architecture.as_str());
        Ok(Self { family, patches, towers, flat, projection, own_code })
    }
}
