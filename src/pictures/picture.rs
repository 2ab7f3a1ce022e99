//! Picture files: decoded by the `image` and `gif` crates as Pillow decodes them, turned as EXIF says, colours untouched.

use std::{fs, io::Cursor, ops::Range, path::Path};

use gif::{ColorOutput, DecodeOptions, MemoryLimit};
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbaImage};

use crate::{
    backend::Backend,
    error::{Error, Result},
    session::{Source, Strip},
};

/// What goes wrong within a file, without its name.
type Decoded<T> = std::result::Result<T, String>;

/// A decoded picture: RGBA, eight bits a channel.
pub struct Picture(pub RgbaImage);

impl Picture {
    /// Decodes a file; its content decides the format, not its name.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it cannot be read, [`Error::BadImage`] if it is no picture; both name it.
    pub fn open(path: &Path) -> Result<Self> {
        let named = |why: String| Error::BadImage(format!("{}: {why}", path.display()));
        if path.is_dir() {
            return Err(named(expected(", found a folder")));
        }
        let bytes = fs::read(path).map_err(|e| Error::NotFound(format!("{}: {e}", path.display())))?;
        Self::decode(&bytes).map_err(|error| named(error.to_string()))
    }

    /// Decodes the bytes of a file.
    ///
    /// # Errors
    /// [`Error::BadImage`] if they are no picture.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if let Some(format) = foreign(bytes) {
            return Err(Error::BadImage(expected(&format!(", found {format}: convert it to PNG or JPEG"))));
        }
        decode(bytes).map(Self).map_err(|why| Error::BadImage(expected(&format!(": {why}"))))
    }

    /// A picture of rows of RGBA, eight bits a channel.
    ///
    /// # Errors
    /// [`Error::BadImage`] if these are not four bytes for each pixel.
    pub fn from_rgba(width: u32, height: u32, bytes: Vec<u8>) -> Result<Self> {
        let found = bytes.len();
        RgbaImage::from_raw(width, height, bytes)
            .filter(|image| image.as_raw().len() == found)
            .map(Self)
            .ok_or_else(|| Error::BadImage(format!("expected {width} × {height} × 4 bytes of pixels, found {found}")))
    }

    /// Width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.0.width() as usize, self.0.height() as usize)
    }
}

fn expected(found: &str) -> String {
    format!("expected a PNG, JPEG, WebP, GIF or BMP picture{found}")
}

fn decode(bytes: &[u8]) -> Decoded<RgbaImage> {
    let text = |e: image::ImageError| e.to_string();
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    match reader.format() {
        Some(ImageFormat::Gif) => return first_frame(bytes),
        Some(ImageFormat::Jpeg) if cut_off(bytes) => return Err("the file ends too early".into()),
        _ => {}
    }
    let mut decoder = reader.into_decoder().map_err(text)?;
    let orientation = decoder.orientation().map_err(text)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(text)?;
    image.apply_orientation(orientation);
    Ok(eight_bits(image))
}

/// Of 16 bits, the high byte, as libpng and Pillow take it for RGB; Pillow shows 16-bit grey as white, which nobody wants.
fn eight_bits(image: DynamicImage) -> RgbaImage {
    use DynamicImage::{ImageLuma16, ImageLumaA16, ImageRgb16, ImageRgba16};
    if !matches!(image, ImageLuma16(_) | ImageLumaA16(_) | ImageRgb16(_) | ImageRgba16(_)) {
        return image.into_rgba8();
    }
    let (width, height) = (image.width(), image.height());
    let high = image.into_rgba16().into_raw().into_iter().map(|channel| (channel >> 8) as u8).collect();
    RgbaImage::from_raw(width, height, high).expect("four channels a pixel")
}

/// Whether a JPEG ends before its own end: the decoder fills what is missing with grey, and says nothing.
///
/// Segments are passed over by their lengths, so that a thumbnail's end within one does not count; and what follows the end, such as
/// the film of a motion photo or the second picture of an MPO file, is not looked at. Bytes between segments that belong to none are
/// skipped, as libjpeg does.
fn cut_off(jpeg: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // In a scan's data, FF 00 is a byte of FF; FF may be repeated before a marker.
        let Some(found) =
            jpeg.get(at..).and_then(|rest| rest.windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0xff))
        else {
            return true;
        };
        at += found + 2;
        match jpeg[at - 1] {
            END_OF_IMAGE => return false,
            // Stuffing, restarts and the like have no length.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => match jpeg.get(at..at + 2) {
                Some(&[high, low]) => at += usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => return true,
            },
        }
    }
}

/// JPEG's EOI.
const END_OF_IMAGE: u8 = 0xd9;

/// Most bytes that a GIF may need, which is the `image` crate's own limit: 65,535 pixels a side are easily written into a file.
const MOST_BYTES: u64 = 512 << 20;

/// A GIF's first frame on its canvas, as Pillow shows it: where the frame does not reach, there is the transparent colour, or that of
/// index 0, whatever the file says of a background; a frame beyond the canvas widens it.
fn first_frame(bytes: &[u8]) -> Decoded<RgbaImage> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(MOST_BYTES.try_into().expect("not zero")));
    let mut decoder = options.read_info(bytes).map_err(|e| e.to_string())?;
    let (width, height, global) = (decoder.width(), decoder.height(), decoder.global_palette().map(<[u8]>::to_vec));
    let frame = decoder.read_next_frame().map_err(|e| e.to_string())?.ok_or("it has no picture")?;
    let palette = frame.palette.as_ref().or(global.as_ref()).ok_or("it has no colours")?;
    let colour = |index: u8| {
        let alpha = if frame.transparent == Some(index) { 0 } else { 255 };
        let [r, g, b] = palette.as_chunks::<3>().0.get(usize::from(index)).copied().unwrap_or_default();
        image::Rgba([r, g, b, alpha])
    };
    let [left, top] = [frame.left, frame.top].map(u32::from);
    let (across, down) = (u32::from(frame.width), u32::from(frame.height));
    let (width, height) = (u32::from(width).max(left + across), u32::from(height).max(top + down));
    if u64::from(width) * u64::from(height) * 4 > MOST_BYTES {
        return Err(format!("{width} × {height} pixels are too many"));
    }
    let mut picture = RgbaImage::from_pixel(width, height, colour(frame.transparent.unwrap_or(0)));
    for (at, &index) in (0u32..).zip(frame.buffer.iter()) {
        picture.put_pixel(left + at % across, top + at / across, colour(index));
    }
    Ok(picture)
}

/// The name of a format that is known by its first bytes, and not decoded here.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(1024)];
    if head.get(4..8) == Some(b"ftyp") {
        let brands: Vec<&[u8]> = head[8..].chunks(4).take(16).collect();
        let has = |names: &[&[u8; 4]]| names.iter().any(|name| brands.contains(&&name[..]));
        return if has(&[b"avif", b"avis"]) {
            Some("AVIF")
        } else if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
            Some("HEIC")
        } else {
            Some("a film")
        };
    }
    let starts: [(&[u8], &str); 9] = [
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"\0\0\x01\0", "ICO"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL ", "JPEG XL"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"8BPS", "PSD"),
        (b"%PDF", "PDF"),
    ];
    if let Some((_, name)) = starts.iter().find(|(start, _)| head.starts_with(start)) {
        return Some(name);
    }
    let text = String::from_utf8_lossy(head);
    (text.trim_start_matches('\u{feff}').trim_start().starts_with('<') && text.contains("<svg")).then_some("SVG")
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
