//! Picture files natively: what is not RGB, what moves, and what is broken.

#[path = "../src/bin/ocelli/picture.rs"]
#[expect(dead_code, reason = "tests read pictures and write none")]
mod picture;

use std::{fs, path::Path};

use base64::decode;
use ocelli::Error;
use picture::Picture;

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
