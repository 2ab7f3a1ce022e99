//! Every shader, joined with every combination of its fragments, without a GPU: naga accepts it, its bindings are in order
//! and fit what the host half binds, its `Params` have the fields that the host writes, and no file is an orphan.

mod every;
mod tiles;

use std::{collections::BTreeSet, fs, path::Path};

use every::{kernels, shaders, validate, vector};
use naga::{AddressSpace, StorageAccess, TypeInner};
use ocelli::{
    gpu::{Shader, Tier, strip},
    kernels::*,
};

/// The search of `ocelli/index`, whose host half is the package's `scan.ts`.
const SCANS: [[&str; 2]; 2] = [
    [include_str!("../../shaders/scan.wgsl"), include_str!("../../shaders/lib/rows_f32.wgsl")],
    [include_str!("../../shaders/scan.wgsl"), include_str!("../../shaders/lib/rows_int8.wgsl")],
];

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
