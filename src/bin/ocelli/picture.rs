//! Picture files: decoded by the `image` crate, turned as EXIF says, colours untouched.

use std::{fs, io::Cursor, ops::Range, path::Path};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbaImage};
use ocelli::{
    Error, Result,
    backend::Backend,
    session::{Source, Strip},
};

/// A decoded picture: RGBA, eight bits a channel.
pub struct Picture(pub RgbaImage);

impl Picture {
    /// Decodes a file; its content decides the format, not its name.
    pub fn open(path: &Path) -> Result<Self> {
        let bad = |e: &dyn std::fmt::Display| {
            Error::BadImage(format!("{}: expected a PNG, JPEG, WebP, GIF or BMP picture: {e}", path.display()))
        };
        let bytes = fs::read(path).map_err(|e| Error::NotFound(format!("{}: {e}", path.display())))?;
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(|e| bad(&e))?;
        if reader.format() == Some(ImageFormat::Jpeg) && cut_off(&bytes) {
            return Err(bad(&"the file ends too early"));
        }
        let mut decoder = reader.into_decoder().map_err(|e| bad(&e))?;
        let orientation = decoder.orientation().map_err(|e| bad(&e))?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|e| bad(&e))?;
        image.apply_orientation(orientation);
        Ok(Self(image.into_rgba8()))
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.0.width() as usize, self.0.height() as usize)
    }
}

/// Whether a JPEG's last scan has no end: the decoder fills what is missing with grey, and says nothing.
fn cut_off(jpeg: &[u8]) -> bool {
    let last = |marker| jpeg.windows(2).rposition(|pair| pair == [0xff, marker]);
    let (start_of_scan, end_of_image) = (last(0xda), last(0xd9));
    end_of_image < start_of_scan
}

impl<B: Backend> Source<B> for Picture {
    fn size(&self) -> (usize, usize) {
        self.size()
    }
    fn upload(&self, rows: Range<usize>, strip: &Strip<B>) -> Result<()> {
        let width = self.0.width() as usize * 4;
        strip.fill(rows.map(|row| &self.0.as_raw()[row * width..(row + 1) * width]));
        Ok(())
    }
}

/// Writes a square of RGBA words as an RGB PNG.
pub fn save(path: &Path, pixels: &[u32], [width, height]: [u32; 2]) -> Result<()> {
    let rgb: Vec<u8> = pixels.iter().flat_map(|p| p.to_le_bytes()[..3].to_vec()).collect();
    let image = image::RgbImage::from_raw(width, height, rgb).expect("three bytes a pixel");
    image
        .save_with_format(path, image::ImageFormat::Png)
        .map_err(|e| Error::BadInput(format!("{}: {e}", path.display())))
}
