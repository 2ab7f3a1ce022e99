//! The image processors of the families: what transformers' classes take where a file says nothing.

use serde_json::Value;

use super::{
    Config, Family, Filter, Patches, Preprocessor, Resize,
    preprocessor::{bad, side, sides},
    write,
};
use crate::{
    error::{Error, Result},
    json::Object,
};

/// `OPENAI_CLIP_MEAN` and `OPENAI_CLIP_STD` in transformers' `image_utils.py`.
const CLIP: [[f32; 3]; 2] = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_55, 0.261_302_6, 0.275_777_1]];
/// `IMAGENET_STANDARD_MEAN` and `IMAGENET_STANDARD_STD` there.
const HALF: [[f32; 3]; 2] = [[0.5; 3]; 2];

/// The defaults of a class, and what it reads otherwise than others.
pub(super) struct Usual {
    pub mean: [f32; 3],
    pub std: [f32; 3],
    filter: Filter,
    resize: Resize,
    /// Whether it crops unless the file says something, and to what if it does not say it.
    crop: (bool, Option<usize>),
    /// Whether a bare number is a square's side, and not the shorter one's (`default_to_square`).
    square: bool,
    /// Whether the field `rescale` stands for `do_rescale`.
    pub old_rescale: bool,
    /// Its name, without what tells its versions apart. None: the class is not looked at.
    class: Option<&'static str>,
}

impl Usual {
    pub fn of(family: Family, patches: Patches) -> Self {
        let square = |side| Resize::Squash { width: side, height: side };
        let siglip = Self {
            mean: HALF[0],
            std: HALF[1],
            filter: Filter::Bicubic,
            resize: square(224),
            crop: (false, Some(224)),
            square: false,
            old_rescale: false,
            class: None,
        };
        let clip =
            Self { mean: CLIP[0], std: CLIP[1], resize: Resize::ShortestEdge(224), crop: (true, Some(224)), ..siglip };
        match (family, patches) {
            (Family::Clip, _) => clip,
            (Family::Siglip, Patches::Square) => siglip,
            (Family::Siglip, Patches::Naflex) => {
                Self { filter: Filter::Bilinear, resize: Resize::MaxPatches { patch: 16, most: 256 }, ..siglip }
            }
            (Family::OwlVit, _) => Self {
                resize: square(768),
                crop: (false, Some(768)),
                square: true,
                old_rescale: true,
                class: Some("OwlViT"),
                ..clip
            },
            (Family::Owlv2, _) => Self {
                filter: Filter::Smooth,
                resize: Resize::PadSquare(960),
                crop: (false, None),
                square: true,
                old_rescale: true,
                class: Some("Owlv2"),
                ..clip
            },
            (Family::ClipSeg, _) => {
                Self { filter: Filter::Bilinear, crop: (false, None), square: true, class: Some("ViT"), ..siglip }
            }
        }
    }

    /// Whether it pads pictures to squares.
    pub fn pads(&self) -> bool {
        matches!(self.resize, Resize::PadSquare(_))
    }

    /// Checks that the file is for this class: transformers takes whichever it names.
    pub fn check_class(&self, file: &mut Object) -> Result<()> {
        let names = ["image_processor_type", "feature_extractor_type"].map(|field| (field, file.take::<String>(field)));
        let Some(expected) = self.class else { return Ok(()) };
        for (field, name) in names {
            let Some(name) = name? else { continue };
            let stem = ["ImageProcessor", "FeatureExtractor"].iter().find_map(|kind| Some(name.split_once(kind)?.0));
            return match stem == Some(expected) {
                true => Ok(()),
                false => Err(Error::WrongModel(format!(
                    "{}: expected {expected}ImageProcessor, found {name}: Ocelli does not run it before this model",
                    file.label(field)
                ))),
            };
        }
        Ok(())
    }

    pub fn filter(&self, file: &mut Object) -> Result<Filter> {
        let number = file.take::<u32>("resample")?;
        if self.filter == Filter::Smooth {
            return match number {
                // transformers 5 takes the number for `anti_aliasing`, and heeds it nowhere else.
                Some(0) => bad(file, "resample", "2 (bilinear)", "0, with which transformers leaves the blur out"),
                _ => Ok(Filter::Smooth),
            };
        }
        match number {
            None => Ok(self.filter),
            Some(2) => Ok(Filter::Bilinear),
            Some(3) => Ok(Filter::Bicubic),
            Some(other) => bad(file, "resample", "2 (bilinear) or 3 (bicubic)", &other.to_string()),
        }
    }

    pub fn resize(&self, file: &mut Object) -> Result<Resize> {
        if let Resize::MaxPatches { patch, most } = self.resize {
            return Ok(Resize::MaxPatches {
                patch: file.take("patch_size")?.unwrap_or(patch),
                most: file.take("max_num_patches")?.unwrap_or(most),
            });
        }
        let Some(value) = file.take::<Value>("size")? else { return Ok(self.resize) };
        let edge = side(&value["shortest_edge"]).or_else(|| side(&value).filter(|_| !self.square));
        let square = side(&value).filter(|_| self.square).map(|n| (n, n));
        match (edge, square.or_else(|| sides(&value))) {
            (Some(edge), _) if !self.pads() => Ok(Resize::ShortestEdge(edge)),
            (_, Some((width, height))) if !self.pads() => Ok(Resize::Squash { width, height }),
            (_, Some((width, height))) if width == height => Ok(Resize::PadSquare(width)),
            (_, Some(_)) => bad(file, "size", "equal height and width", &value.to_string()),
            _ => {
                let edge = if self.pads() { "" } else { "{shortest_edge} or " };
                bad(file, "size", &format!("{edge}{{height, width}} from 1 to 8192"), &value.to_string())
            }
        }
    }

    pub fn crop(&self, file: &mut Object) -> Result<Option<(usize, usize)>> {
        // These classes have no crop, whatever the file says.
        if matches!(self.resize, Resize::MaxPatches { .. } | Resize::PadSquare(_)) {
            return Ok(None);
        }
        let (usual, default) = self.crop;
        let crops = file.take("do_center_crop")?.unwrap_or(usual);
        match (file.take::<Value>("crop_size")?, default) {
            _ if !crops => Ok(None),
            (None, Some(n)) => Ok(Some((n, n))),
            (value, _) => {
                let value = value.unwrap_or_default();
                match side(&value).map(|n| (n, n)).or_else(|| sides(&value)) {
                    Some(sides) => Ok(Some(sides)),
                    None => bad(file, "crop_size", "a number or {height, width} from 1 to 8192", &value.to_string()),
                }
            }
        }
    }
}

impl Config {
    /// `preprocessor_config.json` as published models of this family have it, for the sizes of this one: what a config that was read
    /// without one lacks.
    #[must_use]
    pub fn usual_preprocessor(&self) -> String {
        let (usual, v) = (Usual::of(self.family, self.vision.patches), &self.vision);
        let seen = match self.family {
            // It sees larger pictures than those that it has positions for: of 352 pixels where these are of 224.
            Family::ClipSeg => v.stored_grid() * 11 / 7 * v.patch_size,
            _ => v.image_size,
        };
        write::preprocessor(&Preprocessor {
            resize: match usual.resize {
                Resize::Squash { .. } => Resize::Squash { width: seen, height: seen },
                Resize::ShortestEdge(_) => Resize::ShortestEdge(seen),
                Resize::PadSquare(_) => Resize::PadSquare(seen),
                Resize::MaxPatches { most, .. } => Resize::MaxPatches { patch: v.patch_size, most },
            },
            filter: usual.filter,
            crop: usual.crop.0.then_some((seen, seen)),
            mean: usual.mean,
            std: usual.std,
            ..Preprocessor::none(seen)
        })
    }
}
