//! DaViT and Florence-2's way out of it, as transformers' `modeling_florence2.py` names and computes them.

use super::{
    block::{Linear, Norm},
    pictures::PictureTokens,
};
use crate::{
    config::{Activation, Config, Connector, Davit, Generator, Mask, Pictures, Stage},
    error::Result,
    kernels::{
        ActId, AddShared, Attention, ChannelMix, ChannelScores, Channels, Depthwise, Keys, Matmul, Operand, Patchify,
        PrependMean, Queries, Rows, Taps, Unfold, VectorRef, Windows,
    },
    plan::Plan,
    weights::{Loader, MAX_BINDING},
};

const ONE: Rows = Rows::PerItem(1);
const EPS: f32 = 1e-5;
const TOWER: &str = "model.vision_tower";
const PROJECTOR: &str = "model.multi_modal_projector";

/// A convolution of each column by itself.
struct Convolution {
    weight: VectorRef,
    bias: VectorRef,
}

impl Convolution {
    fn load(l: &mut Loader, prefix: &str, dim: usize) -> Result<Self> {
        let weight = l.vector(&format!("{prefix}.weight"), &[dim, 1, 3, 3])?;
        Ok(Self { weight, bias: l.vector(&format!("{prefix}.bias"), &[dim])? })
    }
}

/// What mixes windows, or channels: the same but for the attention.
struct Half {
    name: String,
    conv1: Convolution,
    norm1: Norm,
    qkv: Linear,
    proj: Linear,
    conv2: Convolution,
    norm2: Norm,
    /// Both layers, as several of which each has a part of the hidden layer.
    mlp: Vec<[Linear; 2]>,
}

/// Parts of a stage's MLP, so that the hidden layer of one is at most so many bytes.
fn parts_of(stage: &Stage, grid: usize, most: usize) -> usize {
    (grid * grid * stage.intermediate * 4).div_ceil(most).max(1)
}

/// The MLP in so many parts. The second layer's columns are no rows of the file: they are copied.
fn load_mlp(l: &mut Loader, prefix: &str, stage: &Stage, parts: usize) -> Result<Vec<[Linear; 2]>> {
    let (dim, wide) = (stage.dim, stage.intermediate);
    let names = ["fc1", "fc2"].map(|layer| format!("{prefix}.ffn.{layer}"));
    if parts == 1 {
        let [first, second] = &names;
        return Ok(vec![[Linear::load(l, first, wide, dim)?, Linear::load(l, second, dim, wide)?]]);
    }
    let each = wide.div_ceil(parts);
    let [weights, biases] = ["weight", "bias"].map(|what| names.clone().map(|name| format!("{name}.{what}")));
    let mut all = Vec::new();
    for start in (0..wide).step_by(each) {
        let part = start..(start + each).min(wide);
        let first = Linear {
            weight: l.matrix_part(&weights[0], &[wide, dim], part.clone())?,
            bias: Some(l.vector_part(&biases[0], wide, part.clone())?),
        };
        let shape = [dim, part.len()];
        let columns = move |w: &[f32]| w.chunks_exact(wide).flat_map(|row| &row[part.clone()]).copied().collect();
        let second = Linear {
            weight: l.matrix_from(&weights[1], &[dim, wide], shape, columns)?,
            bias: if start == 0 { Some(l.vector(&biases[1], &[dim])?) } else { None },
        };
        all.push([first, second]);
    }
    Ok(all)
}

impl Half {
    fn load(l: &mut Loader, block: &str, [half, attention]: [&str; 2], stage: &Stage, parts: usize) -> Result<Self> {
        let (prefix, dim) = (format!("{block}.{half}_block"), stage.dim);
        let name = |name: &str| format!("{prefix}.{name}");
        Ok(Self {
            name: half.into(),
            conv1: Convolution::load(l, &name("conv1"), dim)?,
            norm1: Norm::load(l, &name("norm1"), dim, EPS)?,
            qkv: Linear::load(l, &name(&format!("{attention}.qkv")), 3 * dim, dim)?,
            proj: Linear::load(l, &name(&format!("{attention}.proj")), dim, dim)?,
            conv2: Convolution::load(l, &name("conv2"), dim)?,
            norm2: Norm::load(l, &name("norm2"), dim, EPS)?,
            mlp: load_mlp(l, &prefix, stage, parts)?,
        })
    }
}

/// A stage's weights.
struct Loaded {
    conv: Linear,
    norm: Norm,
    blocks: Vec<[Half; 2]>,
}

impl Loaded {
    fn load(l: &mut Loader, at: usize, stage: &Stage, inputs: usize, parts: usize) -> Result<Self> {
        let conv = format!("{TOWER}.convs.{at}");
        let block = |i: usize, l: &mut Loader| {
            let block = format!("{TOWER}.blocks.{at}.{i}");
            let windows = Half::load(l, &block, ["spatial", "window_attn"], stage, parts)?;
            Ok::<_, crate::Error>([windows, Half::load(l, &block, ["channel", "channel_attn"], stage, parts)?])
        };
        Ok(Self {
            conv: Linear {
                weight: l.matrix(&format!("{conv}.conv.weight"), &[stage.dim, inputs, stage.side, stage.side])?,
                bias: Some(l.vector(&format!("{conv}.conv.bias"), &[stage.dim])?),
            },
            norm: Norm::load(l, &format!("{conv}.norm"), if stage.norm_first { inputs } else { stage.dim }, EPS)?,
            blocks: (0..stage.depth).map(|i| block(i, l)).collect::<Result<_>>()?,
        })
    }
}

/// Activations that all stages share: each of them uses as much of one as it needs.
#[derive(Clone, Copy)]
struct Room {
    /// The residual stream, and where it goes through a convolution.
    x: ActId,
    y: ActId,
    normed: ActId,
    /// Tokens window by window, and what attention makes of them.
    mixed: ActId,
    /// What a convolution sees; queries, keys and values; the MLP's hidden layer.
    wide: ActId,
    /// Shares of columns in each other.
    shares: ActId,
}

/// A stage with its grid.
struct Recorder<'a> {
    stage: &'a Stage,
    grid: usize,
    window: usize,
    room: &'a Room,
}

impl Recorder<'_> {
    fn rows(&self) -> Rows {
        Rows::PerItem(self.grid.pow(2) as u32)
    }

    /// Places along a side of all windows.
    fn padded(&self) -> usize {
        self.grid.next_multiple_of(self.window)
    }

    fn depthwise(&self, plan: &mut Plan, label: String, conv: &Convolution, [x, y]: [ActId; 2]) {
        plan.step(label, Depthwise { x, weight: conv.weight, bias: conv.bias, y, grid: self.grid as u32 });
    }

    /// Records half a block on `room.x`.
    fn half(&self, plan: &mut Plan, name: &str, half: &Half, attention: impl Fn(&mut Plan, &str, &Linear) -> ActId) {
        let (Room { x, y, normed, wide, .. }, rows) = (*self.room, self.rows());
        let name = format!("{name}.{}", half.name);
        let step = |what: &str| format!("{name}.{what}");
        self.depthwise(plan, step("conv1"), &half.conv1, [x, y]);
        plan.step(step("norm1"), half.norm1.record(y, normed, rows));
        let mixed = attention(plan, &name, &half.qkv);
        plan.step(step("proj"), half.proj.record_residual(mixed, y, rows));
        self.depthwise(plan, step("conv2"), &half.conv2, [y, x]);
        plan.step(step("norm2"), half.norm2.record(x, normed, rows));
        for (i, [first, second]) in half.mlp.iter().enumerate() {
            let number = if i == 0 { String::new() } else { format!(".{i}") };
            let first = Matmul { activation: Activation::Gelu, ..first.record(normed, wide, rows) };
            plan.step(step("fc1") + &number, first);
            plan.step(step("fc2") + &number, second.record_residual(wide, x, rows));
        }
        plan.tap(name, x);
    }

    /// From `room.normed` to what attention in windows makes of it.
    fn in_windows(&self, plan: &mut Plan, name: &str, qkv: &Linear) -> ActId {
        let Room { normed, mixed, wide, .. } = *self.room;
        let [grid, window, dim, heads] = [self.grid, self.window, self.stage.dim, self.stage.heads].map(|n| n as u32);
        let rows = Rows::PerItem(self.padded().pow(2) as u32);
        let windows = Windows { x: normed, y: mixed, grid, window, dim, back: false };
        plan.step(format!("{name}.windows"), windows.clone());
        plan.step(format!("{name}.qkv"), qkv.record(mixed, wide, rows));
        let q = Queries { act: wide, len: rows, stride: 3 * dim, index: None };
        let kv = Keys { act: wide, len: rows, stride: 3 * dim, k: dim, v: 2 * dim, most: None, lengths: None };
        let across = grid.div_ceil(window);
        let attention = Attention::new(q, kv, mixed, [heads, dim / heads], Mask::None);
        plan.step(format!("{name}.attention"), Attention { windows: across * across, ..attention });
        plan.step(format!("{name}.grid"), Windows { x: mixed, y: normed, back: true, ..windows });
        normed
    }

    /// The same of attention among columns.
    fn in_channels(&self, plan: &mut Plan, name: &str, qkv: &Linear) -> ActId {
        let (Room { normed, mixed, wide, shares, .. }, rows) = (*self.room, self.rows());
        let [dim, groups] = [self.stage.dim, self.stage.groups].map(|n| n as u32);
        let of = Channels { qkv: wide, rows, groups, size: dim / groups };
        plan.step(format!("{name}.qkv"), qkv.record(normed, wide, rows));
        plan.step(format!("{name}.scores"), ChannelScores { of, y: shares });
        plan.step(format!("{name}.mix"), ChannelMix { shares, of, y: mixed });
        mixed
    }

    fn blocks(&self, plan: &mut Plan, stage: &str, blocks: &[[Half; 2]]) {
        for (i, [windows, channels]) in blocks.iter().enumerate() {
            let name = format!("{stage}.block.{i}");
            self.half(plan, &name, windows, |plan, name, qkv| self.in_windows(plan, name, qkv));
            self.half(plan, &name, channels, |plan, name, qkv| self.in_channels(plan, name, qkv));
        }
    }
}

/// Places along a side of a grid, and floats in its tokens.
type Shape = (usize, usize);

/// Those of each stage, and of the picture itself before them.
fn shapes(davit: &Davit, side: usize) -> Vec<Shape> {
    let grids = davit.grids(side).expect("checked with the config");
    [(side, 3)].into_iter().chain(grids.into_iter().zip(davit.stages.iter().map(|stage| stage.dim))).collect()
}

/// Makes room for the widest of every stage's.
fn room(plan: &mut Plan, davit: &Davit, shapes: &[Shape], most_bytes: usize) -> Room {
    let most = |of: &dyn Fn(&Stage, [Shape; 2]) -> usize| {
        let stages = davit.stages.iter().zip(shapes.windows(2));
        stages.map(|(stage, pair)| of(stage, [pair[0], pair[1]])).max().unwrap_or(0)
    };
    let stream = most(&|stage, [_, (grid, _)]| grid * grid * stage.dim);
    // A picture is normed, too, on its way to the first convolution.
    let normed = most(&|stage, [(before, inputs), (grid, _)]| (before.pow(2) * inputs).max(grid * grid * stage.dim));
    let padded = |grid: usize| grid.next_multiple_of(davit.window).pow(2);
    let mixed = most(&|stage, [_, (grid, _)]| padded(grid) * stage.dim);
    let wide = most(&|stage, [(_, inputs), (grid, _)]| {
        let seen = inputs * stage.side.pow(2);
        let hidden = stage.intermediate.div_ceil(parts_of(stage, grid, most_bytes));
        (padded(grid) * 3 * stage.dim).max(grid * grid * hidden.max(seen))
    });
    let shares = most(&|stage, _| stage.dim * stage.dim / stage.groups);
    let mut of = |name: &str, numbers: usize| plan.scratch(name, ONE, numbers);
    Room {
        x: of("x", stream),
        y: of("y", stream),
        normed: of("normed", normed),
        mixed: of("mixed", mixed),
        wide: of("wide", wide),
        shares: of("shares", shares),
    }
}

/// Positions of a grid: of each place the columns' numbers, then the rows', and the first row of the cosines of time.
fn positions(columns: &[f32], rows: &[f32], grid: usize, dim: usize) -> Vec<f32> {
    let (of_rows, of_columns) = (dim / 2, dim - dim / 2);
    let place = |(y, x): (usize, usize)| {
        let both = columns[x * of_columns..][..of_columns].iter().chain(&rows[y * of_rows..][..of_rows]);
        // The sine of 0, the cosine of 0, and so on.
        both.enumerate().map(|(d, position)| position + (d % 2) as f32).collect::<Vec<_>>()
    };
    (0..grid * grid).flat_map(|at| place((at / grid, at % grid))).collect()
}

/// Records the tower, and the way from its grid to tokens of the encoder.
///
/// # Errors
/// As [`crate::checkpoint::Checkpoint::tensor`].
pub fn record(config: &Config, generator: &Generator, l: &mut Loader) -> Result<PictureTokens> {
    let pictures = generator.pictures.as_ref().expect("a model with a picture tower says what becomes of pictures");
    record_within(config, pictures, (generator.decoder.hidden, MAX_BINDING), l)
}

/// The same with hidden layers of at most so many bytes.
fn record_within(
    config: &Config,
    pictures: &Pictures,
    (hidden, most): (usize, usize),
    l: &mut Loader,
) -> Result<PictureTokens> {
    let davit = pictures.davit.as_ref().expect("a model with this tower");
    let Connector::MeanAndGrid { grid, positions: table } = pictures.connector else {
        unreachable!("no other leads out of it")
    };
    let side = config.vision.image_size;
    let shapes = shapes(davit, side);
    let mut stages = Vec::new();
    for (at, (stage, pair)) in davit.stages.iter().zip(shapes.windows(2)).enumerate() {
        let ((_, inputs), (grid, _)) = (pair[0], pair[1]);
        stages.push(Loaded::load(l, at, stage, inputs, parts_of(stage, grid, most))?);
    }
    let dim = shapes.last().expect("there is a stage").1;
    let halves = [("column", dim - dim / 2), ("row", dim / 2)];
    let tables = halves
        .map(|(name, dim)| (format!("{PROJECTOR}.image_position_embed.{name}_embeddings.weight"), vec![table, dim]));
    let places =
        l.vector_from_all(&tables, grid * grid * dim, move |tables| positions(&tables[0], &tables[1], grid, dim))?;
    let projection = l.matrix(&format!("{PROJECTOR}.image_projection.weight"), &[hidden, dim])?;
    let norm = Norm::load(l, &format!("{PROJECTOR}.image_proj_norm"), hidden, EPS)?;

    let mut plan = Plan::default();
    let pixels = plan.input("pixels", ONE, side * side);
    let room = room(&mut plan, davit, &shapes, most);
    let squares = crate::kernels::Pictures::Squares { size: side as u32, lead: 0 };
    let all = Rows::PerItem((side * side) as u32);
    plan.step("pixels", Patchify::new([pixels, room.normed], all, squares, 1, &config.preprocessor));
    let mut x = room.normed;
    for (at, (loaded, pair)) in stages.iter().zip(shapes.windows(2)).enumerate() {
        let (stage, [(before, inputs), (grid, _)]) = (&davit.stages[at], [pair[0], pair[1]]);
        let recorder = Recorder { stage, grid, window: davit.window, room: &room };
        let (rows, name) = (recorder.rows(), format!("stage.{at}"));
        if stage.norm_first {
            plan.step(format!("{name}.norm"), loaded.norm.record(x, room.normed, Rows::PerItem(before.pow(2) as u32)));
            x = room.normed;
        }
        let [side, stride, padding] = [stage.side, stage.stride, stage.padding].map(|n| n as u32);
        let taps = Taps { side, stride, padding };
        let seen = Unfold { x, y: room.wide, grid: before as u32, dim: inputs as u32, lead: 0, taps };
        plan.step(format!("{name}.unfold"), seen);
        let to = if stage.norm_first { room.x } else { room.y };
        plan.step(format!("{name}.conv"), loaded.conv.record(room.wide, to, rows));
        if !stage.norm_first {
            plan.step(format!("{name}.norm"), loaded.norm.record(to, room.x, rows));
        }
        x = room.x;
        plan.tap(format!("{name}.embed"), x);
        recorder.blocks(&mut plan, &name, &loaded.blocks);
    }
    let rows = Rows::PerItem((grid * grid) as u32);
    let each = Rows::PerItem((grid * grid + 1) as u32);
    let width = dim as u32;
    plan.step("positions", AddShared { x: Operand::Vector(places), y: x, rows, dim: width, first: 0 });
    let with_mean = plan.scratch("with_mean", each, dim);
    plan.step("mean", PrependMean { x, y: with_mean, rows: (grid * grid) as u32, dim: width });
    let projected = plan.scratch("projected", each, hidden);
    plan.step("projection", Matmul::new(with_mean, projection, projected, each));
    let out = plan.scratch("picture", each, hidden);
    plan.step("projection.norm", norm.record(projected, out, each));
    plan.tap("picture", out);
    plan.output("picture", out);
    Ok(PictureTokens { plan, pixels, rows: out, tokens: grid * grid + 1, side: grid, newline: None })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        checkpoint::Checkpoint,
        kernels::Run,
        random::Random,
        weights::{self, HostStore},
    };

    /// An MLP in parts, as pictures of 768 pixels need them in large, adds up to the whole one.
    #[test]
    fn parts_are_the_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/florence");
        let checkpoint = Checkpoint::open(&folder).expect("a fixture");
        let generator = checkpoint.config.generator().expect("it writes");
        let pictures = generator.pictures.as_ref().expect("it sees");
        let random = &mut Random::new(1);
        let words: Vec<u32> = (0..90 * 90).map(|_| random.bits()).collect();
        let run = |most: usize| {
            let mut l = Loader::new(&checkpoint, None).expect("a fixture");
            let hidden = generator.decoder.hidden;
            let model = record_within(&checkpoint.config, pictures, (hidden, most), &mut l).expect("a fixture");
            let read = |all: &[weights::Weight]| {
                let mut store = HostStore::new(all);
                weights::read(&checkpoint, all, &mut store).expect("a fixture");
                store
            };
            let (mut weights, host) = (read(&l.weights), read(&l.host).weights);
            l.computed.iter().for_each(|one| one.put(&host, &mut weights).expect("finite numbers"));
            let found = model.plan.run_reference(&weights.weights, &[(model.pixels, &words)], Run::items(1));
            (model.plan.len(), found.taps["picture"].clone())
        };
        let (steps, whole) = run(MAX_BINDING);
        // The first stage's hidden layer has 529 · 24 numbers.
        let (more, parts) = run(529 * 24 * 4 / 2 - 1);
        // Two more layers of two each, in each half of the first block; other stages have smaller ones.
        assert_eq!(more, steps + 8);
        let largest = whole.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        assert!(whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() <= 1e-5 * largest));
    }
}
