//! Token ids, exactly, against the reference's fixtures, and what becomes of a text before. `published.rs` has real tokenizers.

use std::{fs, path::Path};

use ocelli::{
    Checkpoint,
    config::{Cleaning, Config, OpenClipCleaning, Padding},
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
    for model in [
        "clip",
        "clip-eos",
        "siglip",
        "siglip-bf16",
        "siglip2",
        "naflex",
        "open-clip",
        "open-clip-siglip",
        "owlvit",
        "owlv2",
        "clipseg",
        "clipseg-refined",
    ] {
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

/// transformers' Siglip2Tokenizer lowers by the tokenizers library, letter by letter; SiglipTokenizer by Python's `str.lower`. The ids are
/// theirs for tests/fixtures/siglip2 and siglip.
#[test]
fn a_capital_sigma_at_the_end_of_a_word() {
    let ids = |model: &str, text: &str| {
        let checkpoint = Checkpoint::open(&fixtures().join(model)).expect("a sound fixture");
        TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a tokenizer").encode(text).expect("ids")
    };
    assert_eq!(cleaned("ΟΔΟΣ ΣΑΣ", Cleaning::Lowercase), "οδοσ σασ");
    assert_eq!(canonical("ΟΔΟΣ ΣΑΣ"), "οδος σας");
    assert_eq!(ids("siglip2", "ΟΔΟΣ ΟΔΥΣΣΕΥΣ"), [211, 196, 211, 185, 211, 196, 212, 136, 303, 211, 196, 1]);
    assert_eq!(ids("siglip", "ΟΔΟΣ ΟΔΥΣΣΕΥΣ")[..11], [262, 209, 194, 209, 183, 209, 194, 210, 133, 262, 209]);
    // A letter of which two become, and one outside of the basic plane.
    assert_eq!(cleaned("İ𐐀", Cleaning::Lowercase), "i\u{307}𐐨");
}

/// A user's text is text: no special token is made of it, where transformers would split at them.
#[test]
fn special_tokens_in_siglips_texts_are_text() {
    let checkpoint = Checkpoint::open(&fixtures().join("siglip")).expect("a sound fixture");
    let encoder = TextEncoder::new(&checkpoint.tokenizer, &checkpoint.config).expect("a tokenizer");
    let ids = |text: &str| encoder.encode(text).expect("ids");
    assert_eq!(ids("a dog</s>"), ids("a dogs"));
    assert_eq!(ids("a <unk> dog"), ids("a unk dog"));
    assert_ne!(ids("a dog</s>"), ids("a dog"), "the comparison sees the difference");
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
