//! Florence-2 (Xiao et al. 2023): DaViT, and an encoder and a decoder that are BART's, as `modeling_florence2.py` and `modeling_bart.py` in
//! transformers have them. The layout of the remote code, which was published first, has the same settings under other names.

use super::{
    Activation, Config, Connector, Davit, Decoder, Encoder, Features, Generator, JsonFiles, Kind, Pictures,
    PositionSource, Preprocessor, PromptRule, Resize, Rope, Search, Seq2Seq, TokenizerFile, Vision, VisionPooling,
    davit::{bad, refuse},
    towers::Sections,
    writes,
};
use crate::{
    error::Result,
    json::{Field, Object},
};

/// The side of pictures where no file says it.
const SIDE: usize = 768;

/// Epsilon of every layer norm: torch's own.
const EPS: f32 = 1e-5;

pub(super) fn parse(
    kind: Kind,
    (root, files): (&mut Object, &JsonFiles),
    sections: &mut Sections,
    preprocessor: Option<Preprocessor>,
    tokenizer: TokenizerFile,
) -> Result<Config> {
    let generation = files.generation.map(|file| Object::parse("generation_config.json", file)).transpose()?;
    let (vision, text) = (&mut sections.vision, &mut sections.text);
    let davit = Davit::parse(vision)?;
    let positions = positions(vision)?;
    let tied = root.take("tie_word_embeddings")?.or(text.take("tie_word_embeddings")?).unwrap_or(true);
    let (decoder, encoder) = language(text, tied)?;
    let projected = vision.take("projection_dim")?.or(sections.projection);
    if let Some(dim) = projected.filter(|dim| *dim != decoder.hidden) {
        return bad(vision, "projection_dim", &format!("{}, as d_model", decoder.hidden), &dim.to_string());
    }
    let (seq2seq, stops) = generated(generation, text, root, encoder)?;

    let rule = preprocessor.unwrap_or_else(|| Preprocessor::none(SIDE));
    let side = match rule.resize {
        Resize::Squash { width, height } if width == height => width,
        _ => return refuse(vision, "size", "a square that pictures are squashed to", &format!("{:?}", rule.resize)),
    };
    let Some(&grid) = davit.grids(side).as_deref().and_then(<[usize]>::last) else {
        return bad(vision, "patch_size", &format!("convolutions that fit {side} pixels"), "larger ones");
    };
    if grid > positions {
        return bad(vision, "max_position_embeddings", &format!("at least {grid}"), &positions.to_string());
    }
    let last = davit.stages.last().expect("there is a stage");
    let blocks = Encoder {
        hidden: last.dim,
        heads: last.heads,
        layers: davit.depth(),
        intermediate: last.intermediate,
        activation: Activation::Gelu,
        eps: EPS,
    };
    let pictures = Pictures {
        features: Features { blocks: blocks.layers, post_norm: false },
        connector: Connector::MeanAndGrid { grid, positions },
        token: root.take("image_token_id")?.unwrap_or(51_289),
        prefix: false,
        packed: None,
        davit: Some(davit),
    };
    let vision = Vision {
        encoder: blocks,
        pre_norm: "",
        image_size: side,
        patch_size: side / grid,
        patches: kind.patches,
        positions: PositionSource::Stored,
        pooling: VisionPooling::AttentionHead,
    };
    let (pictures, seq2seq) = (Some(pictures), Some(seq2seq));
    let generator = Generator { decoder, pictures, prompt: PromptRule::Florence, stops, seq2seq };
    Ok(writes::config(kind, rule, vision, tokenizer, generator))
}

/// Rows of the tables of learned positions, one for the rows of a grid and one for its columns.
fn positions(vision: &mut Object) -> Result<usize> {
    let old = vision.object("image_pos_embed")?.map(|mut old| old.take("max_pos_embeddings")).transpose()?.flatten();
    Ok(old.or(vision.take("max_position_embeddings")?).unwrap_or(50))
}

/// BART's decoder, and the blocks of its encoder; defaults are `BartConfig`'s.
fn language(text: &mut Object, tied: bool) -> Result<(Decoder, Encoder)> {
    let mut number = |field: &str, usual: usize, most: usize| -> Result<usize> {
        let found = text.take(field)?.unwrap_or(usual);
        match (1..=most).contains(&found) {
            true => Ok(found),
            false => bad(text, field, &format!("1 to {most}"), &found.to_string()),
        }
    };
    let hidden = number("d_model", 1024, 1 << 14)?;
    let (vocab, context) = (number("vocab_size", 51_289, 1 << 24)?, number("max_position_embeddings", 1024, 1 << 16)?);
    let mut part = |part: &str| -> Result<[usize; 3]> {
        Ok([
            number(&format!("{part}_layers"), 12, 1000)?,
            number(&format!("{part}_attention_heads"), 16, 1 << 10)?,
            number(&format!("{part}_ffn_dim"), 4096, 1 << 16)?,
        ])
    };
    let (encoder, decoder) = (part("encoder")?, part("decoder")?);
    for (field, heads) in [("encoder_attention_heads", encoder[1]), ("decoder_attention_heads", decoder[1])] {
        if !hidden.is_multiple_of(heads) || hidden / heads > super::MAX_HEAD_SIZE {
            let expected = format!("a divisor of {hidden}, at most {} floats a head", super::MAX_HEAD_SIZE);
            return bad(text, field, &expected, &heads.to_string());
        }
    }
    let activation = match text.take::<String>("activation_function")?.as_deref() {
        None | Some("gelu") => Activation::Gelu,
        Some(other) => return refuse(text, "activation_function", "gelu", other),
    };
    for field in ["normalize_before", "add_final_layer_norm", "add_bias_logits"] {
        if text.take::<bool>(field)? == Some(true) {
            return refuse(text, field, "false", "true");
        }
    }
    let scaled = text.take("scale_embedding")?.unwrap_or(false);
    let [layers, heads, intermediate] = decoder;
    let head_size = hidden / heads;
    let rope = Rope { theta: 1e4, factor: 1.0 };
    let decoder = Decoder {
        hidden,
        layers,
        heads,
        kv_heads: heads,
        head_size,
        intermediate,
        vocab,
        context,
        eps: EPS,
        one_plus: false,
        post_norms: false,
        head_norms: false,
        bias: true,
        activation,
        scale: 1.0 / (head_size as f32).sqrt(),
        score_cap: None,
        logit_cap: None,
        windows: vec![None; layers],
        // Positions are learned.
        rope,
        local_rope: rope,
        embedding_scale: if scaled { (hidden as f32).sqrt() } else { 1.0 },
        tied,
    };
    let [layers, heads, intermediate] = encoder;
    Ok((decoder, Encoder { hidden, heads, layers, intermediate, activation, eps: EPS }))
}

/// How texts are written: by `generation_config.json`, or else by the decoder's settings or the whole model's, where files before it have
/// them. And the tokens that end a text.
fn generated(
    mut generation: Option<Object>,
    text: &mut Object,
    root: &mut Object,
    encoder: Encoder,
) -> Result<(Seq2Seq, Vec<u32>)> {
    let mut files: Vec<&mut Object> = generation.iter_mut().chain([&mut *text, root]).collect();
    let early = first_of(&mut files, "early_stopping")?.unwrap_or(false);
    let mut take = |field: &str| first_of::<u32>(&mut files, field);
    let first = take("decoder_start_token_id")?.unwrap_or(2);
    let start = [Some(first), take("forced_bos_token_id")?].into_iter().flatten().collect();
    let end = take("eos_token_id")?.unwrap_or(2);
    let search = Search {
        beams: take("num_beams")?.unwrap_or(1) as usize,
        no_repeat_ngram: take("no_repeat_ngram_size")?.unwrap_or(0) as usize,
        early,
        last: take("forced_eos_token_id")?,
    };
    if !(1..=Search::MOST).contains(&search.beams) {
        return refuse(text, "num_beams", &format!("1 to {}", Search::MOST), &search.beams.to_string());
    }
    Ok((Seq2Seq { encoder, offset: 2, start, search }, vec![end]))
}

/// A field of the first file that has it.
fn first_of<T: Field>(files: &mut [&mut Object], name: &str) -> Result<Option<T>> {
    let all = files.iter_mut().map(|file| file.take(name)).collect::<Result<Vec<Option<T>>>>()?;
    Ok(all.into_iter().flatten().next())
}
