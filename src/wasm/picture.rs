//! A picture as the package hands it over.

use std::{cell::RefCell, ops::Range};

use js_sys::Reflect;
use wasm_bindgen::prelude::*;

use super::{image_data::ImageData, object};
use crate::{
    Error, Gpu, Result,
    gpu::Buffer,
    session::{Source, Strip},
};

#[wasm_bindgen]
extern "C" {
    type Queue;
    /// wgpu's own wrapper panics where this throws: for a closed bitmap, for a canvas with another site's picture.
    #[wasm_bindgen(method, catch, js_name = copyExternalImageToTexture)]
    fn copy_external_image(
        this: &Queue,
        source: &JsValue,
        destination: &JsValue,
        size: &JsValue,
    ) -> std::result::Result<(), JsValue>;
}

/// What pictures are copied into on their way to the strip: kept, because making one takes longer than filling it.
#[derive(Default)]
pub struct Texture {
    kept: RefCell<Option<wgpu::Texture>>,
}

impl Texture {
    /// One of at least this size; no tile is larger than a strip.
    fn of(&self, gpu: &Gpu, size: wgpu::Extent3d) -> wgpu::Texture {
        let mut kept = self.kept.borrow_mut();
        let fits = |texture: &&wgpu::Texture| texture.width() >= size.width && texture.height() >= size.height;
        if let Some(texture) = kept.as_ref().filter(fits) {
            return texture.clone();
        }
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

impl Drop for Texture {
    fn drop(&mut self) {
        self.kept.take().inspect(wgpu::Texture::destroy);
    }
}

/// A picture as the package hands it over: `ImageData`, or whatever `copyExternalImageToTexture` takes.
pub struct Picture<'a> {
    width: usize,
    height: usize,
    data: Option<ImageData>,
    image: JsValue,
    texture: &'a Texture,
}

impl<'a> Picture<'a> {
    pub fn new(image: JsValue, texture: &'a Texture) -> Result<Self> {
        let get = |key: &str| Reflect::get(&image, &key.into()).unwrap_or_default();
        // A video's `width` is that of its box on the page.
        let side = |keys: [&str; 3]| keys.into_iter().find_map(|key| get(key).as_f64()).unwrap_or(0.0) as usize;
        let width = side(["videoWidth", "displayWidth", "width"]);
        let height = side(["videoHeight", "displayHeight", "height"]);
        let data = ImageData::of(&image, (width, height))?;
        Ok(Self { width, height, data, image, texture })
    }
}

/// Widest texture that every device has.
const MAX_TEXTURE: usize = 8192;

impl Source<Gpu> for Picture<'_> {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn upload(&self, rows: Range<usize>, strip: &Strip<Gpu>) -> Result<()> {
        if let Some(data) = &self.data {
            data.fill(rows, strip);
            return Ok(());
        }
        let Strip { device: gpu, plan, act, pitch } = *strip;
        let strip = plan.buffer(act);
        // The picture becomes a texture tile by tile, and each tile lands in its place in the strip.
        for top in rows.clone().step_by(MAX_TEXTURE) {
            for left in (0..self.width).step_by(MAX_TEXTURE) {
                let tile = [(self.width - left).min(MAX_TEXTURE), (rows.end - top).min(MAX_TEXTURE)];
                self.upload_tile(gpu, [left, top], tile, strip, pitch, (top - rows.start) * pitch + left)?;
            }
        }
        Ok(())
    }
}

impl Picture<'_> {
    fn upload_tile(
        &self,
        gpu: &Gpu,
        [left, top]: [usize; 2],
        [width, height]: [usize; 2],
        strip: &Buffer,
        pitch: usize,
        at: usize,
    ) -> Result<()> {
        let size = wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
        let texture = self.texture.of(gpu, size);
        let (Some(js_queue), Some(js_texture)) = (gpu.queue.as_webgpu(), texture.as_webgpu()) else {
            return Err(Error::NoGpu("expected the browser's WebGPU, found another backend".into()));
        };
        let origin = object([("x", (left as u32).into()), ("y", (top as u32).into())]);
        let copied = js_queue.unchecked_ref::<Queue>().copy_external_image(
            &object([("source", self.image.clone()), ("origin", origin.into())]),
            &object([("texture", js_texture.into()), ("premultipliedAlpha", false.into())]),
            &object([("width", (width as u32).into()), ("height", (height as u32).into())]),
        );
        copied.map_err(|e| {
            let why = e.dyn_ref::<js_sys::Error>().map_or_else(|| format!("{e:?}"), |e| String::from(e.message()));
            Error::BadImage(format!("the browser does not let this picture be read: {why}"))
        })?;
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let layout = wgpu::TexelCopyBufferLayout {
            offset: (at * 4) as u64,
            bytes_per_row: Some((pitch * 4) as u32),
            rows_per_image: Some(height as u32),
        };
        encoder.copy_texture_to_buffer(
            texture.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: strip.raw(), layout },
            size,
        );
        gpu.queue.submit([encoder.finish()]);
        Ok(())
    }
}
