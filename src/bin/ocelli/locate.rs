//! `ocelli detect` and `ocelli segment` with a model that writes where things are (PaliGemma).

use std::{io::ErrorKind, path::Path};

use ocelli::{
    Checkpoint, Result,
    checkpoint::TensorFile,
    config::Towers,
    found::{Located, Locations, MaskDecoder},
    pictures::Picture,
    session::{Form, Options},
    text::Request,
};

use crate::{
    bad_input,
    cli::{Ask, Detail, DetectArgs, Loaded, SegmentArgs, Setup},
    coco::DataSet,
    detect::{self, Detections},
    draw,
    generate::Writer,
    png,
    segment::{self, Masks},
    stream::Unreadable,
};

/// Most tokens of an answer: a hundred boxes, or forty masks. A model that does not know what it was asked may never end.
const MOST: usize = 1024;

/// A model, and what is asked of it.
struct Locator<'a> {
    writer: Writer,
    options: Options,
    ask: &'a Ask,
    labels: Vec<String>,
    /// The labels as the model gets them.
    prompts: Vec<String>,
}

/// Whether the model in this folder writes where things are.
pub fn writes(folder: &Path) -> Result<bool> {
    Ok(Checkpoint::open_towers(folder, Towers::Both)?.config.locates())
}

impl<'a> Locator<'a> {
    async fn load(setup: &Setup, model: &Path, ask: &'a Ask) -> Result<Self> {
        let labels = ask.labels.list()?;
        let prompts = ask.prompts(&labels)?;
        let loaded = Loaded { format: ask.format, detail: Detail::Auto };
        let writer = Writer::load(setup, model, loaded, true).await?;
        let stops = writer.stops(false)?;
        let options = Options { max_tokens: Some(MOST), stops, ..Options::default() };
        Ok(Self { writer, options, ask, labels, prompts })
    }

    /// What the model says of picture `at`, each with the place of its label among the `asked`. What is no box, or has a name that was
    /// not asked for, is named on stderr.
    async fn locate(
        &self,
        at: usize,
        picture: &Picture,
        request: &Request,
        asked: &[String],
    ) -> Result<Vec<(usize, Located)>> {
        let mut seen = self.writer.see(std::slice::from_ref(picture))?;
        let prompt = self.writer.request(request, &seen)?;
        let written = self.writer.write(&mut seen, &prompt, self.options.clone(), &Form::Any, |_| Ok(())).await?;
        let Locations { found, rejected } = Locations::parse(&self.writer.spelled(&written.tokens)?);
        let note = |what: &str, why: &str| {
            eprintln!("ocelli: note: {}: {what:?}: {why}, and is left out", self.ask.images[at].display());
        };
        rejected.iter().for_each(|part| note(part, "this is no box"));
        let named = |one: Located| {
            let label = one.index(asked);
            if label.is_none() {
                note(&one.label, "this was not asked for");
            }
            Some((label?, one))
        };
        Ok(found.into_iter().filter_map(named).collect())
    }
}

pub async fn detect(json: bool, setup: &Setup, args: &DetectArgs) -> Result<Vec<Unreadable>> {
    let locator = Locator::load(setup, &args.model, &args.ask).await?;
    let (labels, prompts) = (&locator.labels, &locator.prompts);
    let request = Request::Detect(prompts.clone());
    let mut data_set = DataSet::new(labels);
    let each = async |at: usize, picture: Picture| {
        let size = (picture.size().0 as u32, picture.size().1 as u32);
        let mut found = locator.locate(at, &picture, &request, prompts).await?;
        found.truncate(args.top_k.map_or(usize::MAX, Into::into));
        data_set.picture(&args.ask.images[at], picture.size());
        found.iter().for_each(|(label, one)| data_set.boxed(*label, None, one.bounds(size)));
        if let Some(path) = &args.ask.draw {
            let mut canvas = draw::canvas(&picture);
            found.iter().rev().for_each(|(label, one)| draw::frame(&mut canvas, *label, one.bounds(size)));
            png::save_png(path, canvas)?;
        }
        let row = |(index, one): (usize, Located)| detect::Found {
            label: labels[index].clone(),
            index,
            score: None,
            token: None,
            bounds: args.bounds(one.bounds(size), size),
        };
        Ok(Detections { detections: found.into_iter().map(row).collect() })
    };
    let (rows, unreadable) = args.ask.rows(&[], each).await?;
    args.print(json, &rows, &[], &data_set)?;
    Ok(unreadable)
}

pub async fn segment(json: bool, setup: &Setup, args: &SegmentArgs) -> Result<Vec<Unreadable>> {
    if args.logits.is_some() {
        return Err(bad_input("--logits: expected a model with a head for masks, found one that writes them"));
    }
    let decoder = mask_decoder(&args.model)?;
    let locator = Locator::load(setup, &args.model, &args.ask).await?;
    let (labels, prompts) = (&locator.labels, &locator.prompts);
    let mut data_set = DataSet::new(labels);
    let each = async |at: usize, picture: Picture| {
        let size = (picture.size().0 as u32, picture.size().1 as u32);
        let (mut rows, mut masks, mut boxes) = (Vec::new(), Vec::new(), Vec::new());
        data_set.picture(&args.ask.images[at], picture.size());
        for (index, prompt) in prompts.iter().enumerate() {
            let asked = std::slice::from_ref(prompt);
            for (_, one) in locator.locate(at, &picture, &Request::Segment(prompt.clone()), asked).await? {
                let square = decoder.as_ref().and_then(|decoder| one.square(decoder));
                let mask = square.and_then(|square| one.mask(&square, size));
                let bounds = mask.as_ref().map_or_else(|| Some(one.bounds(size)), |mask| mask.bounds());
                rows.push(segment::Found {
                    label: labels[index].clone(),
                    index,
                    area: mask.as_ref().map(|mask| mask.area()),
                    bounds,
                    rle: mask.as_ref().map(|mask| mask.rle()),
                });
                match mask {
                    Some(mask) => {
                        data_set.masked(index, &mask);
                        masks.push((index, mask));
                    }
                    None => {
                        data_set.boxed(index, None, one.bounds(size));
                        boxes.push((index, one.bounds(size)));
                    }
                }
            }
        }
        args.save(&args.ask.images[at], &picture, &masks, &boxes)?;
        Ok(Masks { masks: rows })
    };
    let (rows, unreadable) = args.ask.rows(&[], each).await?;
    args.ask.print(json, &rows, &[], &data_set, || segment::text(&rows, args.ask.draw.is_some()))?;
    Ok(unreadable)
}

/// The decoder of masks beside a model; without one its answers are boxes.
fn mask_decoder(folder: &Path) -> Result<Option<MaskDecoder>> {
    let path = folder.join(MaskDecoder::FILE);
    let name = path.display().to_string();
    match std::fs::read(&path) {
        Ok(bytes) => {
            let file = TensorFile::parse(&name, bytes)?;
            MaskDecoder::load(|name, shape| file.floats(name, shape)).map(Some)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!(
                "ocelli: note: {name}: no such file, so that there are boxes and no masks: make it of vae-oid.npz"
            );
            Ok(None)
        }
        Err(error) => Err(bad_input(format!("{name}: {error}"))),
    }
}
