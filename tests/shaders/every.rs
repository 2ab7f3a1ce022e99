//! Every kernel in every variant, and what naga makes of its shaders.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use ocelli::{
    config::{Activation, Mask},
    gpu::{Shader, Tier, Tuning},
    kernels::*,
    quant::Format,
};

pub fn vector(len: u32) -> VectorRef {
    VectorRef { id: WeightId(0), len }
}

const ACTIVATIONS: [Activation; 6] = [
    Activation::None,
    Activation::QuickGelu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
];

/// Every kernel in every variant.
pub fn kernels() -> Vec<Box<dyn Kernel>> {
    let (a, b, c) = (ActId(0), ActId(1), ActId(2));
    let rows = Rows::PerItem(30);
    let patchify = |pictures| -> Box<dyn Kernel> {
        Box::new(Patchify { pixels: a, y: c, rows, pictures, patch: 4, scale: [1.0; 3], shift: [0.0; 3] })
    };
    let channels = Channels { qkv: b, rows, groups: 2, size: 4 };
    let mut all: Vec<Box<dyn Kernel>> = vec![
        Box::new(AddShared { x: a.into(), y: b, rows, dim: 8, first: 0 }),
        Box::new(AddShared { x: Operand::Vector(vector(80)), y: b, rows: Rows::PerToken, dim: 8, first: 2 }),
        Box::new(ChannelMix { shares: a, of: channels, y: c }),
        Box::new(ChannelScores { of: channels, y: c }),
        Box::new(Depthwise { x: a, weight: vector(72), bias: vector(8), y: b, grid: 5 }),
        Box::new(Best { x: a, y: b, labels: 7, rows }),
        Box::new(ClassHead { cos: a, scale: b, y: c, labels: 7, rows }),
        Box::new(Modulate { x: a, by: b, y: c, tokens: 5, dim: 8 }),
        Box::new(Normalize { x: a, y: b, dim: 8, rows, eps: 1e-6 }),
        Box::new(Pick { x: a, y: b, rows, count: 7 }),
        Box::new(PixelShuffle { x: a, y: b, grid: 4, scale: 2, lead: 1, dim: 8 }),
        Box::new(PrependMean { x: a, y: b, rows: 5, dim: 8 }),
        Box::new(Reorder { from: a, state: b, most: 9, dim: 8 }),
        Box::new(Unfold { x: a, y: b, grid: 5, dim: 8, lead: 1, taps: Taps::AROUND }),
        patchify(Pictures::Squares { size: 8, lead: 0 }),
        patchify(Pictures::Floats { size: 8, lead: 0 }),
        patchify(Pictures::Naflex { columns: a, lengths: b }),
        Box::new(Resize { source: a, table: b, out: c, usual: 1, lines: Rows::PerToken }),
    ];
    for merge in [false, true] {
        all.push(Box::new(LayerNorm { x: a, weight: vector(8), bias: vector(8), y: b, rows, eps: 1e-5, merge }));
        // Rows that are no whole vectors.
        all.push(Box::new(LayerNorm { x: a, weight: vector(7), bias: vector(7), y: b, rows, eps: 1e-5, merge }));
    }
    all.push(Box::new(Normalize { x: a, y: b, dim: 7, rows, eps: 1e-6 }));
    for activation in [Activation::Silu, Activation::GeluTanh] {
        all.push(Box::new(Gated { x: a, y: b, rows, dim: 8, activation }));
    }
    for on in [false, true] {
        all.push(Box::new(Rope {
            x: a,
            y: b,
            table: on.then(|| vector(80)),
            norm: on.then(|| vector(8)),
            eps: 1e-6,
            one_plus: on,
            rows: Rows::PerToken,
            stride: 48,
            from: 32,
            heads: 1,
            copied: on.into(),
            head_size: 8,
            most: on.then_some(10),
        }));
        for weight in [vector(8), vector(7)] {
            all.push(Box::new(RmsNorm { x: a, weight, y: b, rows, eps: 1e-5, one_plus: on, accumulate: on }));
        }
        all.push(Box::new(Windows { x: a, y: b, grid: 5, window: 3, dim: 8, back: on }));
        all.push(Box::new(ResizeFloat { source: a, table: b, out: c, first: on, usual: 1, lines: Rows::PerToken }));
        let (index, tokens) = (on.then_some(c), Rows::PerItem(3));
        all.push(Box::new(Gather { x: a, index, y: b, of: tokens, dim: 8 }));
        for (mask, lengths) in [(Mask::None, None), (Mask::None, Some(c)), (Mask::Causal, None)] {
            let kv = Keys { act: a, len: tokens, stride: 24, k: 8, v: 16, most: None, lengths };
            for (len, most) in [(tokens, None), (tokens, Some(9)), (Rows::PerItem(600), None)] {
                let (q, kv) = (Queries { act: a, len, stride: 24, index }, Keys { most, ..kv });
                let attention = Attention::new(q, kv, b, [2, 4], mask);
                let (cap, window) = (Some(50.0), (mask == Mask::Causal).then_some(2));
                all.push(Box::new(Attention { kv_heads: 1, cap, window, ..attention.clone() }));
                all.push(Box::new(AttentionSpans { of: attention.clone(), y: b }));
                all.push(Box::new(AttentionJoin { of: attention.clone(), x: c }));
                all.push(Box::new(attention));
            }
        }
    }
    for format in [Format::F32, Format::F16, Format::Q8, Format::Q4] {
        for cols in [8, 7] {
            let table = MatrixRef { id: WeightId(0), format, rows: 4, cols };
            for pictures in [None, Some(b)] {
                all.push(Box::new(Embed { ids: a, table, first: 4, pictures, y: c, rows, scale: 2.0 }));
            }
            for activation in ACTIVATIONS {
                for on in [false, true] {
                    let matmul = Matmul {
                        x: Operand::Act(a),
                        weight: MatrixRef { id: WeightId(0), format, rows: 4, cols },
                        bias: on.then(|| vector(4)),
                        y: b,
                        rows,
                        activation,
                        place: if on { Place::Add } else { Place::Set },
                    };
                    let table = vector(120);
                    let positions = Positions { class_token: on.then(|| vector(4)), table };
                    let shuffle = Shuffle { lead: on.into(), grid: 5, kernel: 2 };
                    let columns = Place::Columns { first: 3, of: 9 };
                    all.push(Box::new(Matmul { rows: Rows::Shared(3), ..matmul.clone() }));
                    for place in [matmul.place, columns, Place::Positions(positions), Place::Shuffle(shuffle)] {
                        all.push(Box::new(Matmul { place, ..matmul.clone() }));
                    }
                }
            }
        }
    }
    all
}

/// The shaders of a kernel in every tier that it has.
pub fn shaders(kernel: &dyn Kernel) -> Vec<Shader> {
    let variant = |tier| kernel.variant(&Tuning::all(tier), Run::items(8));
    Tier::ALL.map(|tier| kernel.shader(variant(tier))).into()
}

/// What naga makes of a shader.
pub fn validate(source: &str) -> Result<(naga::Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    // No capability beyond WebGPU's defaults; `unpack2x16float` is core WGSL, and naga names it for old OpenGL's sake.
    let f16 = if source.contains("enable f16;") { Capabilities::SHADER_FLOAT16 } else { Capabilities::empty() };
    let info = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32 | f16)
        .validate(&module)
        .map_err(|e| e.emit_to_string(source))?;
    Ok((module, info))
}

/// A constant of a shader by its name.
pub fn constant(module: &naga::Module, name: &str) -> Option<u32> {
    let (_, constant) = module.constants.iter().find(|(_, constant)| constant.name.as_deref() == Some(name))?;
    match module.global_expressions[constant.init] {
        naga::Expression::Literal(naga::Literal::U32(value)) => Some(value),
        _ => None,
    }
}
