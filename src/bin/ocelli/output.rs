//! What is printed: aligned text for people, JSON for machines.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use ocelli::{
    Result,
    backend::{Backend, Cpu, Device},
    gpu::{Tier, Tuning},
    quantize::Sizes,
    scores::Ranked,
    verify::{Check, Report},
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{bad_input, cli::Over, device::Session, json_file, shards::Done, stream::Unreadable};

/// What came of one picture of `ocelli classify`.
#[derive(Serialize)]
pub struct Ranking {
    pub image: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Results(Vec<Ranked>),
    /// Why the picture could not be read.
    Error(String),
}

impl Ranking {
    /// The labels, best first; none of a picture that could not be read.
    fn results(&self) -> &[Ranked] {
        match &self.outcome {
            Outcome::Results(results) => results,
            Outcome::Error(_) => &[],
        }
    }
}

/// Writes all at once; a closed pipe (`ocelli … | head`) is not an error.
pub fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(bad_input(format!("standard output: {e}"))),
        _ => Ok(()),
    }
}

pub fn print_json(value: &impl Serialize) -> Result<()> {
    print(&(serde_json::to_string(value).map_err(bad_input)? + "\n"))
}

pub fn mega(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

pub fn rankings(json: bool, rankings: &[Ranking]) -> Result<()> {
    if json {
        return print_json(&rankings);
    }
    let width = rankings.iter().flat_map(Ranking::results).map(|r| r.label.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    // Those that could not be read are named on stderr.
    for ranking in rankings.iter().filter(|ranking| !ranking.results().is_empty()) {
        text += &format!("{}\n", ranking.image);
        for r in ranking.results() {
            text += &format!("  {:width$}  {:>9.5}\n", r.label, r.score);
        }
    }
    print(&text)
}

/// Embeddings of pictures or texts in the order asked for; none where a picture is among the `unreadable`.
pub fn embeddings(
    json: bool,
    dim: usize,
    names: &[String],
    embeddings: &[Option<Vec<f32>>],
    unreadable: &[Unreadable],
) -> Result<()> {
    if json {
        let mut value = json!({ "dim": dim, "embeddings": embeddings });
        if !unreadable.is_empty() {
            value["unreadable"] = json!(unreadable);
        }
        return print_json(&value);
    }
    let mut text = format!("{dim} dimensions, unit length\n");
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    for (name, embedding) in names.iter().zip(embeddings) {
        let Some(embedding) = embedding else { continue };
        let first: Vec<String> = embedding.iter().take(6).map(|x| format!("{x:8.5}")).collect();
        text += &format!("{name:width$}  {} …\n", first.join(" "));
    }
    print(&(text + "(--json prints all numbers)\n"))
}

pub fn shards(json: bool, folder: &Path, done: &Done) -> Result<()> {
    if json {
        return print_json(done);
    }
    let Done { embedded, unreadable, skipped } = done;
    print(&format!("{}: {embedded} embedded, {unreadable} left out, {skipped} there before\n", folder.display()))
}

pub fn ids(json: bool, texts: &[String], ids: &[Vec<u32>]) -> Result<()> {
    if json {
        return print_json(&json!({ "ids": ids }));
    }
    let line = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    print(&texts.iter().zip(ids).map(|(t, i)| format!("{t}\n  {}\n", line(i))).collect::<String>())
}

pub fn preprocessed(json: bool, path: &Path, [width, height]: [u32; 2]) -> Result<()> {
    if json {
        return print_json(&json!({ "path": path, "width": width, "height": height }));
    }
    print(&format!("{}: {width} × {height} pixels\n", path.display()))
}

pub fn quantized(json: bool, folder: &Path, sizes: Sizes) -> Result<()> {
    if json {
        return print_json(&json!({ "path": folder, "bytes": sizes }));
    }
    print(&format!("{}: {} (from {})\n", folder.display(), mega(sizes.after), mega(sizes.before)))
}

pub fn verified(json: bool, report: &Report) -> Result<()> {
    if json {
        return print_json(report);
    }
    let share = |check: &Check| check.share.map_or("off".into(), |share| format!("{:.1} %", 100.0 * share));
    let width = report.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    let mut text = format!("adapter  {}\n\n{:width$}  largest error, of what it may be\n", report.adapter, "");
    for check in &report.checks {
        text += &format!("{:width$}  {:>7}\n", check.name, share(check));
        if let Some(why) = &check.why {
            text += &format!("  {why}\n");
        }
    }
    let off = report.checks.iter().filter(|check| !check.ok).count();
    text += &format!("\n{} checks, each {} times: {off} off\n", report.checks.len(), ocelli::verify::RUNS);
    if !report.goldens {
        text += "kernels only: this folder has no goldens.json, which `ocelli quantize` writes\n";
    }
    print(&text)
}

pub fn info(json: bool, device: &Device, tuning: &Tuning, why: &str, session: Option<&Session>) -> Result<()> {
    let mut value = json!({ "adapter": device.name(), "chosen_because": why });
    match device {
        Device::Gpu(gpu) => {
            value["backend"] = "gpu".into();
            value["tuning"] = tuning.name().into();
            value["tiers"] = gpu.tiers().map(Tier::name).collect();
            value["max_binding_bytes"] = gpu.max_binding().into();
        }
        Device::Cpu(cpu) => {
            value["backend"] = "cpu".into();
            value["threads"] = cpu.threads().into();
            value["instructions"] = Cpu::instructions().into();
        }
    }
    if let Some(s) = session {
        let [vision, text] = s.plans();
        let mut model = json!({
            "family": s.config.family.name(),
            "tasks": s.config.tasks(),
            "format": s.format.name(),
            "parameters": s.parameters,
            "image_size": s.config.vision.image_size,
            "max_num_patches": s.config.preprocessor.max_patches(),
            "embedding": s.config.embedding,
            "cpu_bytes": s.table_bytes(),
            "dispatches_per_image": s.dispatches_per_image(),
            "dispatches_per_text": s.dispatches_per_text(),
            "vision_plan": vision.map(|plan| plan.to_string()),
            "text_plan": text.map(|plan| plan.to_string()),
        });
        if let Device::Gpu(gpu) = device {
            model["tier"] = s.tier().name().into();
            model["gpu_bytes"] = gpu.bytes().into();
            model["kernels"] = gpu.pipelines().into();
        }
        value["model"] = model;
    }
    if json {
        return print_json(&value);
    }
    print(&info_text(&value))
}

fn info_text(value: &Value) -> String {
    let say = |key: &str| value[key].as_str().unwrap_or("").to_string();
    let mut text =
        format!("adapter     {}\nbackend     {}: {}\n", say("adapter"), say("backend"), say("chosen_because"));
    if let Some(tiers) = value["tiers"].as_array() {
        let tiers: Vec<&str> = tiers.iter().filter_map(Value::as_str).collect();
        text += &format!("tuning      {} (of {})\n", say("tuning"), tiers.join(", "));
        text += &format!("binding     {} at most\n", mega(value["max_binding_bytes"].as_u64().unwrap_or(0)));
    }
    if let Some(threads) = value["threads"].as_u64() {
        text += &format!("threads     {threads}, {}\n", say("instructions"));
    }
    let Some(model) = value.get("model") else { return text };
    let number = |key: &str| model[key].as_u64().unwrap_or(0);
    let word = |key: &str| model[key].as_str().unwrap_or("").to_string();
    let tier = if model["tier"].is_null() { String::new() } else { format!(", tier {}", word("tier")) };
    text += &format!("model       {}, {}{tier}\n", word("family"), word("format"));
    let tasks: Vec<&str> = model["tasks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    text += &format!("tasks       {}\n", tasks.join(", "));
    text += &format!("parameters  {:.2} million\n", number("parameters") as f64 / 1e6);
    text += &match model["max_num_patches"].as_u64() {
        Some(most) => format!("picture     its own shape, at most {most} patches\n"),
        None => format!("picture     {0} × {0} pixels\n", number("image_size")),
    };
    text += &format!("embedding   {} numbers\n", number("embedding"));
    if let Some(bytes) = model["gpu_bytes"].as_u64() {
        text += &format!("GPU memory  {}\n", mega(bytes));
    }
    text += &format!("CPU memory  {} (token table)\n", mega(number("cpu_bytes")));
    let (images, texts) = (number("dispatches_per_image"), number("dispatches_per_text"));
    text += &format!("dispatches  {images} a picture, {texts} a text\n");
    for (at, kernel) in model["kernels"].as_array().into_iter().flatten().enumerate() {
        text += &format!("{:12}{}\n", if at == 0 { "kernels" } else { "" }, kernel.as_str().unwrap_or(""));
    }
    text
}

/// What was measured with what: the beginning of the results of `ocelli eval`, `recall`, `eval-detect` and `eval-segment`.
#[derive(Serialize)]
pub struct Run {
    pub version: &'static str,
    pub model: String,
    pub family: &'static str,
    /// How the weights lay on the GPU.
    pub format: &'static str,
    pub adapter: String,
    /// None where the folders are the classes.
    pub manifest: Option<String>,
    pub images: String,
    /// Those that were read.
    pub pictures: usize,
    /// From the first picture to the last, decoding included; without loading and texts.
    pub seconds: f64,
    pub pictures_per_second: f64,
}

impl Run {
    pub fn new(over: &Over, session: &Session, images: &Path, pictures: usize, time: Duration) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            model: over.model.display().to_string(),
            family: session.config.family.name(),
            format: session.format.name(),
            adapter: session.device().name(),
            manifest: over.manifest.as_ref().map(|path| path.display().to_string()),
            images: images.display().to_string(),
            pictures,
            seconds: time.as_secs_f64(),
            pictures_per_second: pictures as f64 / time.as_secs_f64(),
        }
    }
}

/// Whether the result can be written at the end.
pub fn check_out(json: bool, out: Option<&Path>) -> Result<()> {
    let Some(out) = out else { return Ok(()) };
    if !json {
        return Err(bad_input(format!("{}: expected --json before the file to write", out.display())));
    }
    check_file(out)
}

/// Whether a file can be written there at the end.
pub fn check_file(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || !folder.is_dir() {
        return Err(bad_input(format!("{}: expected a file to write in a folder that exists", path.display())));
    }
    Ok(())
}

/// JSON into a file and text for people, or only one of them.
pub fn result(json: bool, out: Option<&Path>, value: &impl Serialize, text: impl Fn() -> String) -> Result<()> {
    match out {
        None if json => print_json(value),
        None => print(&text()),
        Some(path) => {
            json_file::write(path, value)?;
            print(&text())
        }
    }
}
