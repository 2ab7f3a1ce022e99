//! COCO's and LVIS's annotation files, and results as their tools read them.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use ocelli::{
    Error, Result,
    found::{Bounds, Mask, Rle},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    bad_input, json_file,
    precision::{Judged, Rule, Truth},
};

/// What a file must be, in words.
const EXPECTED: &str = "COCO's or LVIS's annotations, an object of `images`, `annotations` and `categories`";

/// A file as it is written; `S` is what is read of a segmentation.
#[derive(Deserialize)]
#[serde(bound = "S: DeserializeOwned")]
struct Written<S> {
    images: Vec<WrittenImage>,
    annotations: Vec<WrittenAnnotation<S>>,
    categories: Vec<WrittenCategory>,
}

#[derive(Deserialize)]
struct WrittenImage {
    id: u64,
    width: u32,
    height: u32,
    file_name: Option<PathBuf>,
    /// LVIS names pictures by their addresses.
    coco_url: Option<String>,
    neg_category_ids: Option<Vec<u64>>,
    not_exhaustive_category_ids: Option<Vec<u64>>,
}

#[derive(Deserialize)]
#[serde(bound = "S: DeserializeOwned")]
struct WrittenAnnotation<S> {
    image_id: u64,
    category_id: u64,
    /// x, y, width, height
    bbox: [f64; 4],
    #[serde(default)]
    iscrowd: u8,
    segmentation: Option<S>,
}

#[derive(Deserialize)]
struct WrittenCategory {
    id: u64,
    name: String,
    frequency: Option<String>,
}

/// The outline of a thing.
#[derive(Deserialize, Clone)]
#[serde(untagged, expecting = "segmentation: expected polygons, or run lengths with `size` and `counts`")]
pub enum Segmentation {
    /// Of each polygon x, y, x, y, …
    Polygons(Vec<Vec<f64>>),
    Runs {
        size: [usize; 2],
        counts: Counts,
    },
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub enum Counts {
    List(Vec<u32>),
    Compressed(String),
}

/// Annotated pictures. Pictures and categories are in the order of their ids.
pub struct Annotated<S> {
    pub pictures: Vec<AnnotatedPicture>,
    pub categories: Vec<Category>,
    pub things: Vec<Thing<S>>,
    /// Whether the file says for each picture what its annotations can judge.
    pub lvis: bool,
}

pub struct AnnotatedPicture {
    pub id: u64,
    pub file: PathBuf,
    /// Width and height in pixels.
    pub size: (u32, u32),
    absent: Vec<u64>,
    not_exhaustive: Vec<u64>,
}

pub struct Category {
    pub id: u64,
    pub name: String,
    /// LVIS: r (rare), c (common) or f (frequent).
    pub frequency: Option<String>,
}

/// A thing in a picture, both by their places.
pub struct Thing<S> {
    pub picture: usize,
    pub category: usize,
    pub bounds: Bounds,
    pub crowd: bool,
    pub segmentation: Option<S>,
}

impl<S: DeserializeOwned> Annotated<S> {
    /// Reads a file; `images` is the folder of its pictures.
    pub fn read(path: &Path, images: &Path) -> Result<Self> {
        let written: Written<S> = json_file::read(path, EXPECTED)?;
        Self::of(written, images).map_err(|what| bad_input(format!("{}: {what}", path.display())))
    }

    fn of(written: Written<S>, images: &Path) -> std::result::Result<Self, String> {
        let Written { images: mut pictures, annotations, mut categories } = written;
        pictures.sort_by_key(|picture| picture.id);
        categories.sort_by_key(|category| category.id);
        let place_of_picture = places("images", pictures.iter().map(|picture| picture.id))?;
        let place_of_category = places("categories", categories.iter().map(|category| category.id))?;
        let place = |places: &HashMap<u64, usize>, what: &str, id: u64, at: usize| {
            places
                .get(&id)
                .copied()
                .ok_or_else(|| format!("annotations[{at}].{what}: expected one of the file's ids, found {id}"))
        };
        let thing = |(at, annotation): (usize, WrittenAnnotation<S>)| {
            let [x, y, width, height] = annotation.bbox;
            Ok(Thing {
                picture: place(&place_of_picture, "image_id", annotation.image_id, at)?,
                category: place(&place_of_category, "category_id", annotation.category_id, at)?,
                bounds: Bounds { x, y, width, height },
                crowd: annotation.iscrowd != 0,
                segmentation: annotation.segmentation,
            })
        };
        let things = annotations.into_iter().enumerate().map(thing).collect::<std::result::Result<_, String>>()?;
        let lvis = pictures.iter().any(|picture| picture.neg_category_ids.is_some());
        let pictures = pictures.into_iter().map(|picture| AnnotatedPicture::of(picture, images));
        Ok(Self {
            pictures: pictures.collect::<std::result::Result<_, String>>()?,
            categories: categories
                .into_iter()
                .map(|WrittenCategory { id, name, frequency }| Category { id, name, frequency })
                .collect(),
            things,
            lvis,
        })
    }

    /// Keeps the pictures at these places, which ascend, and what is in them.
    pub fn keep(&mut self, kept: impl Iterator<Item = usize>) {
        let places: HashMap<usize, usize> = kept.enumerate().map(|(new, old)| (old, new)).collect();
        let mut at = 0..;
        self.pictures.retain(|_| at.next().is_some_and(|at| places.contains_key(&at)));
        self.things.retain_mut(|thing| {
            let new = places.get(&thing.picture);
            thing.picture = new.copied().unwrap_or_default();
            new.is_some()
        });
    }

    /// What is there, for counting.
    pub fn truths(&self) -> Vec<Truth> {
        let truth = |thing: &Thing<S>| Truth {
            picture: thing.picture,
            category: thing.category,
            bounds: thing.bounds,
            // LVIS has none, and its tool does not look.
            crowd: thing.crowd && !self.lvis,
        };
        self.things.iter().map(truth).collect()
    }

    /// What counts.
    pub fn rule(&self) -> Rule {
        if !self.lvis {
            return Rule::Coco;
        }
        let place: HashMap<u64, usize> = self.categories.iter().enumerate().map(|(at, c)| (c.id, at)).collect();
        let places = |ids: &[u64]| -> HashSet<usize> { ids.iter().filter_map(|id| place.get(id).copied()).collect() };
        let judged = |picture: &AnnotatedPicture| Judged {
            absent: places(&picture.absent),
            not_exhaustive: places(&picture.not_exhaustive),
        };
        Rule::Lvis(self.pictures.iter().map(judged).collect())
    }
}

impl AnnotatedPicture {
    fn of(written: WrittenImage, images: &Path) -> std::result::Result<Self, String> {
        let file = match (written.file_name, &written.coco_url) {
            (Some(file), _) => file,
            // http://…/val2017/000000000139.jpg: in the folder, or in the folder of its split within it.
            (None, Some(url)) => {
                let mut parts = url.rsplit('/');
                let (name, split) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let within = Path::new(split).join(name);
                if images.join(&within).is_file() { within } else { name.into() }
            }
            (None, None) => {
                return Err(format!("image {}: expected `file_name` or `coco_url`, found none", written.id));
            }
        };
        Ok(Self {
            id: written.id,
            file,
            size: (written.width, written.height),
            absent: written.neg_category_ids.unwrap_or_default(),
            not_exhaustive: written.not_exhaustive_category_ids.unwrap_or_default(),
        })
    }

    /// Whether a picture is the one that was annotated, by its size.
    pub fn check(&self, images: &Path, (width, height): (usize, usize)) -> Result<()> {
        let (w, h) = self.size;
        if (w as usize, h as usize) == (width, height) {
            return Ok(());
        }
        let file = images.join(&self.file);
        Err(Error::BadImage(format!(
            "{}: expected {w} × {h} pixels as the annotations say, found {width} × {height}",
            file.display()
        )))
    }
}

/// Places by ids, which are in order.
fn places(what: &str, ids: impl Iterator<Item = u64>) -> std::result::Result<HashMap<u64, usize>, String> {
    let mut places = HashMap::new();
    for (place, id) in ids.enumerate() {
        if places.insert(id, place).is_some() {
            return Err(format!("{what}: expected ids that differ, found {id} again"));
        }
    }
    if places.is_empty() { Err(format!("{what}: expected at least one, found none")) } else { Ok(places) }
}

impl Segmentation {
    /// The mask in a picture of this width and height.
    pub fn mask(&self, (width, height): (usize, usize)) -> Result<Mask> {
        match self {
            Self::Polygons(polygons) => {
                let points = |polygon: &Vec<f64>| polygon.as_chunks::<2>().0.to_vec();
                Mask::from_polygons(&polygons.iter().map(points).collect::<Vec<_>>(), width, height)
            }
            Self::Runs { size, .. } if *size != [height, width] => Err(bad_input(format!(
                "segmentation: expected run lengths of {height} × {width} pixels, found {} × {}",
                size[0], size[1]
            ))),
            Self::Runs { size, counts: Counts::List(counts) } => Rle { size: *size, counts: counts.clone() }.mask(),
            Self::Runs { size, counts: Counts::Compressed(text) } => Rle::of_compressed(text, *size)?.mask(),
        }
    }
}

/// A data set of pictures in which things were found.
#[derive(Serialize, Default)]
pub struct DataSet {
    images: Vec<Image>,
    categories: Vec<Named>,
    annotations: Vec<Annotation>,
}

#[derive(Serialize)]
struct Image {
    id: usize,
    file_name: String,
    width: usize,
    height: usize,
}

#[derive(Serialize)]
struct Named {
    id: usize,
    name: String,
}

#[derive(Serialize)]
struct Annotation {
    id: usize,
    image_id: usize,
    category_id: usize,
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segmentation: Option<Compressed>,
}

/// Run lengths as COCO's result files have them.
#[derive(Serialize)]
struct Compressed {
    size: [usize; 2],
    counts: String,
}

impl DataSet {
    /// A data set of these categories, whose ids count from 1.
    pub fn new(labels: &[String]) -> Self {
        let named = |(at, label): (usize, &String)| Named { id: at + 1, name: label.clone() };
        Self { categories: labels.iter().enumerate().map(named).collect(), ..Self::default() }
    }

    /// A picture; what is added next is in it.
    pub fn picture(&mut self, file: &Path, (width, height): (usize, usize)) {
        let file_name = file.display().to_string();
        self.images.push(Image { id: self.images.len() + 1, file_name, width, height });
    }

    /// A thing that was found by its box.
    pub fn boxed(&mut self, label: usize, score: Option<f32>, bounds: Bounds) {
        self.push(label, bounds, bounds.area(), score, None);
    }

    /// A thing that was found by its pixels, if there are any.
    pub fn masked(&mut self, label: usize, mask: &Mask) {
        if let Some(bounds) = mask.bounds() {
            let rle = mask.rle();
            let segmentation = Compressed { size: rle.size, counts: rle.compressed() };
            self.push(label, bounds, mask.area() as f64, None, Some(segmentation));
        }
    }

    fn push(&mut self, label: usize, bounds: Bounds, area: f64, score: Option<f32>, segmentation: Option<Compressed>) {
        let Bounds { x, y, width, height } = bounds;
        self.annotations.push(Annotation {
            id: self.annotations.len() + 1,
            image_id: self.images.len(),
            category_id: label + 1,
            bbox: [x, y, width, height],
            area,
            iscrowd: 0,
            score,
            segmentation,
        });
    }
}

/// A detection as the tools of COCO and LVIS read results.
#[derive(Serialize)]
pub struct ResultRow {
    pub image_id: u64,
    pub category_id: u64,
    pub bbox: [f64; 4],
    pub score: f64,
}
