//! How a model is spoken to: the form of its prompts, and whether a folder's own template has the same.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// What stands around the texts and the pictures of a prompt. Pictures are the token `<image>`, and what their tiles need around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptRule {
    /// `<|im_start|>User:<image>…<end_of_utterance>\nAssistant:` (SmolVLM and Idefics3: `processing_smolvlm.py` in transformers).
    SmolVlm,
    /// `<image>…<bos>…\n`, a prefix of one turn (PaliGemma: `processing_paligemma.py`).
    PaliGemma,
    /// `<|im_start|>user <image>\n…<|im_end|><|im_start|>assistant\n` (LLaVA-OneVision, LLaVA-Interleave).
    ChatMl,
    /// `USER: <image>\n… ASSISTANT:` (LLaVA-1.5).
    Llava15,
    /// `<image>…<s>…</s>`, which an encoder reads; a task such as `<CAPTION>` is written out (Florence-2: `processing_florence2.py`).
    Florence,
    /// The text as it is, with the special tokens that the tokenizer puts around it: models that only go on writing.
    Raw,
}

/// SHA-256 of the templates that are known to be written so, with new lines for `\n` and without white space at the end.
const KNOWN: [(PromptRule, &str); 4] = [
    (PromptRule::SmolVlm, "830005085ddd94cec605b6e21b885b28ffad6e3f82ee6a212c523533e8f04f01"),
    (PromptRule::SmolVlm, "36a47ed97c18667acf1150e4fa25e2e2b0e87d468307dd593874f152373c2c5b"),
    (PromptRule::ChatMl, "fbf77862dcdda46840b6da02767d651eadad3582310e40fed04dc7594a0a80dd"),
    (PromptRule::Llava15, "6fef09c05345e88b9f85e80bcb3491003332050750586568bdf91cfa81965d0c"),
];

/// Tokens that Florence-2 has for kinds of answers, as its remote code spells and orders them.
const FLORENCE_TASKS: &str = "<cap> </cap> <ncap> </ncap> <dcap> </dcap> <grounding> </grounding> <seg> </seg> <sep> <region_cap> \
    </region_cap> <region_to_desciption> </region_to_desciption> <proposal> </proposal> <poly> </poly> <and>";

impl PromptRule {
    /// Whether a chat template, a text in the language Jinja, is known to write prompts by this rule.
    #[must_use]
    pub fn is_template(self, template: &str) -> bool {
        // In a string, Jinja reads `\n` as a new line; some files have the one and some the other.
        let digest = Sha256::digest(template.replace("\\n", "\n").trim_end());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        KNOWN.contains(&(self, hex.as_str()))
    }

    /// Tokens that end what the model says, besides those that its files name.
    #[must_use]
    pub fn ends(self) -> &'static [&'static str] {
        match self {
            Self::SmolVlm => &["<end_of_utterance>"],
            Self::ChatMl => &["<|im_end|>"],
            Self::PaliGemma => &["<eos>"],
            Self::Llava15 | Self::Florence => &["</s>"],
            Self::Raw => &[],
        }
    }

    /// What stands between the end of a prompt and an answer, by the template's own messages: SmolVLM's `Assistant:` ends without the
    /// blank that follows it.
    #[must_use]
    pub fn lead(self) -> &'static str {
        match self {
            Self::SmolVlm | Self::Llava15 => " ",
            Self::ChatMl | Self::PaliGemma | Self::Florence | Self::Raw => "",
        }
    }

    /// Whether a prompt is all that the model is given before its answer, with its own tokens around it.
    #[must_use]
    pub fn is_prefix(self) -> bool {
        matches!(self, Self::PaliGemma | Self::Florence)
    }

    /// Tokens that the model knows behind those of its tokenizer's file, where that has none of them: the remote code of Florence-2 adds
    /// them itself.
    #[must_use]
    pub fn added_tokens(self) -> Vec<String> {
        if self != Self::Florence {
            return Vec::new();
        }
        let places = (0..1000).map(|place| format!("<loc_{place}>"));
        let words = |words: &'static str| words.split(' ').map(String::from);
        words("<od> </od> <ocr> </ocr>").chain(places).chain(words(FLORENCE_TASKS)).chain(words("<image>")).collect()
    }

    /// What asks for a caption.
    #[must_use]
    pub fn caption(self) -> &'static str {
        match self {
            Self::Florence => "<CAPTION>",
            Self::PaliGemma => "caption en",
            _ => "Describe this image in one sentence.",
        }
    }

    /// What asks a question.
    #[must_use]
    pub fn question(self, question: &str) -> String {
        match self {
            Self::PaliGemma => format!("answer en {question}"),
            _ => question.into(),
        }
    }

    /// Whether the models write where things are, as [`crate::found::Locations`] reads it.
    #[must_use]
    pub fn locates(self) -> bool {
        self == Self::PaliGemma
    }

    /// Whether the models were trained on the tasks of [`super::VisionTask`].
    #[must_use]
    pub fn knows_tasks(self) -> bool {
        self == Self::Florence
    }

    /// What asks for boxes around these things, of a model that [`PromptRule::locates`].
    #[must_use]
    pub fn detect(self, things: &[String]) -> String {
        format!("detect {}", things.join(" ; "))
    }

    /// What asks for masks of a thing, likewise.
    #[must_use]
    pub fn segment(self, thing: &str) -> String {
        format!("segment {thing}")
    }

    /// What to tell the user where a folder's own template is not known; nothing where it is, or there is none.
    #[must_use]
    pub fn note(self, template: Option<&str>) -> Option<String> {
        let unknown = template.filter(|template| !self.is_template(template))?;
        Some(format!(
            "chat template: expected one that Ocelli knows, found another of {} characters: chats are written as {self:?} has them; \
             pass a raw prompt to write them another way",
            unknown.chars().count()
        ))
    }
}

/// The chat template of a folder, from whichever file has it, in the order of transformers: `chat_template.jinja`, `chat_template.json`,
/// `tokenizer_config.json`. Of several the one called `default`.
#[must_use]
pub fn chat_template(jinja: Option<&[u8]>, json: Option<&[u8]>, tokenizer_config: Option<&[u8]>) -> Option<String> {
    if let Some(text) = jinja.and_then(|bytes| std::str::from_utf8(bytes).ok()) {
        return Some(text.into());
    }
    let field = |bytes: &[u8]| -> Option<String> {
        let file: Value = serde_json::from_slice(bytes).ok()?;
        let template = &file["chat_template"];
        let named =
            |list: &Vec<Value>| list.iter().find(|one| one["name"] == "default").map(|one| one["template"].clone());
        let chosen = template.as_array().map_or_else(|| Some(template.clone()), named)?;
        chosen.as_str().map(String::from)
    };
    json.and_then(field).or_else(|| tokenizer_config.and_then(field))
}
