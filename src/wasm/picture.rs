//! A picture as the package hands it over.

use std::{cell::RefCell, ops::Range};

use js_sys::Object;
use wasm_bindgen::prelude::*;
use web_sys::{HtmlVideoElement, ImageBitmap, VideoFrame};
use wgpu::webgpu::GpuTexture;

use super::image_data::Pixels;
use crate::{
    Error, Gpu, Result,
    session::{Source, Strip},
};

#[wasm_bindgen]
extern "C" {
    type Queue;
    /// wgpu's own wrapper panics where this throws: for a closed bitmap, for a canvas with another site's picture.
    #[wasm_bindgen(method, catch, js_name = copyExternalImageToTexture)]
    fn copy_external_image(
        this: &Queue,
        source: &CopySource,
        destination: &CopyDestination,
        size: &[u32],
    ) -> std::result::Result<(), JsValue>;

    /// `GPUCopyExternalImageSourceInfo`; web-sys has it behind a flag for the whole build.
    #[wasm_bindgen(extends = Object)]
    type CopySource;
    #[wasm_bindgen(method, setter)]
    fn set_source(this: &CopySource, source: &JsValue);
    #[wasm_bindgen(method, setter)]
    fn set_origin(this: &CopySource, origin: Vec<u32>);

    /// `GPUCopyExternalImageDestInfo`
    #[wasm_bindgen(extends = Object)]
    type CopyDestination;
    #[wasm_bindgen(method, setter)]
    fn set_texture(this: &CopyDestination, texture: &GpuTexture);
    #[wasm_bindgen(method, setter, js_name = premultipliedAlpha)]
    fn set_premultiplied_alpha(this: &CopyDestination, premultiplied: bool);
}

/// What pictures are copied into on their way to the strip: kept, because making one takes longer than filling it.
#[derive(Default)]
pub struct Texture {
    kept: RefCell<Option<wgpu::Texture>>,
}

impl Texture {
    /// One of at least this size; no tile is larger than a strip. It grows to what has room for the pictures before as well, so that
    /// portraits among landscapes do not make it anew each time.
    fn of(&self, gpu: &Gpu, tile: wgpu::Extent3d) -> wgpu::Texture {
        let mut kept = self.kept.borrow_mut();
        let has = kept.as_ref().map_or((0, 0), |texture| (texture.width(), texture.height()));
        if let Some(texture) = kept.as_ref().filter(|_| has.0 >= tile.width && has.1 >= tile.height) {
            return texture.clone();
        }
        let stepped = |side: u32| side.next_multiple_of(TEXTURE_STEP);
        let (width, height) = (stepped(tile.width), stepped(tile.height));
        let both = (has.0.max(width), has.1.max(height));
        // Of a very wide and a very high one, both together would be far larger than either.
        let (width, height) = if both.0 * both.1 <= TEXTURE_MOST { both } else { (width, height) };
        let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
        let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("picture"),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::COPY_DST
                | wgpu::TextureUsages::COPY_SRC
                | wgpu::TextureUsages::RENDER_ATTACHMENT,
            view_formats: &[],
        });
        // In browsers, dropping alone frees nothing. What was submitted with it is done first.
        kept.replace(texture.clone()).inspect(wgpu::Texture::destroy);
        texture
    }
}

impl Texture {
    /// Lets go of the one that is kept: after an error of the GPU it may be none at all.
    pub fn forget(&self) {
        self.kept.take().inspect(wgpu::Texture::destroy);
    }
}

impl Drop for Texture {
    fn drop(&mut self) {
        self.forget();
    }
}

/// A picture as the package hands it over.
pub struct Picture<'a> {
    size: (usize, usize),
    kind: Kind,
    texture: &'a Texture,
}

enum Kind {
    Pixels(Pixels),
    /// What `copyExternalImageToTexture` takes.
    External(JsValue),
}

impl<'a> Picture<'a> {
    pub fn new(image: JsValue, texture: &'a Texture) -> Result<Self> {
        if let Some(data) = image.dyn_ref() {
            let pixels = Pixels::of(data)?;
            return Ok(Self { size: pixels.size(), kind: Kind::Pixels(pixels), texture });
        }
        let (width, height) = if let Some(bitmap) = image.dyn_ref::<ImageBitmap>() {
            (bitmap.width(), bitmap.height())
        } else if let Some(video) = image.dyn_ref::<HtmlVideoElement>() {
            // Its `width` is that of its box on the page.
            (video.video_width(), video.video_height())
        } else if let Some(frame) = image.dyn_ref::<VideoFrame>() {
            (frame.display_width(), frame.display_height())
        } else {
            let expected = "expected an ImageData, an ImageBitmap, a video element or a VideoFrame";
            return Err(Error::BadImage(format!("{expected}, found another kind of picture")));
        };
        Ok(Self { size: (width as usize, height as usize), kind: Kind::External(image), texture })
    }
}

/// Widest texture that every device has.
const MAX_TEXTURE: usize = 8192;

/// Sides of the texture are multiples of so many pixels.
const TEXTURE_STEP: u32 = 512;

/// Most pixels of a texture that has room for several forms: 64 MiB.
const TEXTURE_MOST: u32 = 16 << 20;

impl Source<Gpu> for Picture<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn upload(&self, rows: Range<usize>, strip: &Strip<Gpu>) -> Result<()> {
        let image = match &self.kind {
            Kind::Pixels(pixels) => {
                pixels.fill(rows, strip);
                return Ok(());
            }
            Kind::External(image) => image,
        };
        // The picture becomes a texture tile by tile, and each tile lands in its place in the strip.
        for top in rows.clone().step_by(MAX_TEXTURE) {
            for left in (0..self.size.0).step_by(MAX_TEXTURE) {
                let tile = [(self.size.0 - left).min(MAX_TEXTURE), (rows.end - top).min(MAX_TEXTURE)];
                self.upload_tile(image, [left, top], tile, strip, (top - rows.start) * strip.pitch + left)?;
            }
        }
        Ok(())
    }
}

impl Picture<'_> {
    fn upload_tile(
        &self,
        image: &JsValue,
        [left, top]: [usize; 2],
        [width, height]: [usize; 2],
        strip: &Strip<Gpu>,
        at: usize,
    ) -> Result<()> {
        let gpu = strip.device;
        let size = wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
        let texture = self.texture.of(gpu, size);
        let (Some(js_queue), Some(js_texture)) = (gpu.queue.as_webgpu(), texture.as_webgpu()) else {
            return Err(Error::NoGpu("expected the browser's WebGPU, found another backend".into()));
        };
        let source: CopySource = Object::new().unchecked_into();
        source.set_source(image);
        source.set_origin(vec![left as u32, top as u32]);
        let destination: CopyDestination = Object::new().unchecked_into();
        destination.set_texture(js_texture);
        destination.set_premultiplied_alpha(false);
        let queue: &Queue = js_queue.unchecked_ref();
        queue.copy_external_image(&source, &destination, &[size.width, size.height]).map_err(|e| {
            let why = e.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{e:?}"), |e| String::from(e.message()));
            Error::BadImage(format!("the browser does not let this picture be read: {why}"))
        })?;
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let layout = wgpu::TexelCopyBufferLayout {
            offset: (at * 4) as u64,
            bytes_per_row: Some((strip.pitch * 4) as u32),
            rows_per_image: Some(height as u32),
        };
        encoder.copy_texture_to_buffer(
            texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: strip.plan.buffer(strip.act).raw(), layout },
            size,
        );
        gpu.queue.submit([encoder.finish()]);
        Ok(())
    }
}
