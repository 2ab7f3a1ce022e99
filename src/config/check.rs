//! What must hold for every config, whichever files it was read from.

use super::{Config, Encoder, Head, MAX_HEAD_SIZE, Resize, preprocessor::most_patches};
use crate::error::{Error, Result};

/// How a file spells what is checked here: of two names the first is the picture tower's.
pub struct Names {
    pub file: &'static str,
    pub sections: [&'static str; 2],
    pub hidden: &'static str,
    pub heads: [&'static str; 2],
    pub layers: &'static str,
    pub intermediate: &'static str,
    pub eps: &'static str,
    pub vocab: &'static str,
    pub tokens: &'static str,
    pub embedding: &'static str,
}

/// What is wrong with the sizes of blocks, by the fields' names.
fn encoder(e: &Encoder, [hidden, heads, intermediate]: [&str; 3]) -> std::result::Result<(), String> {
    for (field, n) in [(hidden, e.hidden), (heads, e.heads), (intermediate, e.intermediate)] {
        // The upper bound keeps every product of two of them far from overflow.
        if n == 0 || n > 65_536 {
            return Err(format!("{field}: expected 1 to 65536, found {n}"));
        }
    }
    if !e.hidden.is_multiple_of(e.heads) || e.hidden / e.heads > MAX_HEAD_SIZE {
        return Err(format!(
            "expected {hidden} to be a multiple of {heads}, at most {MAX_HEAD_SIZE} a head, found {} and {}",
            e.hidden, e.heads
        ));
    }
    Ok(())
}

pub fn check(config: &Config, names: &Names) -> Result<()> {
    let bad = |what: String| Err(Error::BadCheckpoint(format!("{}: {what}", names.file)));
    let towers = [(config.towers.vision(), &config.vision.encoder), (config.towers.text(), &config.text.encoder)];
    // A decoder's sizes were checked where they were read.
    let decodes = matches!(config.head, Head::Generate(_));
    let towers = towers.into_iter().enumerate().filter(|(i, (there, _))| *there && !(decodes && *i == 1));
    for (i, (_, e)) in towers {
        let section = names.sections[i];
        let sizes = [names.hidden, names.heads[i], names.intermediate];
        encoder(e, sizes).or_else(|what| bad(format!("{section}: {what}")))?;
        if e.eps < 0.0 {
            return bad(format!("{section}: {}: expected a small number, found {:?}", names.eps, e.eps));
        }
        if e.layers > 1000 {
            return bad(format!("{section}: {}: expected at most 1000, found {}", names.layers, e.layers));
        }
    }
    if let Head::Masks(masks) = &config.head {
        let sizes = ["reduce_dim", "decoder_num_attention_heads", "decoder_intermediate_size"];
        encoder(&masks.decoder, sizes).or_else(bad)?;
    }
    let (image, patch) = (config.vision.image_size, config.vision.patch_size);
    if patch == 0 || image < patch || image > 8192 {
        let section = names.sections[0];
        return bad(format!("{section}: expected patch_size ≤ image_size ≤ 8192, found {patch} and {image}"));
    }
    let stored = config.vision.stored_grid();
    if !(1..=8192).contains(&stored) {
        let section = names.sections[0];
        return bad(format!("{section}: image_size: expected 1 to 8192 patches a side, found {stored}"));
    }
    for (field, n) in
        [(names.vocab, config.text.vocab), (names.tokens, config.text.tokens), (names.embedding, config.embedding)]
    {
        if n == 0 || n > 1 << 24 {
            return bad(format!("{field}: expected 1 to 2^24, found {n}"));
        }
    }
    if let Resize::MaxPatches { patch: cut, most } = config.preprocessor.resize {
        let bad = |what: String| Err(Error::BadCheckpoint(format!("preprocessor_config.json: {what}")));
        let bound = most_patches(cut);
        if cut != patch {
            return bad(format!("patch_size: expected {patch}, as config.json has it, found {cut}"));
        }
        if !(1..=bound).contains(&most) {
            return bad(format!("max_num_patches: expected 1 to {bound}, found {most}"));
        }
        return Ok(());
    }
    let tile = config.preprocessor.tiles.side().map(|side| (side, side));
    match tile.or(config.preprocessor.side()) {
        Some(side) if side == (image, image) => Ok(()),
        Some((width, height)) => Err(Error::BadCheckpoint(format!(
            "preprocessor_config.json: expected pictures of {image} × {image} pixels, as config.json has it, found {width} × {height}"
        ))),
        None => Err(Error::BadCheckpoint(
            "preprocessor_config.json: expected width and height, or a centre crop, found only the shortest edge"
                .into(),
        )),
    }
}
