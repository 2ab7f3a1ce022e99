//! What `verify` is for: sound folders pass on a sound device, and whatever is off is named.

use std::{fs, path::Path};

use ocelli::{
    Checkpoint, Gpu, Power, Session,
    gpu::{Tier, Tuning},
    quant::Format,
    quantize::quantize,
    session::LoadOptions,
    verify::{Case, GOLDENS, Goldens, Report, Step, Tower, cases, kernels},
};
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    altered::Altered,
    program::{self, fixture, has_gpu, json, ocelli, refused},
};

fn gpu() -> Gpu {
    pollster::block_on(Gpu::new(Power::Any)).expect("looked for before")
}

/// A quantised copy of a fixture, with its goldens.
fn written(model: &str, format: Format) -> TempDir {
    let to = tempfile::tempdir().expect("a folder");
    quantize(fixture(model).as_ref(), to.path(), format, true, &|_, _| ()).expect("a sound fixture");
    to
}

fn verify(folder: &Path) -> Report {
    let session =
        Session::load(gpu(), &Checkpoint::open(folder).expect("sound"), LoadOptions::default()).expect("sound");
    let goldens = fs::read(folder.join(GOLDENS)).ok();
    pollster::block_on(session.verify(goldens.as_deref(), None)).expect("sound goldens")
}

#[test]
fn sound_folders_pass() {
    if !has_gpu() {
        return;
    }
    for (model, format) in
        [("clip", Format::F16), ("clip-eos", Format::Q8), ("siglip", Format::Q4), ("siglip2", Format::Q8)]
    {
        let report = verify(written(model, format).path());
        assert!(report.ok && report.off.is_none() && report.goldens, "{model}: {report:#?}");
        assert!(report.checks.iter().all(|check| check.ok && check.runs == 3), "{report:#?}");
        // Small enough to leave room, and not so small that the bound sees nothing.
        let shares = || report.checks.iter().filter_map(|check| check.share);
        assert!(shares().all(|share| share < 0.5) && shares().any(|share| share > 1e-3), "{report:#?}");
        for name in ["picture", "tokens", "vision.block.1.mixed", "text.block.1", "text.embedding"] {
            assert!(report.checks.iter().any(|check| check.name == name), "{model}: {name}");
        }
    }
}

/// Models that write: a picture's tokens, every step of a prompt, and what follows it.
#[test]
fn sound_writers_pass() {
    if !has_gpu() {
        return;
    }
    for (model, format) in [
        ("smolvlm", Format::Q8),
        ("paligemma", Format::F16),
        ("llava", Format::F32),
        ("llava-onevision-shrunk", Format::Q8),
        ("gemma3", Format::Q8),
    ] {
        let folder = written(&format!("decoders/{model}"), format);
        let checkpoint = Checkpoint::open(folder.path()).expect("sound");
        let tiers = if model == "smolvlm" { vec![Tier::Plain, Tier::Registers, Tier::Wide] } else { vec![Tier::Tiled] };
        for tier in tiers {
            let options = LoadOptions { tuning: Tuning::all(tier), ..LoadOptions::default() };
            let session = Session::load(gpu(), &checkpoint, options).expect("sound");
            let goldens = fs::read(folder.path().join(GOLDENS)).expect("written with them");
            let report = pollster::block_on(session.verify(Some(&goldens), None)).expect("sound goldens");
            assert!(report.ok && report.goldens, "{model}: {report:#?}");
            for name in ["embed", "block.0", "logits", "written"] {
                assert!(report.checks.iter().any(|check| check.name == name), "{model}: {name}");
            }
            // A token that the model does not write, and a picture's token that is another.
            let mut changed: Value = serde_json::from_slice(&goldens).expect("JSON");
            let token = &mut changed["written"][6];
            *token = (token.as_u64().expect("an id") ^ 1).into();
            if changed["vision"].is_object() {
                let tap = &mut changed["vision"]["taps"][0]["values"][3];
                *tap = (tap.as_f64().expect("a number") + 0.1).into();
            }
            let changed = serde_json::to_vec(&changed).expect("JSON");
            let report = pollster::block_on(session.verify(Some(&changed), None)).expect("goldens");
            let off: Vec<&str> =
                report.checks.iter().filter(|check| !check.ok).map(|check| check.name.as_str()).collect();
            assert_eq!(off.len(), if model == "gemma3" { 1 } else { 2 }, "{off:?}");
            assert_eq!(off.last(), Some(&"written"));
        }
    }
}

#[test]
fn every_tier_passes() {
    if !has_gpu() {
        return;
    }
    let folder = written("siglip", Format::Q8);
    let goldens = fs::read(folder.path().join(GOLDENS)).expect("written with them");
    for tier in gpu().tiers() {
        let options = LoadOptions { tuning: Tuning::all(tier), ..LoadOptions::default() };
        let checkpoint = Checkpoint::open(folder.path()).expect("sound");
        let session = Session::load(gpu(), &checkpoint, options).expect("sound");
        let report = pollster::block_on(session.verify(Some(&goldens), None)).expect("sound");
        assert!(report.ok, "{}: {report:#?}", tier.name());
    }
}

#[test]
fn without_goldens_only_kernels_are_checked() {
    if !has_gpu() {
        return;
    }
    let report = verify(fixture("clip").as_ref());
    assert!(report.ok && !report.goldens, "{report:#?}");
    let names: Vec<&str> = report.checks.iter().map(|check| check.name.split(' ').next().expect("a word")).collect();
    for kernel in fs::read_dir(program::root().join("shaders")).expect("shaders").flatten() {
        let name = kernel.file_name().into_string().expect("a name");
        // The package's search drives this one, and a browser test judges it.
        if name == "scan.wgsl" {
            continue;
        }
        if let Some(kernel) = name.strip_suffix(".wgsl") {
            // The case of a kernel is run in whatever tier the device has.
            let known = |name: &&str| *name == kernel || kernel.starts_with(&format!("{name}_"));
            assert!(names.iter().any(known), "expected a case of {kernel}, found {names:?}");
        }
    }
    assert!(!names.iter().any(|name| name.starts_with("vision")));
}

/// For each kernel some of its text, and what that becomes.
const DAMAGE: [(&str, &str, &str); 27] = [
    ("add_shared", "+ at % item", "+ at % params.dim"),
    ("attention", "params.scale", "1.01 * params.scale"),
    ("attention_join", "exp(tail.x - peak)", "exp(peak - tail.x)"),
    ("attention_row", "start + params.span", "start + params.span - 1u"),
    ("best", "other > value", "other >= value"),
    ("channel_mix", "(row * 3u + 2u)", "(row * 3u + 1u)"),
    ("channel_scores", "score *= params.scale", "score *= 1.01 * params.scale"),
    ("class_head", "own.y + 1.0", "exp(own.y)"),
    ("depthwise", "py <= params.grid", "py < params.grid"),
    ("embed", "value = weight4(source, k4) * params.scale", "value = weight4(source, k4)"),
    ("gated", "* x[gate + params.dim]", "* 0.999 * x[gate + params.dim]"),
    ("gather", "+ at % params.dim", "+ (at + 1u) % params.dim"),
    ("layer_norm", "params.eps", "0.001"),
    ("matmul", "value += bias[", "value += 0.999 * bias["),
    ("modulate", "factor + params.dim", "factor"),
    ("normalize", "let length = sqrt(", "let length = 1.0001 * sqrt("),
    ("patchify", "value * params.scale[c]", "0.999 * value * params.scale[c]"),
    ("pixel_shuffle", "inside % params.scale", "inside / params.scale"),
    ("pick", "&& at < places[lane]", "&& at > places[lane]"),
    ("prepend_mean", "sum / f32(params.rows)", "sum / f32(params.rows + 1u)"),
    ("reorder", "at >= params.past * params.dim", "at > params.past * params.dim"),
    ("resize", "vec3i(1 << 21)", "vec3i(1 << 20)"),
    ("resize_float", "sum += pixel(", "sum += 0.999 * pixel("),
    ("rms_norm", "/ f32(params.dim) + params.eps", "/ f32(params.dim)"),
    ("rope", "low * cosine - high * sine", "low * cosine + high * sine"),
    ("unfold", "py < end", "py < params.grid"),
    ("windows", "let d = at % params.dim", "let d = (at + 1u) % params.dim"),
];

fn damaged((case, step): (Case, Step)) -> (Case, Step) {
    let shader = step.kernel.shader(step.kernel.variant(&Tuning::all(Tier::Plain), case.run));
    let (_, from, to) = DAMAGE.into_iter().find(|(name, ..)| *name == shader.name).expect("damage for every kernel");
    assert!(shader.source().contains(from), "{from}");
    (case, Step { kernel: Altered::miscompiled(step.kernel, from, to), weights: step.weights })
}

#[test]
fn a_broken_kernel_is_named() {
    if !has_gpu() {
        return;
    }
    let gpu = gpu();
    let damaged: Vec<(Case, Step)> = cases().into_iter().map(damaged).collect();
    assert!(damaged.len() > 20);
    for check in pollster::block_on(kernels(&gpu, &Tuning::all(Tier::Plain), damaged)) {
        assert!(!check.ok && check.share.is_none() && check.why.is_some(), "{check:?}");
    }
    // One among sound ones.
    let mut all = cases();
    let at = all.iter().position(|(case, _)| case.name.starts_with("matmul q4")).expect("a case");
    let broken = damaged_at(&mut all, at);
    let off: Vec<String> = pollster::block_on(kernels(&gpu, &Tuning::all(Tier::Plain), all))
        .into_iter()
        .filter(|c| !c.ok)
        .map(|c| c.name)
        .collect();
    assert_eq!(off, [broken]);
}

fn damaged_at(all: &mut Vec<(Case, Step)>, at: usize) -> String {
    let broken = damaged(all.remove(at));
    let name = broken.0.name.clone();
    all.insert(at, broken);
    name
}

#[test]
fn what_differs_from_run_to_run_is_a_race() {
    if !has_gpu() {
        return;
    }
    let one = cases().into_iter().filter(|(case, _)| case.name.starts_with("normalize"));
    let restless = one.map(|(case, step)| {
        // Right the first time, and another every time after.
        (case, Step { kernel: Altered::restless(step.kernel), weights: step.weights })
    });
    let checks = pollster::block_on(kernels(&gpu(), &Tuning::all(Tier::Plain), restless.collect()));
    assert_eq!(checks.len(), 2);
    let race = |why: &String| why.contains("in run 2: a race");
    assert!(checks.iter().all(|check| check.why.as_ref().is_some_and(race)), "{checks:?}");
}

/// Doubles the bytes' meaning: the exponent of every f16 or f32 of one tensor grows by one. The folder then has no manifest,
/// which would see this first.
fn change(folder: &Path, tensor: &str) {
    let read =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).expect("written")).expect("JSON") };
    let mut config = read("config.json");
    config.as_object_mut().expect("an object").remove("ocelli_manifest");
    fs::write(folder.join("config.json"), config.to_string()).expect("written");
    let index = read("model.safetensors.index.json");
    let path = folder.join(index["weight_map"][tensor].as_str().expect("a file"));
    let mut weights = fs::read(&path).expect("written");
    let (at, len, width) = {
        let all = SafeTensors::deserialize(&weights).expect("sound");
        let tensor = all.tensor(tensor).expect("a tensor");
        let data = tensor.data();
        (data.as_ptr() as usize - weights.as_ptr() as usize, data.len(), tensor.dtype().bitsize() / 8)
    };
    for number in weights[at..at + len].chunks_exact_mut(width) {
        match number {
            [_, high] => *high = high.saturating_add(4),
            [.., low, high] if *low & 0x80 != 0 => (*low, *high) = (*low & 0x7f, high.saturating_add(1)),
            [.., low, _] => *low |= 0x80,
            _ => panic!("a type of two or four bytes"),
        }
    }
    fs::write(&path, weights).expect("written");
}

#[test]
fn a_changed_weight_is_found_in_its_step() {
    if !has_gpu() {
        return;
    }
    let block = "encoder.layers.1";
    for (tensor, off) in [
        ("vision_model.embeddings.patch_embedding.weight.scales".to_string(), "vision.embed"),
        (format!("vision_model.{block}.self_attn.v_proj.bias"), "vision.block.1.qkv"),
        (format!("vision_model.{block}.self_attn.out_proj.weight.scales"), "vision.block.1"),
        ("vision_model.head.mlp.fc2.bias".into(), "vision.pooled"),
        ("text_model.embeddings.position_embedding.weight".into(), "text.embed"),
        (format!("text_model.{block}.layer_norm1.weight"), "text.block.1.q"),
        (format!("text_model.{block}.mlp.fc1.weight.scales"), "text.block.1"),
        ("text_model.head.weight.scales".into(), "text.embedding"),
    ] {
        let folder = written("siglip", Format::Q8);
        change(folder.path(), &tensor);
        let report = verify(folder.path());
        assert_eq!((report.ok, report.off.as_deref()), (false, Some(off)), "{tensor}: {report:#?}");
    }
}

fn tower(goldens: &mut Goldens) -> &mut Tower {
    goldens.vision.as_mut().expect("a tower")
}

#[test]
fn a_changed_golden_is_named() {
    if !has_gpu() {
        return;
    }
    let folder = written("clip", Format::F16);
    let session =
        Session::load(gpu(), &Checkpoint::open(folder.path()).expect("sound"), LoadOptions::default()).expect("sound");
    let sound = fs::read(folder.path().join(GOLDENS)).expect("written");
    let off = |change: &dyn Fn(&mut Goldens)| {
        let mut goldens = Goldens::parse(&sound).expect("sound");
        change(&mut goldens);
        let json = serde_json::to_vec(&goldens).expect("JSON");
        let report = pollster::block_on(session.verify(Some(&json), None)).expect("sound");
        let off: Vec<String> = report.checks.iter().filter(|check| !check.ok).map(|check| check.name.clone()).collect();
        assert_eq!(report.off.as_ref(), off.first());
        off
    };
    assert!(off(&|_| ()).is_empty());
    for at in [0, 5] {
        let name = Goldens::parse(&sound).expect("sound").vision.expect("a tower").taps[at].name.clone();
        assert_eq!(off(&|g| tower(g).taps[at].values[3] += 0.01), [name.as_str()]);
        assert_eq!(off(&|g| tower(g).taps[at].norm *= 1.001), [name.as_str()]);
        assert_eq!(off(&|g| tower(g).taps[at].len += 1), [name.as_str()]);
        assert_eq!(off(&|g| tower(g).taps[at].values.truncate(3)), [name.as_str()]);
    }
    // What a device would do that computes one step in f16.
    let halved = |x: &mut f32| *x = half::f16::from_f32(*x).to_f32();
    for at in 0..8 {
        let name = Goldens::parse(&sound).expect("sound").vision.expect("a tower").taps[at].name.clone();
        assert_eq!(off(&|g| tower(g).taps[at].values.iter_mut().for_each(halved)), [name.as_str()]);
    }
    assert_eq!(off(&|g| g.text.taps[2].name = "text.nowhere".into()), ["text.nowhere"]);
    assert_eq!(off(&|g| g.text.embedding[0] += 0.001), ["text.embedding, unit length"]);
    assert_eq!(off(&|g| tower(g).embedding.truncate(3)), ["vision.embedding, unit length"]);
    assert_eq!(off(&|g| g.ids[0] += 1), ["tokens"]);
    for broken in ["", "[]", "{}", "{\"inputs\": 1}"] {
        let error = pollster::block_on(session.verify(Some(broken.as_bytes()), None)).expect_err("no goldens");
        assert!(error.to_string().starts_with(GOLDENS), "{error}");
    }
    let mut other: Value = serde_json::from_slice(&sound).expect("JSON");
    other["inputs"] = 1.into();
    let error = pollster::block_on(session.verify(Some(other.to_string().as_bytes()), None)).expect_err("other inputs");
    assert!(error.to_string().contains("expected 2, found 1"), "{error}");
}

#[test]
fn the_program_says_what_is_off_and_fails() {
    if !has_gpu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for model in ["siglip", "naflex"] {
        let to = folder.path().join(model).display().to_string();
        json(&["quantize", &fixture(model), &to, "--format", "q8"]);
        let report = json(&["verify", &to]);
        assert_eq!((&report["ok"], &report["goldens"], &report["off"]), (&true.into(), &true.into(), &Value::Null));
        let text = ocelli(&["verify", &to]);
        assert!(text.status.success() && String::from_utf8_lossy(&text.stdout).ends_with(": 0 off\n"));

        change(to.as_ref(), "vision_model.head.layernorm.bias");
        let wrong = ocelli(&["--json", "verify", &to]);
        assert_eq!(wrong.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&wrong.stdout).expect("JSON");
        assert_eq!((&report["ok"], &report["off"]), (&false.into(), &"vision.pooled".into()), "{model}");
        assert!(String::from_utf8_lossy(&wrong.stderr).contains("vision.pooled"));
    }

    let plain = folder.path().join("plain").display().to_string();
    json(&["quantize", &fixture("siglip"), &plain, "--format", "q8", "--no-goldens"]);
    assert_eq!(json(&["verify", &plain])["goldens"], false);
    assert!(String::from_utf8_lossy(&ocelli(&["verify", &plain]).stdout).contains("kernels only"));
    assert!(refused(&["verify", "no/such/folder"]).contains("config.json"));
}
