//! Every shader, joined with every combination of its fragments, without a GPU: naga accepts it, its bindings are in order
//! and fit what the host half binds, its `Params` have the fields that the host writes, and no file is an orphan.

use std::{collections::BTreeSet, fs, path::Path};

use naga::{
    AddressSpace, StorageAccess, TypeInner,
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};
use ocelli::{
    config::{Activation, Mask},
    gpu::{Shader, Tier, Tuning, strip},
    kernels::*,
    quant::Format,
};

fn vector(len: u32) -> VectorRef {
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
fn kernels() -> Vec<Box<dyn Kernel>> {
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
fn shaders(kernel: &dyn Kernel) -> Vec<Shader> {
    let variant = |tier| kernel.variant(&Tuning::all(tier), Run::items(8));
    Tier::ALL.map(|tier| kernel.shader(variant(tier))).into()
}

/// The search of `ocelli/index`, whose host half is the package's `scan.ts`.
const SCANS: [[&str; 2]; 2] = [
    [include_str!("../shaders/scan.wgsl"), include_str!("../shaders/lib/rows_f32.wgsl")],
    [include_str!("../shaders/scan.wgsl"), include_str!("../shaders/lib/rows_int8.wgsl")],
];

/// What naga makes of a shader.
fn validate(source: &str) -> Result<(naga::Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    // No capability beyond WebGPU's defaults; `unpack2x16float` is core WGSL, and naga names it for old OpenGL's sake.
    let f16 = if source.contains("enable f16;") { Capabilities::SHADER_FLOAT16 } else { Capabilities::empty() };
    let info = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32 | f16)
        .validate(&module)
        .map_err(|e| e.emit_to_string(source))?;
    Ok((module, info))
}

/// A constant of a shader by its name.
fn constant(module: &naga::Module, name: &str) -> Option<u32> {
    let (_, constant) = module.constants.iter().find(|(_, constant)| constant.name.as_deref() == Some(name))?;
    match module.global_expressions[constant.init] {
        naga::Expression::Literal(naga::Literal::U32(value)) => Some(value),
        _ => None,
    }
}

/// The host starts as many workgroups as there are tiles: it has their size from nowhere but `Matmul::workgroups`.
#[test]
fn tiles_have_the_size_that_the_host_counts_with() {
    let matmul = |rows: u32, cols: u32| {
        let weight = MatrixRef { id: WeightId(0), format: Format::Q8, rows: cols, cols: 32 };
        Matmul::new(ActId(0), weight, ActId(1), Rows::Shared(rows))
    };
    let mut sizes = Vec::new();
    for tier in [Tier::Tiled, Tier::Wide, Tier::Half, Tier::Dot8, Tier::Sliced] {
        let (module, _) = validate(&matmul(1, 1).shader(tier).source()).expect("a sound shader");
        let [workgroup, rows, cols] =
            ["WORKGROUP", "ROWS", "COLS"].map(|name| constant(&module, name).expect("said in lib/tile_*.wgsl"));
        let (rows, cols) = (workgroup * rows, workgroup * cols);
        let groups = |rows, cols| matmul(rows, cols).workgroups(tier, Run::items(1));
        assert_eq!(
            [groups(rows, cols), groups(rows + 1, cols), groups(rows, cols + 1)],
            [[1, 1, 1], [1, 2, 1], [2, 1, 1]]
        );
        sizes.push(rows);
    }
    assert_eq!(sizes, [32, 64, 64, 32, 32], "two sizes, or the comparison sees nothing");
    // For a few rows their size is the host's, and is put into the shader.
    let tier = Tier::Vector;
    let shader = matmul(1, 1).shader(tier);
    let value = |name| shader.overrides.iter().find(|(other, _)| *other == name).expect("an override").1;
    let [lanes, cols, workgroup] = ["LANES", "COLS", "WORKGROUP"].map(value);
    assert_eq!(lanes * cols, workgroup);
    let groups = |rows, cols| matmul(rows, cols).workgroups(tier, Run::items(1));
    assert_eq!([groups(1, cols), groups(3, cols), groups(1, cols + 1)], [[1, 1, 1], [1, 1, 3], [2, 1, 1]]);
    // More columns than one dimension of a dispatch has room for.
    let [x, y, z] = groups(2, 70_000 * cols);
    assert!(x <= 65_535 && x * y >= 70_000 && z == 2);
}

/// How many times a memory of 32 banks of four bytes is asked until eight neighbours have each had a vector of 16 bytes from it: a GPU
/// serves 128 bytes at a time, where no two come from the same bank.
fn passes(vectors: impl Iterator<Item = u32>) -> usize {
    let mut banks = [const { BTreeSet::new() }; 8];
    for vector in vectors {
        banks[vector as usize % 8].insert(vector);
    }
    banks.iter().map(BTreeSet::len).max().unwrap_or(0)
}

/// The indices are those of `matmul_tiled.wgsl` and `attention_tiled.wgsl`.
#[test]
fn neighbours_meet_different_banks() {
    // What is loaded side by side is put side by side along K; without padding four or eight would meet.
    let stored = |turn: u32, stride: u32| passes((0..8).map(|at| at % turn * stride + at / turn));
    assert_eq!([stored(4, 64), stored(4, 32), stored(8, 32)], [4, 4, 8]);
    let weight = MatrixRef { id: WeightId(0), format: Format::F32, rows: 1, cols: 32 };
    for tier in [Tier::Tiled, Tier::Sliced, Tier::Wide] {
        let shader = Matmul::new(ActId(0), weight, ActId(1), Rows::Shared(99)).shader(tier);
        let (module, _) = validate(&shader.source()).expect("a sound shader");
        let [turn, x, w] = ["TURN", "X_STRIDE", "W_STRIDE"].map(|name| constant(&module, name).expect("a number"));
        assert_eq!([stored(turn, x), stored(turn, w)], [1, 1], "{}", tier.name());
    }
    // Neighbours read keys one after the other, and shares of theirs.
    let read = |lanes: u32, row: u32, shares: u32| {
        [passes((0..8).map(|lane| lane % lanes * row)), passes((0..8).map(|lane| lane / lanes * shares))]
    };
    assert_eq!(read(8, 16, 32), [8, 1]);
    assert_eq!(read(4, 16, 24), [4, 2]);
    for head_size in (4..=128).step_by(4) {
        let kv = Keys { act: ActId(0), len: Rows::Shared(9), stride: 384, k: 128, v: 256, most: None, lengths: None };
        let q = Queries { act: ActId(0), len: Rows::Shared(9), stride: 384, index: None };
        let attention = Attention::new(q, kv, ActId(1), [1, head_size], Mask::None);
        for tier in [Tier::Tiled, Tier::Wide] {
            let shader = attention.shader(tier);
            let value = |name| shader.overrides.iter().find(|(other, _)| *other == name).expect("an override").1;
            let [lanes, row, keys, quads, workgroup] = ["LANES", "ROW", "KEYS", "QUADS", "WORKGROUP"].map(value);
            assert_eq!(read(lanes, row, keys + 1), [1, 1], "heads of {head_size}, {}", tier.name());
            assert_eq!([value("TILE"), value("SHARES"), workgroup], [keys * row, quads * (keys + 1), quads * lanes]);
            assert!(row >= head_size / 4 && keys >= 8 && keys % lanes == 0 && keys / lanes <= 8);
            assert!(16 * (keys * row + quads * (keys + 1) + workgroup) <= 16 * 1024, "more than a workgroup may have");
        }
    }
}

/// Place, address space and name of what each group binds, in order and without gaps.
type Bindings = [Vec<(u32, AddressSpace, String)>; 2];

fn bindings(module: &naga::Module) -> Result<Bindings, String> {
    let mut groups = Bindings::default();
    for (_, variable) in module.global_variables.iter() {
        if let Some(binding) = &variable.binding {
            let name = variable.name.clone().unwrap_or_default();
            groups[binding.group as usize].push((binding.binding, variable.space, name));
        }
    }
    groups.iter_mut().for_each(|g| g.sort_by_key(|(binding, _, _)| *binding));
    if !groups.iter().all(|g| g.iter().zip(0..).all(|((binding, _, _), at)| *binding == at)) {
        return Err(format!("bindings: expected 0, 1, 2, …, found {groups:?}"));
    }
    Ok(groups)
}

/// Why a shader does not fit its host half.
fn check(kernel: &dyn Kernel, shader: &Shader) -> Result<(), String> {
    let source = shader.source();
    let (module, info) = validate(&source)?;
    let mut constants = naga::back::PipelineConstants::default();
    for (name, value) in &shader.overrides {
        if !module.overrides.iter().any(|(_, o)| o.name.as_deref() == Some(name)) {
            return Err(format!("override {name}: not in the shader"));
        }
        constants.insert((*name).to_string(), f64::from(*value));
    }
    naga::back::pipeline_constants::process_overrides(&module, &info, None, &constants).map_err(|e| e.to_string())?;

    let [first, second] = &bindings(&module)?;
    if first.len() != kernel.operands().len() + 1 {
        return Err(format!(
            "group 0: the host binds {} buffers, the shader has {first:?}",
            kernel.operands().len() + 1
        ));
    }
    let scales = kernel.matrix().map_or(0, |m| 1 + usize::from(m.format.block().is_some()));
    if second.len() != scales {
        return Err(format!("group 1: the host binds {scales} buffers, the shader has {second:?}"));
    }
    let writes = |space: &AddressSpace| matches!(space, AddressSpace::Storage { access } if access.contains(StorageAccess::STORE));
    let last = first.len() - 1;
    for (at, (_, space, name)) in first.iter().enumerate() {
        let fits = match at {
            0 => *space == AddressSpace::Uniform && name == "params",
            _ => matches!(space, AddressSpace::Storage { .. }) && writes(space) == (at == last),
        };
        if !fits {
            return Err(format!(
                "group 0, binding {at}: expected params first, inputs read, the output last, found {name} {space:?}"
            ));
        }
    }
    let params =
        module.global_variables.iter().find(|(_, v)| v.name.as_deref() == Some("params")).expect("checked above").1;
    let TypeInner::Struct { members, span } = &module.types[params.ty].inner else {
        return Err("params: expected a struct".into());
    };
    let read: Vec<(&str, usize)> =
        members.iter().map(|m| (m.name.as_deref().unwrap_or_default(), m.offset as usize)).collect();
    same_fields(&read, *span as usize, kernel.fields(), kernel.params(Run::items(2)).len())
}

/// Why a shader's `Params` are not the host's, by their fields and their sizes in bytes.
fn same_fields(read: &[(&str, usize)], span: usize, written: &[Field], bytes: usize) -> Result<(), String> {
    if read != written {
        return Err(format!("params: the shader reads {read:?}, the host writes {written:?}"));
    }
    if span != bytes {
        return Err(format!("params: the shader reads {span} bytes, the host writes {bytes}"));
    }
    Ok(())
}

#[test]
fn other_params_are_refused() {
    let right = [("rows", 0), ("eps", 4)];
    assert_eq!(same_fields(&right, 8, &right, 8), Ok(()));
    for wrong in
        [&[("eps", 0), ("rows", 4)][..], &[("rows", 0), ("eps", 8)], &[("rows", 0)], &[("rows", 0), ("dim", 4)]]
    {
        assert!(same_fields(wrong, 8, &right, 8).is_err(), "{wrong:?}");
    }
    assert!(same_fields(&right, 16, &right, 8).is_err());
}

fn stripped(file: &str) -> &'static str {
    let mut out = vec![0; file.len()];
    let len = strip(file, &mut out);
    out.truncate(len);
    String::leak(String::from_utf8(out).expect("whole characters"))
}

#[test]
fn only_comments_and_indentation_are_stripped() {
    assert_eq!(stripped("// formula\n\n  let é = a / b; // why\n// end"), "let é = a / b;\n");
    assert_eq!(stripped("a\n    b\n"), "a\nb\n");
    for kernel in kernels() {
        for file in shaders(kernel.as_ref()).into_iter().flat_map(|shader| shader.files) {
            let words = |text: &str| -> Vec<String> {
                let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
                lines.flat_map(str::split_whitespace).map(String::from).collect()
            };
            assert_eq!(words(stripped(file)), words(file));
            assert!(!file.contains("/*") && !stripped(file).contains("//"), "{file}");
        }
    }
}

#[test]
fn every_variant_keeps_the_contract() {
    for kernel in kernels() {
        for shader in shaders(kernel.as_ref()) {
            if let Err(why) = check(kernel.as_ref(), &shader) {
                panic!("{}: {why}", shader.key());
            }
            // As the browser gets it.
            let files = shader.files.iter().map(|file| stripped(file)).collect();
            if let Err(why) = check(kernel.as_ref(), &Shader { files, ..shader.clone() }) {
                panic!("{}, stripped: {why}", shader.key());
            }
        }
    }
}

#[test]
fn the_checker_rejects_what_breaks_the_contract() {
    let kernel = LayerNorm {
        x: ActId(0),
        weight: vector(8),
        bias: vector(8),
        y: ActId(1),
        rows: Rows::PerItem(1),
        eps: 0.0,
        merge: false,
    };
    let good = kernel.shader(Tier::Plain);
    let with = |from: &str, to: &str| {
        let text = good.source();
        assert!(text.contains(from), "{from}");
        let file: &'static str = Box::leak(text.replace(from, to).into_boxed_str());
        check(&kernel, &Shader { files: vec![file], ..good.clone() })
    };
    assert!(with("input(row, at) - mean", "input(row, at) - mean").is_ok());
    for (from, to) in [
        ("let mean =", "let mean 1 ="),
        ("    eps: f32,\n", "    eps: f32,\n    more: u32,\n"),
        // Two numbers of one size that change places.
        ("    rows: u32,\n    dim: u32,\n", "    dim: u32,\n    rows: u32,\n"),
        ("@binding(4)", "@binding(5)"),
        ("var<storage, read> weight", "var<storage, read_write> weight"),
        ("var<storage, read_write> y", "var<storage, read> y"),
        ("@group(0) @binding(3) var<storage, read> bias: array<Numbers>;", ""),
    ] {
        assert!(with(from, to).is_err(), "{from} -> {to}");
    }
    let unknown = kernel.shader(Tier::Plain).with("NO_SUCH_OVERRIDE", 1u32);
    assert!(check(&kernel, &unknown).is_err());
}

#[test]
fn the_search_is_valid_in_both_types() {
    let names = |source: &str| -> Result<[String; 2], String> {
        let (module, _) = validate(source)?;
        Ok(bindings(&module)?.map(|group| group.into_iter().map(|(_, _, name)| name).collect::<Vec<_>>().join(" ")))
    };
    let [f32, int8] = SCANS.map(|files| files.concat());
    let shared = "params passes queries best".to_string();
    assert_eq!(names(&f32), Ok([shared.clone(), "rows".into()]));
    assert_eq!(names(&int8), Ok([shared, "rows scales".into()]));
    for (from, to) in
        [("score(q, group.x, lane)", "score(q, lane)"), ("@binding(2)", "@binding(4)"), ("steps: u32", "step: u32")]
    {
        assert!(names(&int8.replace(from, to)).is_err(), "{from} -> {to}");
    }
}

fn wgsl(folder: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(folder).expect("a folder").flatten().map(|e| e.path());
    files
        .filter(|p| p.extension().is_some_and(|e| e == "wgsl"))
        .map(|p| fs::read_to_string(p).expect("a file"))
        .collect()
}

/// Variables in loops that are declared without a value: each must be zero in each turn, and is not in every browser (Chromium
/// 156, Firefox 153). naga sets them at the place of their declarations, and has set nothing else there.
fn keep_a_value(module: &naga::Module) -> Vec<String> {
    let functions = module.functions.iter().map(|(_, function)| function);
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    let mut found = Vec::new();
    for function in functions.chain(entries) {
        for (handle, variable) in function.local_variables.iter() {
            let place = function.local_variables.get_span(handle);
            let set = |(at, value): (_, &naga::Expression)| {
                matches!(value, naga::Expression::ZeroValue(_)) && function.expressions.get_span(at) == place
            };
            if function.expressions.iter().any(set) {
                found.push(variable.name.clone().unwrap_or_default());
            }
        }
    }
    found
}

#[test]
fn variables_in_loops_have_a_value() {
    let found = |source: &str| keep_a_value(&validate(source).expect("WGSL").0);
    let within = |body: &str| found(&format!("@compute @workgroup_size(1) fn main() {{ {body} }}"));
    assert_eq!(within("for (var i = 0; i < 9; i++) { var kept: array<vec2f, 4>; kept[0].x += 1.0; }"), ["kept"]);
    assert_eq!(within("loop { if true { var kept: f32; kept += 1.0; } break; }"), ["kept"]);
    for body in [
        "var once: vec4f; for (var i = 0; i < 9; i++) { once += vec4f(1.0); }",
        "for (var i = 0; i < 9; i++) { var fresh = array<vec2f, 4>(); fresh[0].x += 1.0; }",
        "for (var i = 0; i < 9; i++) { var fresh: vec4f = vec4f(); fresh += vec4f(1.0); }",
        "for (var i = 0; i < 9; i++) { var fresh = 0.0; fresh += 1.0; }",
    ] {
        assert!(within(body).is_empty(), "{body}");
    }
    let kernels = kernels();
    let sources = kernels.iter().flat_map(|kernel| shaders(kernel.as_ref())).map(|shader| shader.source());
    for source in sources.chain(SCANS.map(|files| files.concat())) {
        assert!(found(&source).is_empty(), "{:?} in {}", found(&source), source.lines().next().unwrap_or_default());
    }
}

#[test]
fn no_file_is_an_orphan_and_each_says_what_it_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let on_disk: BTreeSet<String> = wgsl(&root).union(&wgsl(&root.join("lib"))).cloned().collect();
    let used: BTreeSet<String> = kernels()
        .iter()
        .flat_map(|kernel| shaders(kernel.as_ref()))
        .flat_map(|shader| shader.files)
        .chain(SCANS.concat())
        .map(ToString::to_string)
        .collect();
    assert_eq!(on_disk.len(), used.len(), "shader files on disk and in kernels");
    assert_eq!(on_disk, used);
    for file in &used {
        assert!(file.starts_with("// "), "the first line says the formula: {}", &file[..60.min(file.len())]);
        for line in file.lines().filter(|l| l.contains("@group(") && l.contains("storage")) {
            assert!(line.contains("; ") && line.contains("//"), "a binding's line ends with its shape: {line}");
        }
    }
}
