//! Numbers that f16 cannot hold: trained decoders' residuals and gated products pass 65,504 (onnxruntime#26732), and a tier that kept
//! them in f16 would write what no config asked for.

use std::{collections::HashMap, path::Path};

use half::f16;
use ocelli::{
    Checkpoint, Gpu, Session,
    backend::{Backend, Cpu},
    gpu::{Tier, Tuning},
    quant::Format,
    session::LoadOptions,
};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};

use crate::{
    Outcome,
    golden::{Golden, distance, folder},
    gpu,
};

/// Factors for tensors of a first block, and the tap in which the large numbers stand.
fn factors(model: &str) -> &'static [(&'static str, f32)] {
    match model {
        // A norm behind the MLP, as Gemma 3's.
        "gemma3" => &[("model.layers.0.post_feedforward_layernorm.weight", 3e5)],
        // gate·up above, and with it what the MLP adds to the residual.
        _ => &[
            ("model.layers.0.mlp.up_proj.weight", 8e4),
            ("model.layers.0.mlp.gate_proj.weight", 8.0),
            ("model.layers.0.mlp.down_proj.weight", 10.0),
        ],
    }
}

/// The fixture's checkpoint with these factors.
fn scaled(model: &str, into: &Path) -> Checkpoint {
    for entry in std::fs::read_dir(folder(model)).expect("a fixture") {
        let path = entry.expect("an entry").path();
        if path.is_file() && !path.ends_with("model.safetensors") {
            std::fs::copy(&path, into.join(path.file_name().expect("a file"))).expect("room");
        }
    }
    let bytes = std::fs::read(folder(model).join("model.safetensors")).expect("a fixture");
    let file = SafeTensors::deserialize(&bytes).expect("a sound fixture");
    let numbers: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .tensors()
        .into_iter()
        .map(|(name, tensor)| {
            let factor = factors(model).iter().find(|(scaled, _)| *scaled == name).map_or(1.0, |(_, factor)| *factor);
            let halves: Vec<f16> = bytemuck::pod_collect_to_vec(tensor.data());
            let scaled: Vec<f32> = halves.iter().map(|x| x.to_f32() * factor).collect();
            (name, tensor.shape().to_vec(), bytemuck::cast_slice(&scaled).to_vec())
        })
        .collect();
    let views = numbers
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(Dtype::F32, shape.clone(), data).expect("fits")));
    std::fs::write(into.join("model.safetensors"), serialize(views, None).expect("a file")).expect("room");
    Checkpoint::open(into).expect("a sound folder")
}

fn taps<B: Backend>(
    device: B,
    checkpoint: &Checkpoint,
    ids: &[u32],
    format: Format,
    tier: Tier,
) -> HashMap<String, Vec<f32>> {
    let options = LoadOptions { format: Some(format), tuning: Tuning::all(tier), ..LoadOptions::default() };
    let session = Session::load(device, checkpoint, options).expect("a sound checkpoint");
    pollster::block_on(session.taps_of_prompt(ids)).expect("a sound prompt")
}

/// How far the logits of a tier may be from the CPU's in f32 arithmetic, as a share of their spread.
fn bound(tier: Tier) -> f64 {
    match tier {
        Tier::Dot8 => 0.06,
        _ => 1e-5,
    }
}

/// Every tier, on every kind of weights.
pub fn numbers(model: &str) -> Outcome {
    let scratch = tempfile::tempdir()?;
    let checkpoint = scaled(model, scratch.path());
    let golden = Golden::of(model);
    // As many rows as every tier has a kernel for.
    let ids: Vec<u32> = golden.ids.iter().cycle().take(48).copied().collect();
    for format in [Format::F32, Format::F16, Format::Q8] {
        let expected = taps(Cpu::default(), &checkpoint, &ids, format, Tier::Plain);
        let largest = expected["block.0"].iter().fold(0.0f32, |a, b| a.max(b.abs()));
        assert!(largest > 65_504.0, "expected a residual that f16 cannot hold, found {largest}");
        for tier in gpu().tiers() {
            let found = taps::<Gpu>(gpu(), &checkpoint, &ids, format, tier);
            let off = distance(&found["logits"], &expected["logits"]);
            println!("{model}, {format:?}, {}: residual {largest:.1e}, logits off by {off:.1e}", tier.name());
            assert!(off <= bound(tier), "{format:?}, {}: expected at most {}, found {off}", tier.name(), bound(tier));
        }
    }
    Ok(())
}
