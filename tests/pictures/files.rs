//! Picture files natively: what is not RGB, what moves, and what is broken.

use std::{fs, path::Path};

use base64::decode;
use ocelli::{Error, pictures::Picture};

fn open(bytes: &[u8]) -> Result<Picture, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("picture");
    fs::write(&path, bytes).expect("a file");
    Picture::open(&path)
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images").join(name)).expect("a fixture")
}

/// Made with Pillow: 8 × 6 pixels of CMYK in Adobe's inverted form, of which Pillow's own `convert("RGB")` makes (51, 235,
/// 207) on the left and (235, 51, 207) on the right.
const CMYK: &str = "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoKCgYICwwLCgwJCgoK/8AAFAgABgAIBEMRAE0RAFkRAEsRAP/EABUAAQEAAAAAAAAAAAAAAAAAAAcJ/8QAGBAAAgMAAAAAAAAAAAAAAAAAAApHhsX/2gAOBEMATQBZAEsAAD8AbFKp/qmwNjasAWvHLCFrD//Z";

#[test]
fn cmyk_is_pillows() {
    let picture = open(&decode(CMYK).expect("base64")).expect("a picture").0;
    assert_eq!(picture.dimensions(), (8, 6));
    for (x, expected) in [(1, [51, 235, 207]), (6, [235, 51, 207])] {
        let found = picture.get_pixel(x, 3).0;
        assert!(found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2), "expected {expected:?}, found {found:?}");
    }
}

/// 5 × 4 pixels, red and then blue, as GIF, WebP and PNG: Pillow opens the first picture too.
const MOVING: [&str; 3] = [
    "R0lGODlhBQAEAIEAAP8AAAAAAAAAAAAAACH5BAAKAAAALAAAAAAFAAQAAAgJAAEIHEiwYMGAACH5BAEKAAEALAAAAAAFAAQAgQAA/wAAAAAAAAAAAAgJAAEIHEiwYMGAADs=",
    "UklGRoQAAABXRUJQVlA4WAoAAAACAAAABAAAAwAAQU5JTQYAAAAAAAAAAABBTk1GKAAAAAAAAAAAAAQAAAMAAGQAAAJWUDhMDwAAAC8EwAAABxD9j/4HIqL/AQBBTk1GKAAAAAAAAAAAAAQAAAMAAGQAAABWUDhMDwAAAC8EwAAABxDR//4HIqL/AQA=",
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAECAIAAADJUWIXAAAACGFjVEwAAAACAAAAAPONk3AAAAAaZmNUTAAAAAAAAAAFAAAABAAAAAAAAAAAAAEACgAAgJCDuQAAABFJREFUeJxj/M+AApgYSOMDAEABAQdqF6PEAAAAGmZjVEwAAAABAAAABQAAAAQAAAAAAAAAAAABAAoAABvjaW0AAAAYZmRBVAAAAAJ4nGNkYPjPgASYGFABIT4APgMBB+qjrv8AAAAASUVORK5CYII=",
];

#[test]
fn the_first_of_a_moving_picture_counts() {
    for (name, moving) in ["GIF", "WebP", "PNG"].into_iter().zip(MOVING) {
        let picture = open(&decode(moving).expect("base64")).unwrap_or_else(|e| panic!("{name}: {e}")).0;
        assert_eq!(picture.dimensions(), (5, 4), "{name}");
        assert!(picture.pixels().all(|pixel| pixel.0 == [255, 0, 0, 255]), "{name}");
    }
}

#[test]
fn a_single_pixel_and_a_very_wide_picture_open() {
    assert_eq!(open(&fixture("one-1x1.png")).expect("a picture").0.dimensions(), (1, 1));
    let mut wide = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(20_000, 3).write_to(&mut wide, image::ImageFormat::Png).expect("a picture");
    assert_eq!(open(wide.get_ref()).expect("a picture").0.dimensions(), (20_000, 3));
}

/// At every length but the whole: no picture, one error that names the file, and no panic.
#[test]
fn pictures_that_are_empty_or_cut_off_say_so() {
    let mut all: Vec<(&str, Vec<u8>)> =
        ["photo-113x79.jpg", "rgb-61x37.png", "palette-48x29.png", "orientation3-29x47.webp"]
            .map(|name| (name, fixture(name)))
            .into();
    all.push(("CMYK", decode(CMYK).expect("base64")));
    all.push(("GIF", decode(MOVING[0]).expect("base64")[..53].to_vec()));
    for (name, whole) in all {
        if name != "GIF" {
            open(&whole).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        for length in (0..whole.len() - 12).step_by(7) {
            let Err(error) = open(&whole[..length]) else { panic!("{name}: {length} of {} bytes pass", whole.len()) };
            assert_eq!(error.code(), "bad-image", "{name}: {length}: {error}");
            assert!(error.to_string().contains("picture: expected a PNG"), "{name}: {length}: {error}");
        }
    }
}

/// 24 × 16 pixels of a progressive JPEG with a restart marker after every block, made with Pillow.
const PROGRESSIVE: &str = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wgARCAAQABgDASIAAhEBAxEB/8QAFwAAAwEAAAAAAAAAAAAAAAAAAAQFA//EABYBAQEBAAAAAAAAAAAAAAAAAAMCBP/dAAQAAf/aAAwDAQACEAMQAAABksPsWH//0MCuHt//xAAWEAADAAAAAAAAAAAAAAAAAAAAAQP/2gAIAQEAAQUCUz//0FM//9FTP//SUz//01M//9RTP//EABgRAAIDAAAAAAAAAAAAAAAAAAAEAgMh/9oACAEDAQE/AaWD/9CDGH//xAAXEQADAQAAAAAAAAAAAAAAAAAAAQMC/9oACAECAQE/AdXP/9B3P//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEABj8Cf//Qf//Rf//Sf//Tf//Uf//EABUQAQEAAAAAAAAAAAAAAAAAAABh/9oACAEBAAE/IZP/0JP/0ZP/0pP/01//1JP/2gAMAwEAAgADAAAAEK//0Dv/xAAXEQEAAwAAAAAAAAAAAAAAAAAAITFR/9oACAEDAQE/EK5f/9DU/8QAFxEBAAMAAAAAAAAAAAAAAAAAACExYf/aAAgBAgEBPxDR/9CS3//EABUQAQEAAAAAAAAAAAAAAAAAAABh/9oACAEBAAE/EC//0C//0S//0i//04v/1C//2Q==";

/// What stands within the picture or behind it has ends of its own, and beginnings: they say nothing about this picture's end.
#[test]
fn a_jpegs_own_end_counts() {
    for whole in [fixture("photo-113x79.jpg"), decode(PROGRESSIVE).expect("base64")] {
        let right = open(&whole).expect("a picture").0;
        let end = whole.len() - 2;
        let film = [b"\0\0\0\x18ftypmp42".as_slice(), &[0xff, 0xda, 0, 12, 7, 0xff, 0xd8, 1, 0xff, 0xda, 9]].concat();
        for behind in [&film[..], &whole, &[0xff, 0xd9], &[0xff, 0xff], &[0; 100]] {
            assert_eq!(open(&[&whole, behind].concat()).expect("what is behind is not its own").0, right);
        }
        // Fill bytes before a marker, and bytes of nothing between two segments.
        for between in [&[0xff, 0xff][..], &[0, 0]] {
            assert_eq!(open(&[&whole[..end], between, &whole[end..]].concat()).expect("a picture").0, right);
        }
        // A thumbnail with its own end, in a segment.
        let segment = [&[0xff, 0xe1][..], &(whole.len() as u16 + 2).to_be_bytes(), &whole].concat();
        let with_thumbnail = [&whole[..2], &segment, &whole[2..]].concat();
        assert_eq!(open(&with_thumbnail).expect("a picture").0, right);
        // Cut off behind the thumbnail's end: before the picture's own end, in its scan, and before its first segment.
        for cut in [with_thumbnail.len() - 2, with_thumbnail.len() - 30, 2 + segment.len()] {
            let Err(error) = open(&with_thumbnail[..cut]) else {
                panic!("{cut} of {} bytes pass", with_thumbnail.len())
            };
            assert!(error.to_string().contains("ends too early"), "{cut}: {error}");
        }
    }
}

/// 4 × 4 pixels with a frame of 2 × 2 at (1, 1), all of it of index 1: written by hand; the colour at (0, 0) is what Pillow 12.3 shows.
const SMALL_FRAMES: [(&str, &str, [u8; 4]); 8] = [
    ("no transparent colour", "R0lGODlhBAAEAIEAAAoUHsgAAADIAAAAyCwBAAEAAgACAAACBAzDMAUAOw==", [10, 20, 30, 255]),
    ("a background of index 2", "R0lGODlhBAAEAIECAAoUHsgAAADIAAAAyCwBAAEAAgACAAACBAzDMAUAOw==", [10, 20, 30, 255]),
    ("transparent: 3", "R0lGODlhBAAEAIEAAAoUHsgAAADIAAAAyCH5BAEAAAMALAEAAQACAAIAAAIEDMMwBQA7", [0, 0, 200, 0]),
    ("both", "R0lGODlhBAAEAIECAAoUHsgAAADIAAAAyCH5BAEAAAMALAEAAQACAAIAAAIEDMMwBQA7", [0, 0, 200, 0]),
    ("a palette of the frame's own", "R0lGODlhBAAEAAAAACwBAAEAAgACAIEBAgMEBQZGUFpkbngCBAzDMAUAOw==", [1, 2, 3, 255]),
    (
        "two palettes, transparent: 2",
        "R0lGODlhBAAEAIEAAAoUHsgAAADIAAAAyCH5BAEAAAIALAEAAQACAAIAgQECAwQFBkZQWmRueAIEDMMwBQA7",
        [70, 80, 90, 0],
    ),
    ("transparent: 200 of 4", "R0lGODlhBAAEAIEAAAoUHsgAAADIAAAAyCH5BAEAAMgALAEAAQACAAIAAAIEDMMwBQA7", [0, 0, 0, 0]),
    ("a canvas of 2 × 2", "R0lGODlhAgACAIEAAAoUHsgAAADIAAAAyCwBAAEAAgACAAACBAzDMAUAOw==", [10, 20, 30, 255]),
];

#[test]
fn around_a_gifs_first_frame_is_what_pillow_shows() {
    for (name, file, around) in SMALL_FRAMES {
        let picture = open(&decode(file).expect("base64")).unwrap_or_else(|e| panic!("{name}: {e}")).0;
        let inside = match name {
            "a palette of the frame's own" | "two palettes, transparent: 2" => [4, 5, 6, 255],
            _ => [200, 0, 0, 255],
        };
        let side = if name == "a canvas of 2 × 2" { 3 } else { 4 };
        assert_eq!(picture.dimensions(), (side, side), "{name}");
        for (x, y, pixel) in picture.enumerate_pixels() {
            let expected = if (1..3).contains(&x) && (1..3).contains(&y) { inside } else { around };
            assert_eq!(pixel.0, expected, "{name}: ({x}, {y})");
        }
    }
}

/// Of each 16 bits the high byte, as Pillow takes it.
#[test]
fn sixteen_bits_give_their_high_byte() {
    let value = |at: usize| (at as u16).wrapping_mul(2011).wrapping_add(0xf0);
    let channels = |count: usize| (0..8 * 4 * count).map(value).collect::<Vec<u16>>();
    let high = |channel: u16| (channel >> 8) as u8;
    let png = |image: image::DynamicImage| {
        let mut file = std::io::Cursor::new(Vec::new());
        image.write_to(&mut file, image::ImageFormat::Png).expect("a picture");
        open(file.get_ref()).expect("a picture").0.into_raw()
    };
    let buffer = "as many as there are";
    let grey = png(image::ImageBuffer::<image::Luma<u16>, _>::from_raw(8, 4, channels(1)).expect(buffer).into());
    let both = png(image::ImageBuffer::<image::LumaA<u16>, _>::from_raw(8, 4, channels(2)).expect(buffer).into());
    let rgb = png(image::ImageBuffer::<image::Rgb<u16>, _>::from_raw(8, 4, channels(3)).expect(buffer).into());
    let rgba = png(image::ImageBuffer::<image::Rgba<u16>, _>::from_raw(8, 4, channels(4)).expect(buffer).into());
    for at in 0..8 * 4 {
        let found = |picture: &[u8]| -> [u8; 4] { picture[at * 4..][..4].try_into().expect("four") };
        let of = |channel: usize| high(value(channel));
        assert_eq!(found(&grey), [of(at), of(at), of(at), 255], "grey {at}");
        assert_eq!(found(&both), [of(2 * at), of(2 * at), of(2 * at), of(2 * at + 1)], "grey and alpha {at}");
        assert_eq!(found(&rgb), [of(3 * at), of(3 * at + 1), of(3 * at + 2), 255], "RGB {at}");
        assert_eq!(found(&rgba), [0, 1, 2, 3].map(|c| of(4 * at + c)), "RGBA {at}");
    }
    let rounded = |at: usize| ((u32::from(value(at)) + 128) / 257) as u8;
    assert!((0..32).any(|at| high(value(at)) != rounded(at)), "rounding would differ");
}

#[test]
fn formats_that_are_not_decoded_are_named() {
    let cases: [(&[u8], &str); 9] = [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", "AVIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- c --><svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\n <svg width='1'/>", "SVG"),
        (b"\0\0\x01\0\x01\0", "ICO"),
    ];
    for (bytes, name) in cases {
        let error = open(bytes).err().expect("no picture").to_string();
        assert!(error.contains(&format!("found {name}: convert it to PNG or JPEG")), "{error}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let error = Picture::open(folder.path()).err().expect("no picture").to_string();
    assert!(error.contains("found a folder"), "{error}");
}
