//! The browser's side: types converted, nothing decided. `pkg/src` wraps this in the API that people use.

use std::ops::Range;

use js_sys::{Array, Float32Array, Object, Reflect, Uint8Array, Uint32Array};
use wasm_bindgen::prelude::*;

use crate::{
    Checkpoint, Error, Gpu, Power, Result, Score, Session,
    checkpoint::{Answer, Folder, Head, Want, header_length},
    config::{TokenizerFiles, Towers},
    gpu::Buffer,
    quant::Format,
    scores::{fill, rank},
    session::{Loading, Source, TableIn},
    text::TextEncoder,
};

/// An error as a JavaScript `Error` with a `code`.
fn js_error(error: &Error) -> JsValue {
    let object = js_sys::Error::new(&error.to_string());
    set(&object, "code", &error.code().into());
    object.into()
}

fn set(object: &Object, key: &str, value: &JsValue) {
    Reflect::set(object, &key.into(), value).expect("a plain object takes any property");
}

fn object<const N: usize>(fields: [(&str, JsValue); N]) -> Object {
    let object = Object::new();
    fields.iter().for_each(|(key, value)| set(&object, key, value));
    object
}

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

/// A picture as the package hands it over: `ImageData`, or whatever `copyExternalImageToTexture` takes.
struct Picture {
    width: usize,
    height: usize,
    /// RGBA bytes of `ImageData`
    data: Option<Uint8Array>,
    image: JsValue,
}

impl Picture {
    fn new(image: JsValue) -> Result<Self> {
        let get = |key: &str| Reflect::get(&image, &key.into()).unwrap_or_default();
        let side = |key: &str| get(key).as_f64().unwrap_or(0.0) as usize;
        let (width, height) = (side("width"), side("height"));
        let data = get("data");
        let data = (!data.is_undefined()).then(|| Uint8Array::new(&data));
        if let Some(bytes) = &data
            && bytes.length() as usize != width * height * 4
        {
            return Err(Error::BadImage(format!(
                "expected {width} × {height} pixels with 4 bytes each, found {} bytes",
                bytes.length()
            )));
        }
        Ok(Self { width, height, data, image })
    }
}

/// Widest texture that every device has.
const MAX_TEXTURE: usize = 8192;

impl Source for Picture {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn upload(&self, gpu: &Gpu, rows: Range<usize>, strip: &Buffer, pitch: usize) -> Result<()> {
        if let Some(data) = &self.data {
            let mut row_bytes = vec![0; self.width * 4];
            for (at, row) in rows.enumerate() {
                let start = (row * self.width * 4) as u32;
                data.subarray(start, start + row_bytes.len() as u32).copy_to(&mut row_bytes);
                gpu.write(strip, (at * pitch * 4) as u64, &row_bytes);
            }
            return Ok(());
        }
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

impl Picture {
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
        texture.destroy();
        Ok(())
    }
}

/// A GPU, asked for before a model is loaded onto it, so that the package can listen for its errors from the start.
#[wasm_bindgen]
pub struct Device {
    /// None once a model has it.
    gpu: Option<Gpu>,
}

#[wasm_bindgen]
impl Device {
    /// `power` is low-power, high-performance or anything else.
    pub async fn request(power: String) -> std::result::Result<Device, JsValue> {
        console_error_panic_hook::set_once();
        let power = match power.as_str() {
            "low-power" => Power::Low,
            "high-performance" => Power::High,
            _ => Power::Any,
        };
        Gpu::new(power).await.map(|gpu| Self { gpu: Some(gpu) }).map_err(|e| js_error(&e))
    }

    /// The `GPUDevice`.
    #[wasm_bindgen(getter)]
    pub fn handle(&self) -> JsValue {
        self.gpu.as_ref().and_then(Gpu::js_device).map_or(JsValue::NULL, JsValue::from)
    }
}

/// Asks for the files of a model folder until nothing more is wanted.
#[wasm_bindgen]
pub struct ModelFolder {
    folder: Folder,
    towers: Towers,
}

#[wasm_bindgen]
impl ModelFolder {
    /// `label` stands before file names in messages; `towers` is both, vision or text.
    #[wasm_bindgen(constructor)]
    pub fn new(label: &str, towers: &str) -> std::result::Result<ModelFolder, JsValue> {
        let towers = Towers::parse(towers).map_err(|e| js_error(&e))?;
        Ok(Self { folder: Folder::new(label, towers), towers })
    }

    /// `{ name, tensors }` of the files to fetch next; of a tensor file the header is wanted, and the rest later.
    pub fn wanted(&self) -> std::result::Result<Array, JsValue> {
        let want =
            |want: &Want| object([("name", want.name().into()), ("tensors", matches!(want, Want::Tensors(_)).into())]);
        self.folder.wanted().map(|wanted| wanted.iter().map(want).collect()).map_err(|e| js_error(&e))
    }

    /// A file that was wanted as a whole.
    pub fn put(&mut self, name: &str, bytes: Vec<u8>) -> std::result::Result<(), JsValue> {
        self.folder.put(name, Answer::Whole(bytes)).map_err(|e| js_error(&e))
    }

    /// How many bytes of a tensor file its header takes, by the first eight.
    #[wasm_bindgen(js_name = headerLength)]
    pub fn header_length(name: &str, start: &[u8], size: Option<f64>) -> std::result::Result<f64, JsValue> {
        header_length(name, start, size.map(|s| s as u64)).map(|length| length as f64).map_err(|e| js_error(&e))
    }

    /// The header of a tensor file; `size` is the length of the whole file, if the server said.
    #[wasm_bindgen(js_name = putHeader)]
    pub fn put_header(&mut self, name: &str, bytes: Vec<u8>, size: Option<f64>) {
        let head = Head { bytes, size: size.map(|s| s as u64) };
        self.folder.put(name, Answer::Tensors(Box::new(head))).expect("only whole files are judged here");
    }

    /// A file that is not there, and how that showed.
    #[wasm_bindgen(js_name = putMissing)]
    pub fn put_missing(&mut self, name: &str, why: &str) {
        self.folder.put(name, Answer::Missing(why.into())).expect("only whole files are judged here");
    }
}

/// A model's tokenizer by itself.
#[wasm_bindgen]
pub struct TokenizerEngine(TextEncoder);

#[wasm_bindgen]
impl TokenizerEngine {
    /// From a folder of which no more than tensor files are wanted.
    #[wasm_bindgen(constructor)]
    pub fn new(folder: &mut ModelFolder) -> std::result::Result<TokenizerEngine, JsValue> {
        let encoder = folder.folder.described().and_then(|(config, files)| TextEncoder::new(&files, &config));
        encoder.map(Self).map_err(|e| js_error(&e))
    }

    /// The ids that the text tower is fed.
    pub fn encode(&self, text: &str) -> std::result::Result<Uint32Array, JsValue> {
        self.0.encode(text).map(|ids| ids.as_slice().into()).map_err(|e| js_error(&e))
    }
}

/// A model whose weights are on their way.
#[wasm_bindgen]
pub struct ModelLoading {
    /// Both are none once it is finished.
    checkpoint: Option<Checkpoint>,
    loading: Option<Loading>,
}

#[wasm_bindgen]
impl ModelLoading {
    /// Takes what the folder and the device hold. `format` is none, f16, q8 or q4; `table` says whether the token table comes
    /// into memory.
    #[wasm_bindgen(constructor)]
    pub fn new(
        device: &mut Device,
        folder: &mut ModelFolder,
        format: &str,
        table: bool,
    ) -> std::result::Result<ModelLoading, JsValue> {
        let mut start = || {
            let format =
                match format {
                    "none" => None,
                    name => Some(Format::from_name(name).filter(|f| *f != Format::F32).ok_or_else(|| {
                        Error::BadInput(format!("format: expected none, f16, q8 or q4, found {name:?}"))
                    })?),
                };
            let towers = folder.towers;
            let mut checkpoint = std::mem::replace(&mut folder.folder, Folder::new("", towers)).open()?;
            let gpu = device.gpu.take().expect("the package uses a device once");
            let table = if table { TableIn::Memory } else { TableIn::File };
            let loading = Some(Loading::new(gpu, &checkpoint, towers, format, table)?);
            // The tokenizer is made, and its files may be large.
            checkpoint.tokenizer = TokenizerFiles::None;
            Ok(Self { checkpoint: Some(checkpoint), loading })
        };
        start().map_err(|e: Error| js_error(&e))
    }

    fn loading(&self) -> &Loading {
        self.loading.as_ref().expect("the package finishes last")
    }

    fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint.as_ref().expect("the package finishes last")
    }

    /// The tensor files by name.
    pub fn files(&self) -> Vec<String> {
        self.checkpoint().files().map(|(name, _)| name.into()).collect()
    }

    /// Their lengths in bytes, by their headers.
    pub fn sizes(&self) -> Vec<f64> {
        self.checkpoint().files().map(|(_, size)| size as f64).collect()
    }

    /// What is needed of them, in the order in which it lies there: file, first byte and the byte after the last, again and
    /// again.
    pub fn pieces(&self) -> Vec<f64> {
        self.loading().pieces().flat_map(|(file, range)| [file as f64, range.start as f64, range.end as f64]).collect()
    }

    /// Takes the bytes of a piece by its place among the pieces, in any order.
    pub fn put(&mut self, index: usize, bytes: &[u8]) -> std::result::Result<(), JsValue> {
        let checkpoint = self.checkpoint.as_ref().expect("the package finishes last");
        let loading = self.loading.as_mut().expect("the package finishes last");
        loading.put(checkpoint, index, bytes).map_err(|e| js_error(&e))
    }

    /// The model, once every piece was put.
    pub fn finish(&mut self) -> std::result::Result<Engine, JsValue> {
        let checkpoint = self.checkpoint.take().expect("the package finishes once");
        let loading = self.loading.take().expect("the package finishes once");
        let session = loading.finish(&checkpoint).map_err(|e| js_error(&e))?;
        Ok(Engine { session, checkpoint })
    }
}

/// A loaded model, as the package sees it.
#[wasm_bindgen]
pub struct Engine {
    session: Session,
    checkpoint: Checkpoint,
}

#[wasm_bindgen]
impl Engine {
    /// What is loaded, as JSON.
    pub fn info(&self) -> String {
        let s = &self.session;
        serde_json::json!({
            "family": s.config.family.name(),
            "towers": s.towers().name(),
            "format": s.format.name(),
            "imageSize": s.config.vision.image_size,
            "embeddingDim": s.config.embedding,
            "parameters": s.parameters,
            "gpuBytes": s.gpu().bytes(),
            "kernels": s.gpu().pipelines(),
            "dispatchesPerImage": s.dispatches_per_image(),
            "dispatchesPerText": s.dispatches_per_text(),
            "defaultScore": match s.config.score {
                crate::config::ScoreRule::Softmax => "softmax",
                crate::config::ScoreRule::Sigmoid => "sigmoid",
            },
        })
        .to_string()
    }

    /// Embeddings of pictures, one after the other.
    #[wasm_bindgen(js_name = embedImages)]
    pub async fn embed_images(&self, images: Vec<JsValue>) -> std::result::Result<Float32Array, JsValue> {
        let run = async {
            let pictures: Vec<Picture> = images.into_iter().map(Picture::new).collect::<Result<_>>()?;
            let sources: Vec<&dyn Source> = pictures.iter().map(|p| p as &dyn Source).collect();
            self.session.embed_images(&sources).await
        };
        flat(run.await)
    }

    /// Embeddings of texts, one after the other.
    #[wasm_bindgen(js_name = embedTexts)]
    pub async fn embed_texts(&self, texts: Vec<String>) -> std::result::Result<Float32Array, JsValue> {
        flat(self.session.embed_texts(&texts).await)
    }

    /// The rows of the token table that these texts need and that are not here: row, file, first byte and the byte after the
    /// last, again and again; of a quantised row the scales are on their own.
    #[wasm_bindgen(js_name = missingRows)]
    pub fn missing_rows(&self, texts: Vec<String>) -> std::result::Result<Vec<f64>, JsValue> {
        let rows = || {
            let mut all = Vec::new();
            for id in self.session.missing_rows(&texts)? {
                for (file, range) in self.session.row_places(id)? {
                    all.extend([f64::from(id), file as f64, range.start as f64, range.end as f64]);
                }
            }
            Ok(all)
        };
        rows().map_err(|e: Error| js_error(&e))
    }

    /// Takes a row: all its bytes.
    #[wasm_bindgen(js_name = putRow)]
    pub fn put_row(&self, row: u32, bytes: &[u8]) -> std::result::Result<(), JsValue> {
        self.session.put_row(&self.checkpoint, row, bytes).map_err(|e| js_error(&e))
    }

    /// The tensor files by name.
    pub fn files(&self) -> Vec<String> {
        self.checkpoint.files().map(|(name, _)| name.into()).collect()
    }

    /// Labels put into a template.
    pub fn prompts(labels: Vec<String>, template: Option<String>) -> std::result::Result<Vec<String>, JsValue> {
        let filled = labels.iter().map(|l| fill(template.as_deref(), l)).collect::<Result<_>>();
        filled.map_err(|e| js_error(&e))
    }

    /// `{ label, index, score }` of one picture, best first; `texts` are the labels' embeddings, one after the other.
    pub async fn rank(
        &self,
        labels: Vec<String>,
        image: Vec<f32>,
        texts: Vec<f32>,
        score: String,
    ) -> std::result::Result<Array, JsValue> {
        let run = async {
            let score = Score::parse(&score, self.session.config.score)?;
            let texts: Vec<Vec<f32>> = texts.chunks_exact(self.session.config.embedding).map(<[f32]>::to_vec).collect();
            let scores = self.session.scores(&[image], &texts, score).await?;
            Ok(rank(&labels, &scores[0]))
        };
        let ranked = run.await.map_err(|e: Error| js_error(&e))?;
        let results = ranked.into_iter().map(|r| {
            object([("label", r.label.into()), ("index", r.index.into()), ("score", f64::from(r.score).into())])
        });
        Ok(results.collect())
    }

    /// The ids that the text tower is fed.
    pub fn tokenize(&self, text: &str) -> std::result::Result<Uint32Array, JsValue> {
        self.session.tokenize(text).map(|ids| ids.as_slice().into()).map_err(|e| js_error(&e))
    }

    /// The file in a model folder that `verify` compares with, if there is one.
    #[wasm_bindgen(js_name = goldensFile)]
    pub fn goldens_file() -> String {
        crate::verify::GOLDENS.into()
    }

    /// Whether this device computes rightly, as JSON.
    pub async fn verify(&self, goldens: Option<Vec<u8>>) -> std::result::Result<String, JsValue> {
        let report = self.session.verify(goldens.as_deref()).await.map_err(|e| js_error(&e))?;
        Ok(serde_json::to_string(&report).expect("a report is plain data"))
    }

    /// The RGBA bytes of the square that the picture tower sees.
    pub async fn preprocess(&self, image: JsValue) -> std::result::Result<Uint8Array, JsValue> {
        let run = async { self.session.preprocess(&Picture::new(image)?).await };
        let pixels = run.await.map_err(|e| js_error(&e))?;
        Ok(bytemuck::cast_slice(&pixels).into())
    }
}

fn flat(embeddings: Result<Vec<Vec<f32>>>) -> std::result::Result<Float32Array, JsValue> {
    embeddings.map(|e| e.concat().as_slice().into()).map_err(|e| js_error(&e))
}
