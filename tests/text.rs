//! Token ids, exactly: against the reference's fixtures, and against published tokenizers where they are at hand.

use std::{fs, path::Path};

use ocelli::{
    Checkpoint,
    config::{Cleaning, Config, OpenClipCleaning, Padding, TokenizerFiles},
    text::{TextEncoder, canonical, cleaned},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[test]
fn ids_are_the_references() {
    for model in ["clip", "clip-eos", "siglip", "siglip-bf16", "siglip2", "open-clip", "open-clip-siglip"] {
        let folder = fixtures().join(model);
        let checkpoint = Checkpoint::open(&folder).expect("a sound fixture");
        let encoder = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a sound fixture");
        let golden: Golden =
            serde_json::from_slice(&fs::read(folder.join("golden.json")).expect("a fixture")).expect("a sound fixture");
        assert!(golden.texts.len() >= 8);
        for Text { text, ids } in golden.texts {
            assert_eq!(encoder.encode(&text).expect("ids"), ids, "{model}: {text:?}");
        }
    }
}

#[test]
fn without_byte_fallback_or_canonical_text_ids_differ() {
    let folder = fixtures().join("siglip");
    let golden: Golden =
        serde_json::from_slice(&fs::read(folder.join("golden.json")).expect("a fixture")).expect("a sound fixture");
    let wrong = |change: fn(&mut Config)| {
        let mut checkpoint = Checkpoint::open(&folder).expect("a sound fixture");
        change(&mut checkpoint.config);
        let encoder = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a sound fixture");
        golden.texts.iter().filter(|t| encoder.encode(&t.text).expect("ids") != t.ids).count()
    };
    assert_eq!(wrong(|_| ()), 0);
    assert!(wrong(|c| c.text_rule.byte_fallback = false) > 0);
    assert!(wrong(|c| c.text_rule.cleaning = Cleaning::AsIs) > 0);
    assert!(wrong(|c| c.text_rule.padding = Padding::Token("<unk>".into())) > 0);
}

#[test]
fn canonical_text_is_the_references() {
    assert_eq!(canonical("A Photo,  of\n a_Dog!\t"), "a photo of adog");
    assert_eq!(canonical("▁x▁y"), "x y");
    assert_eq!(canonical("！ÉTÉ"), "！été", "only ASCII punctuation goes");
    assert_eq!(canonical("..."), "");
}

#[derive(Deserialize)]
struct Published {
    text: String,
    clip_ids: Vec<u32>,
    siglip_ids_64: Vec<u32>,
    siglip2_ids_64: Vec<u32>,
}

/// Real tokenizers, which are not ours to copy: `OCELLI_DATA`, or `../shared/data` beside the checkout.
fn published() -> Option<std::path::PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let data = std::env::var_os("OCELLI_DATA").map_or(beside, Into::into).join("tokenizers");
    if !data.join("golden-ids.json").exists() {
        println!("SKIPPED: no published tokenizers in {}", data.display());
        return None;
    }
    Some(data)
}

#[test]
fn published_tokenizers_give_golden_ids() {
    let Some(data) = published() else { return };
    let golden = fs::read(data.join("golden-ids.json")).expect("golden ids");
    let golden: Vec<Published> = serde_json::from_slice(&golden).expect("golden ids");
    let read = |name: &str| fs::read(data.join(name)).expect("a published file");
    let json = |name: &str| TokenizerFiles::Json(read(name));

    let preprocessor = |size: &str| format!("{{\"size\": {size}}}").into_bytes();
    let config = Config::parse(br#"{"model_type": "clip"}"#, b"{}", b"{}").expect("all defaults");
    let clip = TextEncoder::new(&json("clip/tokenizer.json"), &config).expect("CLIP's tokenizer");
    let square = preprocessor(r#"{"height": 224, "width": 224}"#);
    let mut siglip = Vec::new();
    for (config, tokenizer) in [
        ("siglip/config.json", "siglip/tokenizer_config.json"),
        ("siglip/google/config.json", "siglip/google/tokenizer_config.json"),
    ] {
        let config = Config::parse(&read(config), &square, &read(tokenizer)).expect("SigLIP's files");
        siglip.push(TextEncoder::new(&json("siglip/tokenizer.json"), &config).expect("SigLIP's tokenizer"));
    }
    // Its tokenizer_config.json is not among the published files at hand; the class is what it says.
    let [config, preprocessor] =
        ["config.json", "preprocessor_config.json"].map(|f| read(&format!("siglip2/base-patch16-224/{f}")));
    let config =
        Config::parse(&config, &preprocessor, br#"{"tokenizer_class": "GemmaTokenizer"}"#).expect("SigLIP 2's files");
    let siglip2 = TextEncoder::new(&json("siglip2/tokenizer.json"), &config).expect("SigLIP 2's tokenizer");

    let mut wrong = Vec::new();
    for g in &golden {
        // The file has CLIP's ids without padding, of any length; the tower gets 77, with EOS kept.
        let mut expected = g.clip_ids.clone();
        if expected.len() > 77 {
            expected.truncate(76);
            expected.push(49407);
        }
        expected.resize(77, 49407);
        if clip.encode(&g.text).expect("ids") != expected {
            wrong.push(format!("CLIP: {:?}: {:?}", g.text, clip.encode(&g.text)));
        }
        // One text is longer than the tower's 64 here, too.
        let mut expected = g.siglip2_ids_64.clone();
        if expected.len() > 64 {
            expected.truncate(63);
            expected.push(1);
        }
        if siglip2.encode(&g.text).expect("ids") != expected {
            wrong.push(format!("SigLIP 2: {:?}: {:?} for {expected:?}", g.text, siglip2.encode(&g.text)));
        }
        for encoder in &siglip {
            if encoder.encode(&g.text).expect("ids") != g.siglip_ids_64 {
                wrong.push(format!("SigLIP: {:?}: {:?} for {:?}", g.text, encoder.encode(&g.text), g.siglip_ids_64));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} texts:\n{}", wrong.len(), golden.len(), wrong.join("\n"));
    println!("{} texts with the published tokenizers of CLIP, SigLIP and SigLIP 2", golden.len());
}

/// A text, and its ids for CLIP, SigLIP and SigLIP 2.
type Ids = (&'static str, &'static [u32], &'static [u32], &'static [u32]);

/// Texts, and their ids as open_clip 3.3 gives them with the published vocabularies, without padding:
///
/// ```python
/// from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
/// SimpleTokenizer()(text)                           # CLIP; filled up to 77 with 0
/// HFTokenizer(folder, 64, clean="canonicalize")     # SigLIP; filled up to 64 with 1, which is also its end token
/// HFTokenizer(folder, 64, clean="canonicalize")     # SigLIP 2; filled up to 64 with 0
/// ```
///
/// The folders have the published tokenizer.json, and a tokenizer_config.json with the class (T5Tokenizer, GemmaTokenizer) and
/// the padding token that open_clip's own `SigLipTokenizer` sets.
const OPEN_CLIP: [Ids; 6] = [
    (
        "caf&eacute; &amp;amp; a_red_bicycle &lt;3 &#233;&copy 2",
        &[49406, 15304, 261, 320, 318, 736, 318, 11652, 283, 274, 4166, 5811, 273, 49407],
        &[14983, 262, 266, 1226, 8687, 455, 262, 2083, 24705, 454],
        &[81453, 476, 3118, 34334, 235248, 235304, 1428, 236011, 235248, 235284, 1],
    ),
    (
        "“it’s” the ﬁne\u{a0}dog—…\r\nÉTÉ",
        &[49406, 257, 585, 568, 257, 518, 3797, 1929, 6718, 959, 3459, 39694, 49407],
        &[375, 260, 1338, 1571, 492, 500, 262, 2083, 15900],
        &[1218, 573, 4948, 5929, 235403, 235417, 8515, 1],
    ),
    (
        "it's we're I'll THEY'D 'tis",
        &[49406, 585, 568, 649, 982, 328, 1342, 889, 1896, 713, 533, 49407],
        &[375, 351, 262, 1987, 316, 303, 262, 278, 447],
        &[1218, 1049, 3070, 984, 235258, 49437, 1],
    ),
    (
        "under_score __init__ a-b a–b a—b",
        &[49406, 1798, 318, 4431, 3838, 42670, 3838, 320, 268, 321, 320, 1224, 321, 320, 2005, 321, 49407],
        &[503, 2116, 268, 586, 262, 266, 402, 262, 266, 1139, 402, 262, 266, 492, 402],
        &[5323, 7716, 8128, 841, 476, 235389, 235268, 476, 235403, 235268, 1],
    ),
    (
        "ｶﾀｶﾅ ﾊﾝｸﾞﾙ ＡＢＣ １２３ ￥ ￡\u{3000}full",
        &[
            49406, 37367, 34941, 37367, 2429, 488, 2429, 237, 45105, 108, 2429, 360, 5334, 272, 273, 274, 20199, 1950,
            1476, 49407,
        ],
        &[262, 2, 262, 2, 262, 266, 402, 399, 17061, 262, 2, 6402, 553],
        &[94265, 108862, 16292, 91315, 20079, 235248, 235274, 235284, 235304, 74393, 5955, 2247, 1],
    ),
    (
        "P&EACUTE;REZ &ntilde; &NTILDE; &Aacute;",
        &[49406, 43167, 15192, 127, 365, 127, 365, 22229, 49407],
        &[262, 388, 2083, 14479, 262, 2, 262, 2, 262, 3845],
        &[33764, 8242, 89003, 89003, 4617, 1],
    ),
];

#[test]
fn published_tokenizers_give_open_clips_ids() {
    let Some(data) = published() else { return };
    let encoder = |file: &str, text: &str, tokenizer: &str| {
        let vision = r#"{"timm_model_name": "vit_base_patch16_siglip_224", "timm_pool": "map", "timm_proj": "none"}"#;
        let siglip = format!(r#""embed_dim": 768, "init_logit_bias": -10, "vision_cfg": {vision}"#);
        let model = if text == "{}" { r#""embed_dim": 512"# } else { &siglip };
        let config = format!(r#"{{"model_cfg": {{{model}, "text_cfg": {text}}}}}"#);
        let config = Config::parse_open_clip(config.as_bytes(), tokenizer.as_bytes()).expect("open_clip's settings");
        let tokenizer = fs::read(data.join(file).join("tokenizer.json")).expect("a published file");
        TextEncoder::new(&TokenizerFiles::Json(tokenizer), &config).expect("a published tokenizer")
    };
    let siglip = |vocab: usize| {
        format!(
            r#"{{"hf_tokenizer_name": "x", "tokenizer_kwargs": {{"clean": "canonicalize"}}, "context_length": 64,
                "vocab_size": {vocab}, "proj_bias": true}}"#
        )
    };
    let clip = encoder("clip", "{}", "{}");
    let first = encoder("siglip", &siglip(32_000), r#"{"pad_token": "</s>"}"#);
    let second = encoder("siglip2", &siglip(256_000), r#"{"pad_token": "<pad>"}"#);
    let filled = |ids: &[u32], length: usize, pad: u32| {
        let mut ids = ids.to_vec();
        ids.resize(length, pad);
        ids
    };
    for (text, clip_ids, first_ids, second_ids) in OPEN_CLIP {
        assert_eq!(clip.encode(text).expect("ids"), filled(clip_ids, 77, 0), "CLIP: {text:?}");
        assert_eq!(first.encode(text).expect("ids"), filled(first_ids, 64, 1), "SigLIP: {text:?}");
        assert_eq!(second.encode(text).expect("ids"), filled(second_ids, 64, 0), "SigLIP 2: {text:?}");
    }
    // Cut so that the end token stays.
    let long = "word ".repeat(100);
    for (encoder, start, length, word, end) in
        [(&clip, 49406, 77, 2653, 49407), (&first, 1281, 64, 1281, 1), (&second, 1928, 64, 2204, 1)]
    {
        let ids = encoder.encode(&long).expect("ids");
        assert_eq!((ids.len(), ids[0], ids[1], ids[length - 2], ids[length - 1]), (length, start, word, word, end));
    }
}

/// Texts as they are, and after open_clip's `_clean_whitespace`, `_clean_lower` and `_clean_canonicalize`.
const CLEANED: [[&str; 4]; 16] = [
    [
        "caf&eacute; &amp;amp; a_red_bicycle &lt;3 &#233;&copy 2",
        "café & a_red_bicycle <3 é© 2",
        "café & a_red_bicycle <3 é© 2",
        "café a red bicycle 3 é© 2",
    ],
    [
        "“it’s” the ﬁne\u{a0}dog—…\r\nÉTÉ",
        "\"it's\" the fine dog—… ÉTÉ",
        "\"it's\" the fine dog—… été",
        "its the fine dog—… été",
    ],
    [
        "a &#8217;quote&#8217; &rsquo;s &amp;rsquo; &amp;amp;amp;amp;lt; x",
        "a 'quote' 's ' < x",
        "a 'quote' 's ' < x",
        "a quote s x",
    ],
    ["<p>&amp;eacute; &amp;amp;lt; &rsquo;", "<p>é &lt; ’", "<p>é &lt; ’", "pé lt ’"],
    ["<b>&lt;i&gt;&rsquo;</b>", "<b><i>’</b>", "<b><i>’</b>", "bi’b"],
    [
        "line one &eacute;\n<br> two &eacute; &rsquo;\n three &rsquo;",
        "line one é <br> two é ’ three ’",
        "line one é <br> two é ’ three ’",
        "line one é br two é ’ three ’",
    ],
    [
        "\u{1b}[31mred\u{1b}[0m dog \u{7} bell\u{7f} \u{feff}bom \u{206a} x",
        "red dog bell bom x",
        "red dog bell bom x",
        "red dog bell bom x",
    ],
    [
        "ｶﾀｶﾅ ﾊﾝｸﾞﾙ ＡＢＣ １２３ ￥ ￡\u{3000}full",
        "カタカナ ハングル ABC 123 ¥ £ full",
        "カタカナ ハングル abc 123 ¥ £ full",
        "カタカナ ハングル abc 123 ¥ £ full",
    ],
    ["ĳ ŉ Ǆ ﬀ ﬃ ﬅ ﬆ", "ij 'n DŽ ff ffi ſt st", "ij 'n dž ff ffi ſt st", "ij n dž ff ffi ſt st"],
    ["é å Å Å ﷺ ½ ²", "é å Å Å ﷺ ½ ²", "é å å å ﷺ ½ ²", "é å å å ﷺ ½ ²"],
    [
        "  \t many \u{2003} spaces \u{2028} sep \u{2029} para \u{85} nel  ",
        "many spaces sep para … nel",
        "many spaces sep para … nel",
        "many spaces sep para … nel",
    ],
    ["P&EACUTE;REZ &ntilde; &NTILDE; &Aacute;", "PÉREZ ñ Ñ Á", "pérez ñ ñ á", "pérez ñ ñ á"],
    ["&#128;&#x80;&#0;&#xD800;&#x110000; x", "€€��� x", "€€��� x", "€€��� x"],
    ["a&b&c; R&D; AT&T; &lt &gt &amp&quot", "a&b&c; R&D; AT&T; < > &\"", "a&b&c; r&d; at&t; < > &\"", "abc rd att"],
    ["&NotEqualTilde; &bne; &fjlig; &acE;", "≂̸ =⃥ fj ∾̳", "≂̸ =⃥ fj ∾̳", "≂̸ ⃥ fj ∾̳"],
    [
        "the &lt;green> _tree_, &AMP; 3 &notit; dogs",
        "the <green> _tree_, & 3 ¬it; dogs",
        "the <green> _tree_, & 3 ¬it; dogs",
        "the green tree 3 ¬it dogs",
    ],
];

#[test]
fn cleaned_texts_are_open_clips() {
    use OpenClipCleaning::{Canonicalize, Lower, Whitespace};
    for [text, whitespace, lower, canonicalize] in CLEANED {
        for (rule, expected) in [(Whitespace, whitespace), (Lower, lower), (Canonicalize, canonicalize)] {
            assert_eq!(cleaned(text, Cleaning::OpenClip(rule)), expected, "{rule:?}: {text:?}");
        }
    }
    // transformers' SigLIP drops what open_clip turns into a space.
    assert_eq!(cleaned("a_b", Cleaning::Canonical), "ab");
    assert_eq!(cleaned("a_b", Cleaning::OpenClip(Canonicalize)), "a b");
    // What is not imitated: ftfy would make one letter of these two.
    assert_eq!(cleaned("Ã©", Cleaning::OpenClip(Whitespace)), "Ã©");
    // Damage is no reason to panic.
    for text in
        ["&", "&#", "&#x", "&#99999999999999999999;", "&é;", "&\u{1f431};&amp", "\u{1b}[", "\u{1b}[1;", "&#;&x;"]
    {
        let _ = cleaned(text, Cleaning::OpenClip(Lower));
    }
}
