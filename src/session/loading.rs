//! A session on its way: everything is there but the weights, which come in pieces, from a disk or from a network.

use std::{cell::RefCell, ops::Range};

use super::{
    Session,
    language::Language,
    masks::{Decoder, Prompter},
    run::{BATCH, Naflex, TextTower, Tower, VisionTower, lacks, pictures},
    scene::Look,
    sight::{Sight, most_tokens},
    table::{Rows, Table, TableIn},
};
use crate::{
    backend::Backend,
    checkpoint::{Checkpoint, manifest::Hash},
    config::{Alpha, Config, Towers, WRITES},
    error::{Error, Result},
    gpu::{Gpu, Tier, Tuning},
    kernels::Run,
    model::{self, Model, PicturePrompt},
    plan::Plan,
    quant::{Format, Packed},
    threads::Threads,
    tokens::Tokenize,
    weights::{Computed, HostStore, Loader, PackedForm, Piece, Store, Weight, pieces, put, put_packed},
};

/// How a model is loaded.
pub struct LoadOptions<'a> {
    /// Which towers.
    pub towers: Towers,
    /// How matrices are kept on the device; none keeps them as the files have them.
    pub format: Option<Format>,
    /// The tiers to compute in.
    pub tuning: Tuning,
    /// Where the token table stays.
    pub table: TableIn,
    /// What becomes of transparent pixels.
    pub alpha: Alpha,
    /// Most pictures or texts in one submission.
    pub batch: u32,
    /// Side of the square that OWLv2 or CLIPSeg sees, in pixels; none takes the checkpoint's own. Smaller is faster.
    pub canvas: Option<usize>,
    /// Whether CLIPSeg takes pictures as prompts, too: that needs its whole picture tower.
    pub picture_prompts: bool,
    /// Most tokens of a prompt and what is written after it; none takes the model's own, but at most [`CONTEXT`], or what one picture
    /// needs.
    pub context: Option<usize>,
    /// Most patches of a NaFlex picture; none takes the checkpoint's own number.
    pub max_patches: Option<usize>,
    /// Without one, texts have to come as token ids; [`Session::load`] takes the checkpoint's own.
    pub tokenizer: Option<Box<dyn Tokenize>>,
    /// Is told of bytes as [`Session::load`] reads them.
    pub progress: Option<&'a dyn Fn(u64)>,
}

/// Tokens that there is room for unless more are asked for: each costs memory.
pub const CONTEXT: usize = 4096;

/// There is room for a picture in all its detail in any case, and so many tokens of texts beside it.
const BESIDE: usize = 1024;

impl Default for LoadOptions<'_> {
    /// Both towers as stored, in the plain tier.
    fn default() -> Self {
        Self {
            towers: Towers::Both,
            format: None,
            tuning: Tuning::all(Tier::Plain),
            table: TableIn::Memory,
            alpha: Alpha::default(),
            batch: BATCH,
            canvas: None,
            picture_prompts: false,
            context: None,
            max_patches: None,
            tokenizer: None,
            progress: None,
        }
    }
}

impl LoadOptions<'_> {
    /// The config with what these options say of pictures.
    fn applied_to(&self, mut config: Config) -> Result<Config> {
        config.preprocessor.alpha = self.alpha;
        if let Some(most) = self.max_patches {
            config.preprocessor = config.preprocessor.with_max_patches(most)?;
        }
        if let Ok(generator) = config.generator() {
            let most = generator.decoder.context;
            config.text.tokens = match self.context {
                Some(tokens) if !(2..=most).contains(&tokens) => {
                    return Err(Error::BadInput(format!("context: expected 2 to {most} tokens, found {tokens}")));
                }
                Some(tokens) => tokens,
                None => most.min(CONTEXT.max(most_tokens(&config) + BESIDE)),
            };
        }
        match self.canvas {
            Some(side) => config.with_canvas(side),
            None => Ok(config),
        }
    }
}

/// A model whose plans are recorded and compiled, and whose weights are still to come.
pub struct Loading<B: Backend = Gpu> {
    config: Config,
    format: Format,
    tuning: Tuning,
    parameters: u64,
    note: Option<String>,
    model: Model,
    tokenizer: Option<Box<dyn Tokenize>>,
    vision: Option<B::Executor>,
    look: Option<B::Executor>,
    decoder: Option<B::Executor>,
    prompter: Option<(B::Executor, PicturePrompt)>,
    text: Option<B::Executor>,
    language: Option<B::Executor>,
    reader: Option<B::Executor>,
    sight: Option<B::Executor>,
    computed: Vec<Computed>,
    pieces: Vec<(Place, Piece)>,
    /// Of the tensor files that the manifest lists.
    hashes: Vec<Option<Hash>>,
    host: HostStore,
    /// The token table, if it stays in its file.
    table: Option<Weight>,
    weights: B::Weights,
    /// Last, so that buffers go first.
    device: B,
}

#[derive(Clone, Copy)]
enum Place {
    Device,
    Host,
}

impl<B: Backend> Loading<B> {
    /// Checks the checkpoint's headers against its config, makes room on the device and compiles the kernels.
    ///
    /// # Errors
    /// Whatever is wrong with the checkpoint, or [`crate::Error::Gpu`] if the GPU has no room.
    pub fn new(device: B, checkpoint: &Checkpoint, options: LoadOptions) -> Result<Self> {
        let config = options.applied_to(checkpoint.config.clone())?;
        let LoadOptions { towers, format, tuning, table, batch, .. } = options;
        let mut loader = Loader::new(checkpoint, format)?;
        let towers = checkpoint.towers.and(towers).ok_or_else(|| lacks(checkpoint.towers, towers))?;
        let mut model = model::record(&config, towers, &mut loader)?;
        let mut prompter = match options.picture_prompts && towers.vision() {
            true => model::picture_prompt(&config, &mut loader)?,
            false => None,
        };
        let note = model::note(checkpoint);
        let parameters = loader.entries.iter().map(|e| e.shape.iter().product::<usize>() as u64).sum();

        let mut weights = B::Weights::default();
        let mut store = device.model_store(&mut weights);
        for w in &loader.weights {
            w.make_room(store.as_mut())?;
        }
        drop(store);
        let compile_in = |tuning: &Tuning, plan: &mut Plan, most: Run, states: &mut B::States| {
            let plan = std::mem::take(plan);
            let most = Run { batch: device.capacity(&plan, most)?, ..most };
            device.compile(plan, &weights, tuning, most, states)
        };
        let compile = |plan: &mut Plan, most: Run| compile_in(&tuning, plan, most, &mut B::States::default());
        let (pictures, texts) = (pictures(&config, batch), Run::tokens(batch, config.text.tokens as u32));
        let vision = model.vision.as_mut().map(|tower| compile(&mut tower.plan, pictures)).transpose()?;
        let look = model.look.as_mut().map(|tower| compile(&mut tower.plan, Run::items(1))).transpose()?;
        let decoder = model.decoder.as_mut().map(|part| compile(&mut part.plan, Run::items(batch))).transpose()?;
        let prompter_plan = prompter.as_mut().map(|rest| compile(&mut rest.plan, Run::items(1))).transpose()?;
        let text = model.text.as_mut().map(|tower| compile(&mut tower.plan, texts)).transpose()?;
        let full_range = tuning.without_half();
        let mut states = B::States::default();
        let mut write = |plan: &mut Plan, most: Run| compile_in(&full_range, plan, most, &mut states);
        let language = model.language.as_mut().filter(|_| WRITES);
        let language = language.map(|part| write(&mut part.plan, Language::<B>::most(&config))).transpose()?;
        let reader = model.language.as_mut().filter(|_| WRITES).and_then(|part| part.reader.as_mut());
        let reader = reader.map(|part| write(&mut part.plan, Run { batch: 1, ..texts })).transpose()?;
        let sight = model.pictures.as_mut().filter(|_| WRITES);
        let sight = sight.map(|part| compile(&mut part.plan, Run::items(1))).transpose()?;

        let on_device = pieces(&loader.weights).into_iter().map(|piece| (Place::Device, piece));
        // A table that stays in its file takes no room here; its place among the others is kept by an empty one.
        let mut left_out = None;
        if let (TableIn::File, Some(tower)) = (table, &model.text) {
            let empty = Weight::empty();
            left_out = Some(std::mem::replace(&mut loader.host[tower.table.0], empty));
        }
        let on_host = pieces(&loader.host).into_iter().map(|piece| (Place::Host, piece));
        let mut pieces: Vec<(Place, Piece)> = on_device.chain(on_host).collect();
        pieces.sort_by_key(|(_, piece)| (piece.slice.file, piece.slice.bytes.start));
        Ok(Self {
            format: named_format(checkpoint, format).unwrap_or_else(|| prevailing_format(&loader.weights)),
            tuning,
            parameters,
            note,
            host: HostStore::new(&loader.host),
            config,
            model,
            tokenizer: options.tokenizer,
            vision,
            look,
            decoder,
            prompter: prompter_plan.zip(prompter),
            text,
            language,
            reader,
            sight,
            computed: loader.computed,
            pieces,
            hashes: checkpoint.hashes()?,
            table: left_out,
            weights,
            device,
        })
    }

    /// What is needed of the tensor files, in the order in which it lies there: the file's place in [`Checkpoint::files`] and a
    /// range of its bytes.
    pub fn pieces(&self) -> impl ExactSizeIterator<Item = (usize, Range<u64>)> {
        self.pieces.iter().map(|(_, piece)| (piece.slice.file, piece.slice.bytes.clone()))
    }

    /// In what form each piece can be kept, if that is not the file's.
    pub fn packed_forms(&self) -> impl Iterator<Item = Option<PackedForm>> {
        self.pieces.iter().map(|(_, piece)| self.packed_form(piece))
    }

    /// Files that the manifest lists are kept as they are: a later load judges them again, by their own bytes.
    fn packed_form(&self, piece: &Piece) -> Option<PackedForm> {
        piece.packed_form().filter(|_| self.hashes[piece.slice.file].is_none())
    }

    /// Takes the bytes of a piece, in any order. Returns its packed form, if it has one.
    ///
    /// # Errors
    /// [`crate::Error::BadCheckpoint`] that names file and tensor.
    pub fn put(&mut self, checkpoint: &Checkpoint, index: usize, bytes: &[u8]) -> Result<Option<Packed>> {
        let (_, piece) = &self.pieces[index];
        let form = self.packed_form(piece);
        // A file of which only parts are needed cannot be judged.
        if let Some(hash) = self.hashes[piece.slice.file].as_mut().filter(|hash| hash.length == piece.slice.bytes.start)
        {
            hash.update(bytes);
        }
        let packed = self.with_store(index, |piece, threads, store| put(checkpoint, piece, bytes, threads, store))?;
        Ok(packed.filter(|_| form.is_some()))
    }

    /// Takes a piece in its packed form, in place of its bytes.
    pub fn put_packed(&mut self, index: usize, bytes: &[u8]) {
        self.with_store(index, |piece, _, store| put_packed(piece, bytes, store));
    }

    fn with_store<R>(&mut self, index: usize, work: impl FnOnce(&Piece, &Threads, &mut dyn Store) -> R) -> R {
        let (place, piece) = &self.pieces[index];
        let store: &mut dyn Store = match place {
            Place::Device => &mut *self.device.model_store(&mut self.weights),
            Place::Host => &mut self.host,
        };
        work(piece, self.device.threads(), store)
    }

    /// The session, once every piece was put.
    ///
    /// # Errors
    /// [`crate::Error::BadCheckpoint`] if a tensor file is not what the manifest says.
    pub fn finish(mut self, checkpoint: &Checkpoint) -> Result<Session<B>> {
        checkpoint.check_hashes(&self.hashes)?;
        let mut store = self.device.model_store(&mut self.weights);
        self.computed.iter().try_for_each(|computed| computed.put(&self.host.weights, store.as_mut()))?;
        drop(store);
        let scalar = |id: crate::weights::HostId| self.host.weights[id.0].row(0)[0];
        let log_scale = self.model.logit_scale.map_or(0.0, scalar);
        let logit_bias = self.model.logit_bias.map_or(0.0, scalar);
        let mut hash = checkpoint.hash.clone();
        [log_scale, logit_bias].iter().for_each(|number| hash.update(&number.to_le_bytes()));
        let vision = self.vision.zip(self.model.vision).map(|(plan, tower)| VisionTower {
            tower: Tower { plan, output: tower.embedding },
            pixels: tower.pixels,
            naflex: tower.naflex.map(|inputs| Naflex {
                inputs,
                positions: self.host.weights[inputs.positions.0].row(0),
                patch: self.config.vision.patch_size,
                hidden: self.config.vision.encoder.hidden,
            }),
        });
        let look = self.look.zip(self.model.look).map(|(plan, tower)| Look::new(plan, tower));
        let decoder = self.decoder.zip(self.model.decoder).map(|(plan, part)| Decoder::new(plan, part));
        let prompter = self.prompter.map(|(plan, rest)| Prompter { plan, tokens: rest.tokens, prompt: rest.prompt });
        let reader = self.reader;
        let language = self.language.zip(self.model.language).filter(|_| WRITES);
        let language = language.map(|(plan, model)| Language::new(plan, reader, model));
        let sight = self.sight.zip(self.model.pictures).filter(|_| WRITES).map(|(plan, model)| {
            let newline = model.newline.map(|id| self.host.weights[id.0].row(0));
            Sight::new(plan, model, newline)
        });
        let text = self.text.zip(self.model.text).map(|(plan, tower)| TextTower {
            tower: Tower { plan, output: tower.embedding },
            tokens: tower.tokens,
            index: tower.index,
            positions: self.host.weights[tower.positions.0].row(0),
            table: match self.table {
                Some(weight) => Table::File(Rows { weight, here: RefCell::default() }),
                None => Table::Memory(self.host.weights.swap_remove(tower.table.0)),
            },
            tokenizer: self.tokenizer,
        });
        Ok(Session {
            config: self.config,
            logit_scale: log_scale.exp(),
            logit_bias,
            model_hash: hash.hex(),
            format: self.format,
            tuning: self.tuning,
            parameters: self.parameters,
            note: self.note,
            vision,
            look,
            decoder,
            prompter,
            text,
            language,
            sight,
            resizer: RefCell::new(None),
            _weights: self.weights,
            device: self.device,
        })
    }
}

/// What the model's format is called, if it was asked for or says so itself: not every matrix is kept in it.
fn named_format(checkpoint: &Checkpoint, wanted: Option<Format>) -> Option<Format> {
    wanted.or_else(|| Format::from_name(checkpoint.quantized.as_deref()?))
}

/// How most weights are kept.
fn prevailing_format(weights: &[Weight]) -> Format {
    let count =
        |format: &Format| weights.iter().filter(|w| w.format == *format).map(|w| w.rows * w.cols).sum::<usize>();
    Format::ALL.into_iter().max_by_key(count).expect("there are formats")
}
