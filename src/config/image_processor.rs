//! The image processor's settings, in `preprocessor_config.json` or `processor_config.json`, and what transformers' classes take where a file
//! says nothing.

use serde_json::Value;

use super::{Alpha, Config, Family, Filter, JsonFiles, Kind, Patches, Preprocessor, Resize, Tiles, WRITES, own, write};
use crate::{
    error::{Error, Result},
    json::Object,
};

const NAME: &str = "preprocessor_config.json";
/// Where transformers 5 keeps what belongs to pictures and what belongs to texts together.
const PROCESSOR: &str = "processor_config.json";
/// The pictures' part of it.
const NESTED: &str = "image_processor";

/// `OPENAI_CLIP_MEAN` and `OPENAI_CLIP_STD` in transformers' `image_utils.py`.
const CLIP: [[f32; 3]; 2] = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_55, 0.261_302_6, 0.275_777_1]];
/// `IMAGENET_STANDARD_MEAN` and `IMAGENET_STANDARD_STD` there.
const HALF: [[f32; 3]; 2] = [[0.5; 3]; 2];

impl Preprocessor {
    /// Reads whichever file has the settings; none if neither is there.
    pub(super) fn of(files: &JsonFiles, kind: Kind) -> Result<Option<Self>> {
        let nested = match files.processor {
            Some(processor) => Object::parse(PROCESSOR, processor)?.object(NESTED)?,
            None => None,
        };
        match (nested, files.preprocessor) {
            (Some(settings), _) => Self::parse(settings, kind).map(Some),
            (None, Some(preprocessor)) => Self::parse(Object::parse(NAME, preprocessor)?, kind).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Reads the settings; defaults are those of transformers' image processor for the family.
    fn parse(mut file: Object, Kind { family, patches, .. }: Kind) -> Result<Self> {
        let usual = Usual::of(family, patches);
        usual.check_class(&mut file)?;
        // Early files of OWL-ViT call the second of them so.
        let old = if usual.old_rescale { file.take("rescale")? } else { None };
        for (field, flag) in [
            ("do_resize", file.take("do_resize")?),
            ("do_rescale", file.take("do_rescale")?),
            ("rescale", old),
            ("do_pad", if usual.pads() { file.take("do_pad")? } else { None }),
        ] {
            if flag == Some(false) {
                return bad(&file, field, "true", "false");
            }
        }
        let filter = usual.filter(&mut file)?;
        let tiles = match WRITES {
            true => Tiles::of(&mut file, family == Family::LlavaOnevision, usual.mean)?,
            false => Tiles::Whole,
        };
        let resize = match tiles.side() {
            Some(side) => Resize::Squash { width: side, height: side },
            None => usual.resize(&mut file)?,
        };
        let crop = usual.crop(&mut file)?;
        let normalize = file.take("do_normalize")?.unwrap_or(true);
        let std = if normalize { file.take("image_std")?.unwrap_or(usual.std) } else { [1.0; 3] };
        if std.iter().any(|&s| s <= 0.0) {
            return bad(&file, "image_std", "positive numbers", &format!("{std:?}"));
        }
        let mean = file.take("image_mean")?.unwrap_or(usual.mean);
        let rescale = file.take("rescale_factor")?.unwrap_or(1.0 / 255.0);
        Ok(Self {
            resize,
            filter,
            tiles,
            crop,
            rounding: own::rounding(file.object(own::KEY)?)?,
            alpha: Alpha::default(),
            rescale,
            mean: if normalize { mean } else { [0.0; 3] },
            std,
        })
    }
}

/// Whether `processor_config.json` has an image processor's settings; those of transformers 4 have none.
#[must_use]
pub fn has_image_processor(processor: &[u8]) -> bool {
    serde_json::from_slice::<Value>(processor).is_ok_and(|processor| processor[NESTED].is_object())
}

/// The defaults of a class, and what it reads otherwise than others.
struct Usual {
    mean: [f32; 3],
    std: [f32; 3],
    filter: Filter,
    resize: Resize,
    /// Whether it crops unless the file says something, and to what if it does not say it.
    crop: (bool, Option<usize>),
    /// Whether a bare number is a square's side, and not the shorter one's (`default_to_square`).
    square: bool,
    /// Whether the field `rescale` stands for `do_rescale`.
    old_rescale: bool,
    /// Its name, without what tells its versions apart. None: the class is not looked at.
    class: Option<&'static str>,
}

impl Usual {
    fn of(family: Family, patches: Patches) -> Self {
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
            (Family::SmolVlm, _) => Self { filter: Filter::Lanczos, ..siglip },
            (Family::PaliGemma, _) => siglip,
            (Family::Llava, _) => Self { resize: Resize::ShortestEdge(336), crop: (true, Some(336)), ..clip },
            (Family::LlavaOnevision, _) => {
                Self { resize: square(384), crop: (false, None), class: Some("LlavaOnevision"), ..clip }
            }
            (Family::Florence2, _) => Self { resize: square(768), crop: (false, None), ..clip },
            // A decoder by itself sees nothing.
            (Family::Llama | Family::Qwen2 | Family::Qwen3 | Family::Gemma | Family::Gemma2 | Family::Gemma3, _) => {
                siglip
            }
            (Family::ClipSeg, _) => {
                Self { filter: Filter::Bilinear, crop: (false, None), square: true, class: Some("ViT"), ..siglip }
            }
        }
    }

    /// Whether it pads pictures to squares.
    fn pads(&self) -> bool {
        matches!(self.resize, Resize::PadSquare(_))
    }

    /// Checks that the file is for this class: transformers takes whichever it names.
    fn check_class(&self, file: &mut Object) -> Result<()> {
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

    fn filter(&self, file: &mut Object) -> Result<Filter> {
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
            Some(1) if WRITES => Ok(Filter::Lanczos),
            Some(2) => Ok(Filter::Bilinear),
            Some(3) => Ok(Filter::Bicubic),
            Some(other) => {
                let lanczos = if WRITES { "1 (Lanczos), " } else { "" };
                bad(file, "resample", &format!("{lanczos}2 (bilinear) or 3 (bicubic)"), &other.to_string())
            }
        }
    }

    fn resize(&self, file: &mut Object) -> Result<Resize> {
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

    fn crop(&self, file: &mut Object) -> Result<Option<(usize, usize)>> {
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
            tiles: match self.family {
                // Of published models the longest edge is four tiles.
                Family::SmolVlm => Tiles::Split { longest_edge: 4 * seen, side: seen, split: true },
                // config.json has them as well.
                Family::LlavaOnevision => self.preprocessor.tiles.clone(),
                _ => Tiles::Whole,
            },
            crop: usual.crop.0.then_some((seen, seen)),
            mean: usual.mean,
            std: usual.std,
            ..Preprocessor::none(seen)
        })
    }
}

fn bad<T>(file: &Object, field: &str, expected: &str, found: &str) -> Result<T> {
    Err(Error::BadCheckpoint(format!("{}: expected {expected}, found {found}", file.label(field))))
}

/// A side in pixels; the bound keeps tables and products small.
fn side(value: &Value) -> Option<usize> {
    value.as_u64().filter(|n| (1..=8192).contains(n)).map(|n| n as usize)
}

/// Width and height, as an object or, in files of the time of feature extractors, as a list that begins with the height
/// (`convert_to_size_dict` in transformers).
fn sides(value: &Value) -> Option<(usize, usize)> {
    let (width, height) = match value.as_array().map(Vec::as_slice) {
        Some([height, width]) => (width, height),
        _ => (&value["width"], &value["height"]),
    };
    side(width).zip(side(height))
}
