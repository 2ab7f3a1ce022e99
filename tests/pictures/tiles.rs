//! Tiles of SmolVLM and LLaVA-OneVision: rows, columns and bytes are those of their image processors (`tools/make_tiles.py` prints them), and
//! the usual mistakes are not.

use ocelli::{
    Checkpoint,
    config::{Filter, Preprocessor, Resize, Tiles},
    preprocess::{Packing, Tiling, resize},
};
use sha2::{Digest, Sha256};

use crate::common;

/// Width, height, longest edge, side of a tile, whether it is cut, rows and columns, and the SHA-256 of all tiles in RGB.
type Split = (usize, usize, usize, usize, bool, [usize; 2], &'static str);

const SPLIT: [Split; 15] = [
    (61, 37, 192, 64, true, [2, 3], "b78c211c29bbca201b4c8304b5f89e8f6f4dcd16847c29a883d5201eafe77382"),
    (37, 61, 192, 64, true, [3, 2], "2f132219a47255d95b17fc700de24209b59c581ac5fa7e73e7571d874a962807"),
    (23, 97, 192, 64, true, [3, 1], "ae09881f25f7eb63c72a7e7705ab08e50aa3918ff2c81aabaa6bee0483b37d66"),
    (1, 1, 192, 64, true, [3, 3], "6d7bd1fa33ee71b2d2c4fc8062f6c4b09804b84449ff73a687fe7cfd568d0625"),
    (7, 5, 192, 64, true, [3, 3], "5b2f753206e0a76cfa71bfdd5586aae6c9d3e232d7bebd8bf18798e67f17f56e"),
    (301, 300, 192, 64, true, [3, 3], "3fb35fbeeabd268b31298a537154130916d08b5a6c9dd569fc81910020c4daba"),
    (3, 2000, 192, 64, true, [3, 1], "6bbf9ecadfe1e6c44cf0c75a27491fcca96600e2d8ab56e3331cee7400f50562"),
    (2000, 3, 192, 64, true, [1, 3], "6f932b7a07897d3a30046c54b8bae30391e9ba87c521f276d45cf5c58e7c01d5"),
    (192, 128, 192, 64, true, [2, 3], "df3422906be8e4209148175d347eb028251ca6213b85fdd401b155144329d193"),
    (61, 37, 64, 64, true, [0, 0], "79e42ee527dcd8ff978ef8db02258d7248da621a4754038ba7a0f9cb061822e2"),
    (61, 37, 147, 49, true, [2, 3], "ee9e66eaeff8eaf93589fd37ebea0f276d545c23f133fd8fee2abca9d12f4b84"),
    (200, 131, 50, 32, true, [2, 2], "4770f4734e362e5d508ca961a3f122b26a5ae974d9b7be6ab091257364e6804a"),
    (61, 37, 192, 64, false, [0, 0], "0c716183dccf36ff4291a5cc16c631c2f8212e79ff35eaaae19c66603e14ba16"),
    (3, 2000, 192, 64, false, [0, 0], "4cb8160f24e4a8ec30d219fc9c64e2f2d2766268c2ca0bd8e682425590dc9a91"),
    (1000, 10, 192, 64, false, [0, 0], "fbd6902fd0b4f63218734db1012cdfa3a3c67a6bfcf999b240810df82a5576e9"),
];

/// Width, height, longest edge, side of a tile, rows and columns.
const SIZES: [(usize, usize, usize, usize, [usize; 2]); 28] = [
    (1, 1, 2048, 512, [4, 4]),
    (64, 64, 2048, 512, [4, 4]),
    (386, 386, 2048, 512, [4, 4]),
    (512, 512, 2048, 512, [4, 4]),
    (513, 511, 2048, 512, [4, 4]),
    (1024, 768, 2048, 512, [3, 4]),
    (1920, 1080, 2048, 512, [3, 4]),
    (500, 2000, 2048, 512, [4, 1]),
    (2048, 1025, 2048, 512, [3, 4]),
    (300, 301, 2048, 512, [4, 4]),
    (5000, 50, 2048, 512, [1, 4]),
    (50, 5000, 2048, 512, [4, 1]),
    (1, 100000, 2048, 512, [4, 1]),
    (100000, 7, 2048, 512, [1, 4]),
    (1, 1, 1536, 384, [4, 4]),
    (64, 64, 1536, 384, [4, 4]),
    (386, 386, 1536, 384, [4, 4]),
    (512, 512, 1536, 384, [4, 4]),
    (513, 511, 1536, 384, [4, 4]),
    (1024, 768, 1536, 384, [3, 4]),
    (1920, 1080, 1536, 384, [3, 4]),
    (500, 2000, 1536, 384, [4, 1]),
    (2048, 1025, 1536, 384, [2, 4]),
    (300, 301, 1536, 384, [4, 4]),
    (5000, 50, 1536, 384, [1, 4]),
    (50, 5000, 1536, 384, [4, 1]),
    (1, 100000, 1536, 384, [4, 1]),
    (100000, 7, 1536, 384, [1, 4]),
];

/// Of LLaVA-OneVision with tiles of 42 pixels: width, height, rows and columns, and the SHA-256 of all tiles in RGB.
const GRID: [(usize, usize, [usize; 2], &str); 11] = [
    (61, 37, [1, 2], "3002c863611bc577acb45074a0e12819042c0445bbb5a81a6ac4398b2e74ba41"),
    (37, 61, [2, 1], "99593b06771e2aa3c24e20cf6630ef89e67e5d4c470cfa762622b6a38f728618"),
    (96, 96, [2, 2], "18646c81920d2aea5f63a8872a6d1bd8d4008b7d06c859b0a3d855a7d6bf34e8"),
    (23, 97, [3, 1], "d8d566a1497ed93439bfab8424631def708bad8cf939879a7c69bb719029b7c4"),
    (7, 5, [1, 1], "8f41b809c42cbb2f1385c73fb53f98d879f2f076a5663cb815f2179aa5ec27fb"),
    (1, 1, [1, 1], "5653245968f2b72cba85fe001ef4ec413bd57ea73e3dc471930505746c268076"),
    (300, 100, [1, 3], "e7e39c1d89fd103a37b2075deecc4501c24b3d3775b3451fb16db8a8c83df2c5"),
    (3, 2000, [1, 1], "58c8b00dde611a7d1ba09d84803d7c316c2dc380d3a6ca1e3394ca8dbd547921"),
    (42, 42, [1, 1], "9b69b435b7b47e4ca60ba8687792e955aba3aea8e787321424995f400350b011"),
    (126, 42, [1, 3], "9e90f6a388c34d61c4e6a0f0e15d74b51689389051af82c3845a314b57b7818d"),
    (97, 43, [1, 3], "d59fa5a5eeb07759435bc684490b0d1dea9b3201eb68ee2a12ae058992969b37"),
];

/// Of several pictures of LLaVA-OneVision, each in the middle of a square that becomes 42 pixels: width, height, and the SHA-256 in RGB.
const CENTRED: [(usize, usize, &str); 10] = [
    (61, 37, "a1e35fff45572ba2342914956e58be0749476767cb732cf1195a6da246e64462"),
    (37, 61, "9c604ad7e2fea0eadb549030535293b1a918c515d2bc717ca01e2d5c694481cc"),
    (96, 96, "c6e6d944cf5178e4f797b8808891e9aac3c44220279ff5aacc9fd20061e19f88"),
    (23, 97, "1001b61dac1c6274b6b9c34d81b3e49a96d67906bfb8a768645c84bd62fc930c"),
    (7, 5, "c788e14fe08a12060565a049572553735a9ff10b53a271cff4351c18daf710d6"),
    (1, 1, "c460505742c84e0927952d8714c1fce936e65876fa079e678343ea7469da8b0b"),
    (3, 2000, "08904d8208489997b3668f90c49348ddb42e264df969a7f2bc5f2644e9208184"),
    (2000, 3, "23c941213abc5612854ef2aa767dffb2e85c3a4abfcaebfdae50ad7f9578a6a7"),
    (42, 42, "765cc5271edc0688f7037cfbd04eb2d164fae2f5b7695b4ca15e751b1669fd6b"),
    (41, 43, "27133c7514e187a89a1adee241b6dfbfb7404e1253743b35940b6018b1367a96"),
];

/// Red, green and blue around them: `int(255 * x)` of CLIP's mean.
const MEAN: [u8; 3] = [122, 116, 104];

/// Of LLaVA-OneVision as it is published: width, height, rows and columns of tiles, columns and rows of tokens.
const PACKED: [(usize, usize, [usize; 2], [usize; 2]); 12] = [
    (1, 1, [1, 1], [27, 27]),
    (384, 384, [1, 1], [27, 27]),
    (386, 386, [2, 2], [54, 54]),
    (640, 480, [2, 2], [54, 40]),
    (1920, 1080, [3, 5], [108, 60]),
    (1080, 1920, [5, 3], [60, 108]),
    (4000, 3000, [5, 6], [93, 70]),
    (500, 2000, [6, 2], [40, 162]),
    (5000, 50, [1, 6], [162, 1]),
    (50, 5000, [6, 1], [1, 162]),
    (2303, 2305, [6, 6], [81, 81]),
    (333, 1000, [3, 1], [27, 81]),
];

/// The SHA-256 of as many more, as lines of text.
const MORE: (usize, &str) = (600, "86ecf5c346eca18f73636765b4580206f9f5d69d81eca7a6eb1f5bb394d4493a");

fn rule(filter: Filter, tiles: Tiles) -> Preprocessor {
    let checkpoint = Checkpoint::open(&common::fixtures().join("siglip")).expect("a fixture");
    let side = tiles.side().expect("tiles");
    let resize = Resize::Squash { width: side, height: side };
    Preprocessor { resize, filter, tiles, crop: None, ..checkpoint.config.preprocessor }
}

fn split(longest_edge: usize, side: usize, split: bool) -> Preprocessor {
    rule(Filter::Lanczos, Tiles::Split { longest_edge, side, split })
}

fn grid(side: usize, sizes: &[[usize; 2]]) -> Preprocessor {
    let pinpoints = sizes.iter().map(|[rows, columns]| [columns * side, rows * side]).collect();
    rule(Filter::Bicubic, Tiles::Grid { pinpoints, side, fill: MEAN })
}

/// Rows and columns.
const SMALL_GRID: [[usize; 2]; 6] = [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [3, 1]];

/// As the tool paints it.
fn picture(width: usize, height: usize) -> Vec<u32> {
    let pixel = |at: usize| {
        let (x, y) = (at % width, at / width);
        let channels = [x * 37 + y * 11, x * y + y * 5, (x * 7) ^ (y * 13), 255];
        u32::from_le_bytes(channels.map(|channel| channel as u8))
    };
    (0..width * height).map(pixel).collect()
}

fn digest(tiles: &[Vec<u32>]) -> String {
    let rgb: Vec<u8> = tiles.iter().flatten().flat_map(|pixel| pixel.to_le_bytes().into_iter().take(3)).collect();
    Sha256::digest(&rgb).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tiling(rule: &Preprocessor, width: usize, height: usize) -> Tiling {
    Tiling::new(rule, width, height).expect("within bounds")
}

#[test]
fn smolvlms_tiles_are_the_references() {
    for (width, height, longest_edge, side, cut, [rows, columns], expected) in SPLIT {
        let tiling = tiling(&split(longest_edge, side, cut), width, height);
        assert_eq!([tiling.rows, tiling.columns], [rows, columns], "{width} × {height}");
        let tiles = tiling.resize(&picture(width, height), width, height);
        assert_eq!(tiles.len(), rows * columns + 1);
        assert_eq!(digest(&tiles), expected, "{width} × {height} to {longest_edge}, {side}, {cut}");
    }
}

#[test]
fn smolvlms_rows_and_columns_are_the_references() {
    for (width, height, longest_edge, side, expected) in SIZES {
        let tiling = tiling(&split(longest_edge, side, true), width, height);
        assert_eq!([tiling.rows, tiling.columns], expected, "{width} × {height} to {longest_edge}");
    }
}

#[test]
fn less_detail_is_one_tile() {
    let rule = split(192, 64, true);
    let low = Preprocessor { tiles: rule.tiles.for_prompt(true, false), ..rule.clone() };
    assert_eq!(low, split(192, 64, false));
    assert_eq!(tiling(&low, 386, 386).seen.len(), 1);
    // One of several is cut like one alone; LLaVA-OneVision's is not.
    assert_eq!(rule.tiles.for_prompt(false, true), rule.tiles);
    let tiles = grid(42, &SMALL_GRID).tiles;
    assert_eq!(tiles.for_prompt(false, false), tiles);
    for (low, several) in [(true, false), (false, true), (true, true)] {
        assert_eq!(tiles.for_prompt(low, several), Tiles::Centred { side: 42, fill: MEAN });
    }
}

/// Each of several pictures, and what somebody would do with one.
#[test]
fn pictures_are_centred_as_in_the_reference() {
    let made = |tiles: Tiles, width: usize, height: usize| {
        let tiling = tiling(&rule(Filter::Bicubic, tiles), width, height);
        assert_eq!((tiling.rows, tiling.columns, tiling.seen.len()), (0, 0, 1));
        digest(&tiling.resize(&picture(width, height), width, height))
    };
    for (width, height, expected) in CENTRED {
        assert_eq!(made(Tiles::Centred { side: 42, fill: MEAN }, width, height), expected, "{width} × {height}");
        let black = made(Tiles::Centred { side: 42, fill: [0; 3] }, width, height);
        let bare = Preprocessor { tiles: Tiles::Whole, ..grid(42, &SMALL_GRID) };
        let squashed = digest(&tiling(&bare, width, height).resize(&picture(width, height), width, height));
        assert_eq!([black != expected, squashed != expected], [width != height; 2], "{width} × {height}");
    }
    // As high as any: the square of it would be a terabyte.
    let high = vec![u32::from_le_bytes([9, 8, 7, 255]); 1 << 20];
    let tiles = Tiles::Centred { side: 42, fill: MEAN };
    let seen = tiling(&rule(Filter::Bicubic, tiles), 1, 1 << 20).resize(&high, 1, 1 << 20);
    assert!(seen[0].iter().all(|&pixel| pixel == u32::from_le_bytes([MEAN[0], MEAN[1], MEAN[2], 255])));
}

#[test]
fn llavas_tiles_are_the_references() {
    for (width, height, [rows, columns], expected) in GRID {
        let tiling = tiling(&grid(42, &SMALL_GRID), width, height);
        assert_eq!([tiling.rows, tiling.columns], [rows, columns], "{width} × {height}");
        let tiles = tiling.resize(&picture(width, height), width, height);
        assert_eq!(tiles.len(), rows * columns + 1);
        assert_eq!(digest(&tiles), expected, "{width} × {height}");
    }
}

#[test]
fn llavas_tokens_are_packed_as_in_the_reference() {
    let sizes: Vec<[usize; 2]> = (1..=6).flat_map(|rows| (1..=6).map(move |columns| [rows, columns])).collect();
    let rule = grid(384, &sizes);
    let packed = |width, height| {
        let tiling = tiling(&rule, width, height);
        ([tiling.rows, tiling.columns], Packing::new(&tiling, 27, 9, width, height))
    };
    let (mut shrunk, mut most) = (0, 0);
    for (width, height, expected, tokens) in PACKED {
        let (tiles, packing) = packed(width, height);
        assert_eq!((tiles, packing.shrunk), (expected, tokens), "{width} × {height}");
        assert_eq!(packing.tokens(), 27 * 27 + (tokens[0] + 1) * tokens[1]);
        shrunk += usize::from([packing.columns.len(), packing.rows.len()] != tokens);
    }
    assert!(shrunk > 0, "expected pictures of too many tokens, found none");
    let line = |i: usize| {
        let (width, height) = (1 + i * i * 7919 % 5003, 1 + i * 104_729 % 4999);
        let (tiles, packing) = packed(width, height);
        most = most.max(packing.tokens());
        format!("{width} {height} {tiles:?} {:?}\n", packing.shrunk)
    };
    let lines: String = (0..MORE.0).map(line).collect();
    assert_eq!(Sha256::digest(lines.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>(), MORE.1);
    // Room is made for the most of them.
    let bound = Packing::most_tokens(sizes.iter().copied(), 27, 9);
    assert!((most..most + 200).contains(&bound), "expected a little more than {most}, found {bound}");
}

/// What is packed, by the numbers of two small pictures; the reference's own are in `decoders/`.
#[test]
fn tokens_go_where_they_belong() {
    // Two tiles beside each other, 2 × 2 tokens each, of which the middle two columns are the picture.
    let packing = Packing { patches: 2, tiles: 2, columns: 1..3, rows: 0..2, shrunk: [2, 2] };
    let mut packed = packing.begin(&[-1.0]);
    packing.put(0, &[1.0, 2.0, 3.0, 4.0], &mut packed);
    packing.put(1, &[10.0, 11.0, 12.0, 13.0], &mut packed);
    packing.put(2, &[20.0, 21.0, 22.0, 23.0], &mut packed);
    assert_eq!(packed, [1.0, 2.0, 3.0, 4.0, 11.0, 20.0, -1.0, 13.0, 22.0, -1.0]);
    // Four columns of one row become three.
    let packing = Packing { patches: 2, tiles: 2, columns: 0..4, rows: 0..1, shrunk: [3, 1] };
    let mut packed = packing.begin(&[-1.0]);
    packing.put(0, &[0.0; 4], &mut packed);
    packing.put(2, &[3.0, 9.0, 0.0, 0.0], &mut packed);
    packing.put(1, &[0.0, 3.0, 0.0, 0.0], &mut packed);
    let close = |found: f32, expected: f32| (found - expected).abs() < 1e-5;
    let expected = [0.0, 0.0, 0.0, 0.0, 0.5, 3.0, 8.0, -1.0];
    assert!(packed.len() == 8 && packed.iter().zip(expected).all(|(&a, b)| close(a, b)), "{packed:?}");
    // A picture that is seen once.
    let packing = Packing { patches: 1, tiles: 0, columns: 0..0, rows: 0..1, shrunk: [0, 1] };
    let mut packed = packing.begin(&[7.0, 8.0]);
    packing.put(0, &[1.0, 2.0], &mut packed);
    assert_eq!(packed, [1.0, 2.0, 7.0, 8.0]);
}

/// Each is what somebody did.
#[test]
fn usual_mistakes_show() {
    let (width, height) = (61, 37);
    let pixels = picture(width, height);
    let (.., expected) = SPLIT[0];
    let right = split(192, 64, true);
    let made = |rule: &Preprocessor| tiling(rule, width, height).resize(&pixels, width, height);
    let tiles = made(&right);
    assert_eq!(digest(&tiles), expected);
    let squash = Preprocessor { tiles: Tiles::Whole, ..right.clone() };
    let sampling = tiling(&squash, width, height).seen.remove(0).sampling;
    let whole = resize(&pixels, width, height, &sampling);
    let bicubic = Preprocessor { filter: Filter::Bicubic, ..right.clone() };
    let exchanged = |a: usize, b: usize| {
        let mut tiles = tiles.clone();
        tiles.swap(a, b);
        tiles
    };
    let last = tiles.len() - 1;
    let direct = [&tiles[..last], std::slice::from_ref(&whole)].concat();
    for (mistake, tiles) in [
        ("bicubic for Lanczos", made(&bicubic)),
        ("tiles exchanged", exchanged(1, tiling(&right, width, height).columns)),
        ("the whole picture first", exchanged(0, last)),
        ("the whole picture made of the source", direct),
        ("enlarged to another size", made(&split(256, 64, true))),
    ] {
        assert_ne!(digest(&tiles), expected, "{mistake}");
    }
}

#[test]
fn pictures_out_of_bounds_are_refused() {
    for (width, height) in [(0, 1), (1, 0), (2 << 20, 1)] {
        let error = Tiling::new(&split(192, 64, true), width, height).expect_err("expected this to be refused");
        assert_eq!(error.code(), "bad-image", "{width} × {height}");
    }
}
