//! Manifests of labelled pictures, and what all manifests share. `docs/EVALUATION.md` describes them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use ocelli::{Result, scores::fill};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{bad_input, text_file};

/// A result whose error does not name the manifest yet.
pub type Checked<T> = std::result::Result<T, String>;

/// The shipped sets of templates.
const SHIPPED: &str = include_str!("../../../data/templates.json");
/// The default set of templates.
const DEFAULT: &str = "plain";
/// Extensions of the files that count as pictures in a class's folder.
const ENDINGS: [&str; 11] = ["png", "apng", "jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "webp", "gif", "bmp"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelledFile {
    #[serde(default, rename = "about")]
    _about: String,
    images: Option<PathBuf>,
    templates: Option<Templates>,
    classes: Vec<Class>,
    pictures: Option<Vec<LabelledPicture>>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged, expecting = "templates: expected the name of a shipped set, or a list of texts with {} in each")]
enum Templates {
    Name(String),
    List(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    name: String,
    folder: Option<PathBuf>,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelledPicture {
    file: PathBuf,
    class: String,
}

/// A list of templates, and what it is called.
#[derive(Debug, PartialEq)]
pub struct TemplateSet {
    pub name: String,
    pub texts: Vec<String>,
}

impl TemplateSet {
    /// Every name in every template.
    pub fn prompts(&self, names: &[String]) -> Result<Vec<String>> {
        names.iter().flat_map(|name| self.texts.iter().map(move |template| fill(Some(template), name))).collect()
    }
}

/// The manifest of `ocelli eval`: labelled pictures.
pub struct Labelled {
    pub images: PathBuf,
    pub templates: TemplateSet,
    /// Unique names of the classes for display: the name, and the folder where two classes share a name.
    pub labels: Vec<String>,
    /// Names of each class for prompts; one or more.
    pub names: Vec<Vec<String>>,
    /// Files as written, relative to `images`.
    pub files: Vec<PathBuf>,
    /// The class of each file, by index.
    pub classes: Vec<usize>,
    /// Files in the classes' folders that are not pictures by their endings.
    pub passed_over: usize,
}

impl Labelled {
    /// Reads a manifest; `images` and `templates` (a shipped set or a file) go before its own. Without a manifest, each folder in
    /// `images` is a class.
    pub fn read(path: Option<&Path>, images: Option<&Path>, templates: Option<&str>) -> Result<Self> {
        let (path, file) = match (path, images) {
            (Some(path), _) => (path, parse(path, "a manifest with `classes`")?),
            (None, Some(images)) => (images, LabelledFile::of_folders(images)?),
            (None, None) => return Err(bad_input("expected --manifest, or --images with a folder for each class")),
        };
        let bad = |what: String| bad_input(format!("{}: {what}", path.display()));
        let images = folder(path, images, file.images.as_deref())?;
        let templates = match (templates, &file.templates) {
            (Some(word), _) => template_set(word)?,
            (None, Some(Templates::Name(name))) => shipped(name).map_err(|e| bad(e.to_string()))?,
            (None, Some(Templates::List(texts))) => checked("the manifest's", texts).map_err(|e| bad(e.to_string()))?,
            (None, None) => shipped(DEFAULT)?,
        };
        let labels = labels(&file.classes).map_err(bad)?;
        let (mut files, mut classes, mut passed_over) = (Vec::new(), Vec::new(), 0);
        if let Some(pictures) = &file.pictures {
            let find = finder(&file.classes);
            for (at, picture) in pictures.iter().enumerate() {
                let class =
                    find(&picture.class).map_err(|e| bad(format!("pictures[{at}], {:?}: {e}", picture.file)))?;
                files.push(picture.file.clone());
                classes.push(class);
            }
        } else {
            for (class, Class { name, folder, .. }) in file.classes.iter().enumerate() {
                let folder = folder.as_ref().ok_or_else(|| {
                    bad(format!("expected `pictures`, or a `folder` for each class, found neither for {name:?}"))
                })?;
                let (found, others) = list(&images, folder)?;
                passed_over += others;
                classes.resize(classes.len() + found.len(), class);
                files.extend(found);
            }
        }
        once(&files).map_err(bad)?;
        let names = file.classes.into_iter().map(|c| once_each([vec![c.name], c.names].concat())).collect();
        Ok(Self { images, templates, labels, names, files, classes, passed_over })
    }

    /// Keeps `limit` pictures, spread evenly over the list.
    pub fn limit(&mut self, limit: usize) {
        self.files = spread(&self.files, limit);
        self.classes = spread(&self.classes, limit);
    }
}

impl LabelledFile {
    /// One class for each folder, called as the folder is; what begins with a dot, or was left behind by a Mac, is none.
    fn of_folders(images: &Path) -> Result<Self> {
        let bad =
            |e: &dyn std::fmt::Display| bad_input(format!("{}: expected folders with pictures: {e}", images.display()));
        let mut classes = Vec::new();
        for entry in fs::read_dir(images).map_err(|e| bad(&e))? {
            let folder = PathBuf::from(entry.map_err(|e| bad(&e))?.file_name());
            let name = folder.to_string_lossy().into_owned();
            if images.join(&folder).is_dir() && !name.starts_with('.') && name != "__MACOSX" {
                classes.push(Class { name, folder: Some(folder), names: Vec::new() });
            }
        }
        classes.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(Self { _about: String::new(), images: None, templates: None, classes, pictures: None })
    }
}

/// The file of annotations in COCO's, LVIS's or PhraseCut's layout, and the folder of its pictures: the file's own unless it is given.
pub fn annotations<'a>(path: Option<&'a Path>, images: Option<&Path>) -> Result<(&'a Path, PathBuf)> {
    let path = path.ok_or_else(|| bad_input("expected --annotations with what is in the pictures, found none"))?;
    Ok((path, folder(path, images, None)?))
}

/// The set that `word` names, or the JSON list in the file `word`.
pub fn template_set(word: &str) -> Result<TemplateSet> {
    if let Ok(set) = shipped(word) {
        return Ok(set);
    }
    if !Path::new(word).is_file() {
        return Err(bad_input(format!("templates: expected a file or one of {}, found {word:?}", shipped_names())));
    }
    checked(word, &parse::<Vec<String>>(Path::new(word), "a list of texts with {} in each")?)
}

fn shipped(name: &str) -> Result<TemplateSet> {
    let mut sets = all_shipped();
    let texts = sets
        .remove(name)
        .ok_or_else(|| bad_input(format!("templates: expected one of {}, found {name:?}", shipped_names())))?;
    checked(name, &texts)
}

fn all_shipped() -> BTreeMap<String, Vec<String>> {
    serde_json::from_str(SHIPPED).expect("tests/cli/eval.rs reads it")
}

fn shipped_names() -> String {
    all_shipped().into_keys().collect::<Vec<_>>().join(", ")
}

fn checked(name: &str, texts: &[String]) -> Result<TemplateSet> {
    if texts.is_empty() {
        return Err(bad_input(format!("{name} templates: expected at least one, found none")));
    }
    for text in texts {
        // The rule, and the message, of `ocelli classify`.
        fill(Some(text), "")?;
    }
    Ok(TemplateSet { name: name.into(), texts: texts.to_vec() })
}

pub fn parse<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T> {
    serde_json::from_str(&text_file::read(path)?).map_err(|e| {
        bad_input(format!("{}: expected {expected}, found: {e}; docs/EVALUATION.md has an example", path.display()))
    })
}

/// The folder of the pictures: as given, or as the manifest says, relative to itself.
pub fn folder(manifest: &Path, given: Option<&Path>, own: Option<&Path>) -> Result<PathBuf> {
    let beside = manifest.parent().unwrap_or(Path::new(""));
    let folder = given.map_or_else(|| beside.join(own.unwrap_or(Path::new(""))), Path::to_path_buf);
    // A manifest in the current folder has the parent "".
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(bad_input(format!(
        "{}: expected a folder with the pictures, found none: say where they are with --images",
        folder.display()
    )))
}

fn labels(classes: &[Class]) -> Checked<Vec<String>> {
    if classes.len() < 2 {
        return Err(format!("classes: expected at least two to choose from, found {}", classes.len()));
    }
    let mut count = HashMap::new();
    classes.iter().for_each(|c| *count.entry(c.name.as_str()).or_insert(0) += 1);
    let label = |class: &Class| match (&class.folder, count[class.name.as_str()]) {
        (Some(folder), 2..) => format!("{} ({})", class.name, folder.display()),
        _ => class.name.clone(),
    };
    let labels: Vec<String> = classes.iter().map(label).collect();
    let (mut seen, mut folders) = (HashSet::new(), HashSet::new());
    for (label, class) in labels.iter().zip(classes) {
        if class.name.trim().is_empty() || class.names.iter().any(|n| n.trim().is_empty()) {
            return Err(format!("classes: expected a name, found {:?}", class.name));
        }
        if !seen.insert(label) || class.folder.as_ref().is_some_and(|f| !folders.insert(f)) {
            return Err(format!("classes: expected each name or folder once, found {label:?} again"));
        }
    }
    Ok(labels)
}

/// Finds a class by its folder, or by a name that no other class has.
fn finder(classes: &[Class]) -> impl Fn(&str) -> Checked<usize> {
    let (mut by_folder, mut by_name) = (HashMap::<&Path, usize>::new(), HashMap::<&str, Vec<usize>>::new());
    for (at, class) in classes.iter().enumerate() {
        by_name.entry(&class.name).or_default().push(at);
        by_folder.extend(class.folder.as_deref().map(|folder| (folder, at)));
    }
    let of = classes.len();
    move |word| match (by_folder.get(Path::new(word)), by_name.get(word).map(Vec::as_slice)) {
        (Some(&at), _) | (None, Some(&[at])) => Ok(at),
        (None, Some(several)) => Err(format!("{} classes are called {word:?}: write the folder", several.len())),
        (None, None) => Err(format!("expected one of the {of} classes, found {word:?}")),
    }
}

/// The pictures of a class in its folder and the folders in there, sorted, and how many other files there are.
fn list(images: &Path, folder: &Path) -> Result<(Vec<PathBuf>, usize)> {
    let path = images.join(folder);
    let bad = |e: &dyn std::fmt::Display| {
        bad_input(format!(
            "{}: expected the pictures of one class, found: {e}; is {} the right --images?",
            path.display(),
            images.display()
        ))
    };
    let (mut found, mut others) = (Vec::new(), 0);
    let (mut folders, mut seen) = (vec![folder.to_path_buf()], HashSet::new());
    while let Some(folder) = folders.pop() {
        let path = images.join(&folder);
        // Links may lead in a circle.
        if !seen.insert(path.canonicalize().map_err(|e| bad(&e))?) {
            continue;
        }
        for entry in fs::read_dir(&path).map_err(|e| bad(&e))? {
            let file = folder.join(entry.map_err(|e| bad(&e))?.file_name());
            if images.join(&file).is_dir() {
                folders.push(file);
            } else if is_picture(&file) {
                found.push(file);
            } else {
                others += 1;
            }
        }
    }
    if found.is_empty() {
        return Err(bad(&"no picture"));
    }
    found.sort();
    Ok((found, others))
}

/// By its name: the ending counts, and what Macs put beside a file on foreign disks (`._NAME`) is no picture.
fn is_picture(file: &Path) -> bool {
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let companion = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"._"));
    !companion && ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

pub fn once(files: &[PathBuf]) -> Checked<()> {
    if files.is_empty() {
        return Err("pictures: expected at least one, found none".into());
    }
    let mut seen = HashSet::new();
    match files.iter().find(|file| !seen.insert(*file)) {
        Some(file) => Err(format!("pictures: expected each file once, found {file:?} again")),
        None => Ok(()),
    }
}

fn once_each(names: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// `limit` of the items, in their order.
pub fn spread<T: Clone>(items: &[T], limit: usize) -> Vec<T> {
    spread_places(items.len(), limit).map(|at| items[at].clone()).collect()
}

/// `limit` of so many places, as evenly as it goes, ascending.
pub fn spread_places(count: usize, limit: usize) -> impl Iterator<Item = usize> {
    let limit = limit.min(count);
    (0..limit).map(move |at| at * count / limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_takes_from_everywhere() {
        let items: Vec<usize> = (0..10).collect();
        assert_eq!(spread(&items, 3), [0, 3, 6]);
        assert_eq!(spread(&items, 99), items);
    }

    #[test]
    fn names_may_be_shared_but_folders_not() {
        let class = |name: &str, folder: Option<&str>| Class {
            name: name.into(),
            folder: folder.map(Into::into),
            names: Vec::new(),
        };
        let shared = [class("a", Some("1")), class("a", Some("2")), class("b", Some("3"))];
        assert_eq!(labels(&shared).expect("labels"), ["a (1)", "a (2)", "b"]);
        let find = finder(&shared);
        assert_eq!((find("b"), find("2"), find("3")), (Ok(2), Ok(1), Ok(2)));
        assert!(find("a").is_err_and(|e| e.contains("write the folder")));
        assert!(find("c").is_err_and(|e| e.contains("3 classes")));
        assert!(labels(&[class("a", None), class("a", None)]).is_err());
        assert!(labels(&[class("a", Some("1")), class("b", Some("1"))]).is_err());
        assert!(labels(&[class("a", None), class(" ", None)]).is_err());
        assert!(labels(&[class("a", None)]).is_err());
    }
}
