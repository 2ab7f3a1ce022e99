//! Pictures with captions: the manifest of `ocelli recall` and `eval-caption`, or COCO's file. `docs/EVALUATION.md` describes both.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ocelli::Result;
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    bad_input,
    manifest::{folder, once, parse, spread},
};

/// Pictures with captions.
pub struct Captioned {
    pub images: PathBuf,
    pub files: Vec<PathBuf>,
    /// Captions of each file; one or more.
    pub captions: Vec<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaptionedFile {
    #[serde(default, rename = "about")]
    _about: String,
    images: Option<PathBuf>,
    pictures: Vec<CaptionedPicture>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaptionedPicture {
    file: PathBuf,
    captions: Vec<String>,
}

/// COCO's annotations with captions.
#[derive(Deserialize)]
struct CocoCaptions {
    images: Vec<CocoImage>,
    annotations: Vec<CocoCaption>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: PathBuf,
}

#[derive(Deserialize)]
struct CocoCaption {
    image_id: u64,
    caption: String,
}

/// What tells COCO's layout from a manifest.
#[derive(Deserialize)]
struct Layout {
    annotations: Option<IgnoredAny>,
}

impl CocoCaptions {
    /// The pictures that have captions, in the order of the file.
    fn pictures(self) -> CaptionedFile {
        let mut captions: HashMap<u64, Vec<String>> = HashMap::new();
        self.annotations.into_iter().for_each(|one| captions.entry(one.image_id).or_default().push(one.caption));
        let picture = |CocoImage { id, file_name: file }| {
            captions.remove(&id).map(|captions| CaptionedPicture { file, captions })
        };
        let pictures = self.images.into_iter().filter_map(picture).collect();
        CaptionedFile { _about: String::new(), images: None, pictures }
    }
}

impl Captioned {
    /// Reads a manifest, or COCO's annotations with captions; `images` goes before its own.
    pub fn read(path: Option<&Path>, images: Option<&Path>) -> Result<Self> {
        let path = path.ok_or_else(|| bad_input("expected --manifest with the pictures' captions, found none"))?;
        let expected = "a manifest with `pictures` and their `captions`";
        let file: CaptionedFile = match parse::<Layout>(path, expected)?.annotations {
            None => parse(path, expected)?,
            Some(_) => parse::<CocoCaptions>(path, "COCO's `images` and `annotations` with captions")?.pictures(),
        };
        let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
        let images = folder(path, images, file.images.as_deref())?;
        if let Some(picture) = file.pictures.iter().find(|p| p.captions.is_empty()) {
            return Err(bad(format!("{:?}: expected one caption or more, found none", picture.file)));
        }
        let (files, captions): (Vec<_>, Vec<_>) = file.pictures.into_iter().map(|p| (p.file, p.captions)).unzip();
        once(&files).map_err(bad)?;
        Ok(Self { images, files, captions })
    }

    /// Keeps `limit` pictures with their captions, spread evenly over the list.
    pub fn limit(&mut self, limit: usize) {
        self.files = spread(&self.files, limit);
        self.captions = spread(&self.captions, limit);
    }
}
