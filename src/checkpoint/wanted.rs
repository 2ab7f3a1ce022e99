//! The order in which a folder's files are asked for. The usual ones come first, side by side; others are tried only where one of
//! them is missing, so that a usual folder costs no request in vain.

use super::{
    Folder, INDEX, OPEN_CLIP_CONFIG, PYTORCH_INDEX, Want,
    folder::{CONFIG, GENERATION, OPEN_CLIP_TENSORS, PREPROCESSOR, PROCESSOR, TENSORS, TOKENIZER, TOKENIZER_CONFIG},
    is_safetensors,
    manifest::{KEY, MANIFEST},
    others::{ADAPTER, MODULES, adapter},
    shards,
};
use crate::{
    config::{Family, Kind, Patches, TOKENIZER_FILES, TokenizerFiles, Towers, has_image_processor, names_a_processor},
    error::{Error, Result},
};

/// SigLIP's tokenizer of SentencePiece, which transformers reads without `tokenizer_config.json`.
const SPIECE: &str = "spiece.model";

/// Names of a tensor file, and of the index of its shards.
type TensorFiles = [(&'static str, Option<&'static str>); 2];
/// In the order in which they are looked for: PyTorch's own where there are no safetensors.
const TENSOR_FILES: TensorFiles = [(TENSORS, Some(INDEX)), ("pytorch_model.bin", Some(PYTORCH_INDEX))];
const OPEN_CLIP_TENSOR_FILES: TensorFiles = [(OPEN_CLIP_TENSORS, None), ("open_clip_pytorch_model.bin", None)];

/// Whose format the folder is in.
#[derive(Clone, Copy)]
enum Layout {
    Transformers(Kind),
    OpenClip,
}

/// What is known by now, or the files that tell more.
enum Known {
    Layout(Layout),
    Ask(&'static [&'static str]),
}

impl Folder {
    /// The files to fetch next, side by side; none when all are here.
    ///
    /// # Errors
    /// [`Error::WrongModel`] as soon as it shows that Ocelli does not run the model; [`Error::NotFound`] if a file is missing that
    /// the folder must have; [`Error::BadCheckpoint`] if what is here does not say what else is needed.
    pub fn wanted(&self) -> Result<Vec<Want>> {
        let layout = match self.layout()? {
            Known::Layout(layout) => layout,
            Known::Ask(names) => return Ok(self.unanswered(names.iter().map(|name| Want::Whole(name.to_string())))),
        };
        if let (Layout::Transformers(_), Some(config), None) = (layout, self.whole(CONFIG), &self.manifest)
            && names_a_manifest(config)
        {
            self.expect_all(&[MANIFEST])?;
            return Ok(self.unanswered([Want::Whole(MANIFEST.into())]));
        }
        let towers = self.towers();
        let mut names = match layout {
            Layout::Transformers(kind) => self.json_files(kind)?,
            Layout::OpenClip => vec![TOKENIZER_CONFIG],
        };
        if self.tokenizer && towers.text() {
            names.extend(self.tokenizer_files()?);
        }
        let mut wants: Vec<Want> = names.into_iter().map(|name| Want::Whole(name.into())).collect();
        wants.extend(self.tensor_files(layout, towers)?);
        Ok(self.unanswered(wants))
    }

    /// Those of which nothing is known, under their names in the outer folder.
    fn unanswered(&self, wants: impl IntoIterator<Item = Want>) -> Vec<Want> {
        let outer = |want: Want| match want {
            Want::Whole(name) => Want::Whole(format!("{}{name}", self.inner)),
            Want::Tensors(name) => Want::Tensors(format!("{}{name}", self.inner)),
        };
        wants.into_iter().filter(|want| self.unknown(want.name())).map(outer).collect()
    }

    /// Whose format it is: transformers' by its config.json; open_clip's where there is none, or where it speaks of something else
    /// (timm's, or a class of the repository's own), or has no tensors beside it.
    fn layout(&self) -> Result<Known> {
        if self.unknown(CONFIG) {
            return Ok(Known::Ask(&[CONFIG]));
        }
        let kind = self.whole(CONFIG).map(Kind::parse);
        match &kind {
            Some(Ok(kind)) if !(kind.own_code || self.has_none(TENSOR_FILES[0])) => {
                return Ok(Known::Layout(Layout::Transformers(self.checked(*kind)?)));
            }
            Some(Err(error)) if !matches!(error, Error::WrongModel(_)) => {}
            _ if self.unknown(OPEN_CLIP_CONFIG) => return Ok(Known::Ask(&[OPEN_CLIP_CONFIG])),
            // PyTorch's own file beside config.json, and nothing of open_clip's but its config.
            Some(Ok(kind))
                if !(kind.own_code || OPEN_CLIP_TENSOR_FILES.into_iter().any(|files| !self.has_none(files))) => {}
            _ if self.whole(OPEN_CLIP_CONFIG).is_some() => return Ok(Known::Layout(Layout::OpenClip)),
            None if self.inner.is_empty() && (self.unknown(MODULES) || self.unknown(ADAPTER)) => {
                return Ok(Known::Ask(&[MODULES, ADAPTER]));
            }
            _ => {}
        }
        match kind {
            Some(kind) => Ok(Known::Layout(Layout::Transformers(self.checked(kind?)?))),
            None => {
                self.whole(ADAPTER).map_or(Ok(()), |bytes| Err(adapter(&self.label, bytes)))?;
                self.expect_all(&[CONFIG])?;
                Err(self.missing(CONFIG, "none"))
            }
        }
    }

    /// Whether there is neither such a file nor an index of its shards.
    fn has_none(&self, (whole, index): (&str, Option<&str>)) -> bool {
        self.is_missing(whole) && index.is_none_or(|index| self.is_missing(index))
    }

    /// The kind, if it has a tower that is asked for.
    fn checked(&self, kind: Kind) -> Result<Kind> {
        match kind.towers.and(self.asked) {
            Some(_) => Ok(kind),
            None => Err(Error::WrongModel(format!(
                "{}{}{CONFIG}: expected a model with the {} tower, found one of the {} tower alone: load it with towers \"{}\"",
                self.label,
                self.inner,
                self.asked.name(),
                kind.towers.name(),
                kind.towers.name()
            ))),
        }
    }

    /// Whether the folder is in open_clip's own format.
    pub(super) fn open_clip(&self) -> bool {
        matches!(self.layout(), Ok(Known::Layout(Layout::OpenClip)))
    }

    /// The towers that are loaded: of those that were asked for, the ones that the folder has.
    #[must_use]
    pub fn towers(&self) -> Towers {
        match self.layout() {
            Ok(Known::Layout(Layout::Transformers(kind))) => kind.towers.and(self.asked).unwrap_or(self.asked),
            _ => self.asked,
        }
    }

    /// The JSON files beside config.json. A tower that is not loaded does without its own, if they are missing.
    fn json_files(&self, kind: Kind) -> Result<Vec<&'static str>> {
        let mut names = Vec::new();
        if let Some(manifest) = &self.manifest {
            let listed = |name: &&str| manifest.files.contains_key(*name);
            names.extend([PREPROCESSOR, PROCESSOR, TOKENIZER_CONFIG, GENERATION].into_iter().filter(listed));
            self.expect_all(&names)?;
            return Ok(names);
        }
        let towers = self.towers();
        if kind.towers.vision() {
            names.push(PREPROCESSOR);
            // Its settings count, if it has any.
            if self.is_missing(PREPROCESSOR) || self.whole(TOKENIZER_CONFIG).is_some_and(names_a_processor) {
                names.push(PROCESSOR);
            }
            let nested = self.whole(PROCESSOR).is_some_and(has_image_processor);
            if towers.vision() && !self.unknown(PROCESSOR) && !nested {
                self.expect_all(&[PREPROCESSOR])?;
            }
        }
        if kind.family.generates() {
            names.push(GENERATION);
        }
        if kind.towers.text() {
            names.push(TOKENIZER_CONFIG);
            // It tells SigLIP from SigLIP 2, of which the reference reads neither without it, but for SigLIP's model of pieces, which
            // no NaFlex model has.
            if kind.family == Family::Siglip && self.tokenizer && towers.text() && self.is_missing(TOKENIZER_CONFIG) {
                let square = kind.patches == Patches::Square;
                names.extend(square.then_some(SPIECE));
                if !square || self.is_missing(SPIECE) {
                    self.expect_all(&[TOKENIZER_CONFIG])?;
                }
            }
        }
        Ok(names)
    }

    /// The tokenizer's files: those that the manifest lists; else tokenizer.json, and where there is none all the others, of
    /// which one tokenizer must be complete.
    fn tokenizer_files(&self) -> Result<Vec<&'static str>> {
        if let Some(manifest) = &self.manifest {
            let listed = |name: &&str| manifest.files.contains_key(*name);
            let names: Vec<&str> = TOKENIZER_FILES.into_iter().filter(listed).collect();
            self.expect_all(&names)?;
            return Ok(names);
        }
        if !self.is_missing(TOKENIZER) {
            return Ok(vec![TOKENIZER]);
        }
        let known = TOKENIZER_FILES.iter().all(|name| !self.unknown(name));
        let there = |name: &str| self.whole(name).map(|_| Vec::new());
        if known && TokenizerFiles::choose(there).is_none() {
            self.expect_all(&[TOKENIZER])?;
        }
        Ok(TOKENIZER_FILES.into_iter().filter(|name| !self.is_missing(name)).collect())
    }

    /// The tensor files as far as they are known, or the index that names them. The whole file wins if both are there, as in
    /// transformers; if neither is, the whole file is what is missing, for that is what people know.
    fn tensor_files(&self, layout: Layout, towers: Towers) -> Result<Vec<Want>> {
        if let Some(manifest) = &self.manifest {
            let theirs = |tower: Towers| tower.and(towers).is_some();
            let files = manifest.files.iter().filter(|(name, file)| is_safetensors(name) && theirs(file.tower));
            let names: Vec<&str> = files.map(|(name, _)| name.as_str()).collect();
            self.expect_all(&names)?;
            return Ok(names.into_iter().map(|name| Want::Tensors(name.into())).collect());
        }
        let files = match layout {
            Layout::Transformers(_) => TENSOR_FILES,
            Layout::OpenClip => OPEN_CLIP_TENSOR_FILES,
        };
        for (whole, index) in files {
            if !self.is_missing(whole) {
                return Ok(vec![Want::Tensors(whole.into())]);
            }
            let Some(index) = index.filter(|index| !self.is_missing(index)) else { continue };
            let Some(bytes) = self.whole(index) else { return Ok(vec![Want::Whole(index.into())]) };
            let names = shards(index, bytes)?;
            self.expect_all(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
            return Ok(names.into_iter().map(Want::Tensors).collect());
        }
        // There are no tensors: what is there in their place?
        if let Layout::Transformers(_) = layout {
            if self.unknown(ADAPTER) {
                return Ok(vec![Want::Whole(ADAPTER.into())]);
            }
            self.whole(ADAPTER).map_or(Ok(()), |bytes| Err(adapter(&self.label, bytes)))?;
        }
        self.expect_all(&[files[0].0])?;
        Ok(Vec::new())
    }
}

/// Whether config.json says that there is a manifest. What is no JSON has none; parsing it says the rest.
fn names_a_manifest(config: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(config).is_ok_and(|config| config[KEY] == MANIFEST)
}
