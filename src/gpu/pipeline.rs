//! Shaders, their pipelines, and buffers bound to them.

use std::{borrow::Cow, fmt::Write, rc::Rc};

use super::{Buffer, Gpu};

/// A kernel's WGSL: files joined in order, with values for its overrides.
#[derive(Debug, Clone)]
pub struct Shader {
    /// The file's stem, which labels the pipeline.
    pub name: &'static str,
    /// The variant: names of the fragments, for people.
    pub variant: String,
    /// The files' text.
    pub files: Vec<&'static str>,
    /// Override values; booleans are 0 and 1.
    pub overrides: Vec<(&'static str, u32)>,
}

impl Shader {
    /// A shader of one file.
    #[must_use]
    pub fn new(name: &'static str, file: &'static str) -> Self {
        Self { name, variant: String::new(), files: vec![file], overrides: Vec::new() }
    }

    /// The same with one more file.
    #[must_use]
    pub fn and(mut self, file: &'static str) -> Self {
        self.files.push(file);
        self
    }

    /// The same with one more override.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<u32>) -> Self {
        self.overrides.push((name, value.into()));
        self
    }

    /// Name, variant and overrides in one line.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = self.name.to_string();
        if !self.variant.is_empty() {
            key += ".";
            key += &self.variant;
        }
        for (name, value) in &self.overrides {
            // Writing to a String cannot fail.
            let _ = write!(key, " {}={value}", name.to_ascii_lowercase());
        }
        key
    }

    /// The joined text, as the compiler sees it.
    #[must_use]
    pub fn source(&self) -> String {
        self.files.join("\n")
    }
}

/// A compiled shader.
pub struct Pipeline {
    raw: wgpu::ComputePipeline,
    label: String,
}

/// One binding of group 0 or 1.
#[derive(Clone, Copy)]
pub enum Bind<'a> {
    /// A whole storage buffer.
    Whole(&'a Buffer),
    /// Parameters: bytes from an offset of a uniform buffer.
    Slice(&'a Buffer, u64, u64),
}

impl Pipeline {
    pub(super) fn new(device: &wgpu::Device, shader: &Shader, label: &str) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(Cow::Owned(shader.source())),
        });
        let constants: Vec<(&str, f64)> = shader.overrides.iter().map(|&(name, value)| (name, value.into())).collect();
        // No layout: bindings are declared once, in WGSL.
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Self { raw, label: label.into() }
    }

    /// Binds buffers, in binding order, for groups 0, 1, ….
    #[must_use]
    pub fn bind(self: &Rc<Self>, gpu: &Gpu, groups: &[Vec<Bind>]) -> Bound {
        let groups = groups.iter().enumerate().filter(|(_, group)| !group.is_empty());
        let bound = groups.map(|(index, group)| {
            let entries: Vec<wgpu::BindGroupEntry> = group
                .iter()
                .zip(0..)
                .map(|(bind, binding)| {
                    let resource = match bind {
                        Bind::Whole(buffer) => buffer.raw().as_entire_binding(),
                        Bind::Slice(buffer, offset, size) => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                            buffer: buffer.raw(),
                            offset: *offset,
                            size: std::num::NonZeroU64::new(*size),
                        }),
                    };
                    wgpu::BindGroupEntry { binding, resource }
                })
                .collect();
            gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&self.label),
                layout: &self.raw.get_bind_group_layout(index as u32),
                entries: &entries,
            })
        });
        Bound { groups: bound.collect(), pipeline: self.clone() }
    }
}

/// A pipeline with its buffers: all that a dispatch needs but its size.
pub struct Bound {
    pipeline: Rc<Pipeline>,
    groups: Vec<wgpu::BindGroup>,
}

impl Bound {
    pub(crate) fn dispatch(&self, pass: &mut wgpu::ComputePass, [x, y, z]: [u32; 3]) {
        pass.set_pipeline(&self.pipeline.raw);
        for (index, group) in self.groups.iter().enumerate() {
            pass.set_bind_group(index as u32, group, &[]);
        }
        pass.dispatch_workgroups(x, y, z);
    }
}
