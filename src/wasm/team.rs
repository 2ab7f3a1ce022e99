//! Workers that share the work of an engine: both ends of what is posted between them. `pkg/src/team.ts` posts it.

use js_sys::{Array, Float32Array, Uint8Array};
use wasm_bindgen::prelude::*;

use super::js_error;
use crate::{
    Error,
    backend::Team,
    kernels::{Part, Work},
    quant::{Format, Order},
    weights::{HostStore, Plane, Store},
};

#[wasm_bindgen]
extern "C" {
    /// `Team` of `pkg/src/team.ts`.
    pub type Workers;
    #[wasm_bindgen(method, getter)]
    fn helpers(this: &Workers) -> usize;
    #[wasm_bindgen(method, js_name = makeRoom)]
    fn make_room(this: &Workers, helper: usize, format: &str, rows: usize, cols: usize);
    #[wasm_bindgen(method)]
    fn write(this: &Workers, helper: usize, index: usize, scales: bool, offset: usize, bytes: Uint8Array);
    /// So many numbers, to be filled and then asked with.
    #[wasm_bindgen(method)]
    fn numbers(this: &Workers, helper: usize, count: usize) -> Float32Array;
    #[wasm_bindgen(method)]
    fn ask(this: &Workers, parts: Array);
}

impl Team for Workers {
    fn helpers(&self) -> usize {
        self.helpers()
    }
    fn make_room(&self, helper: usize, format: Format, rows: usize, cols: usize) {
        self.make_room(helper, format.name(), rows, cols);
    }
    fn write(&self, helper: usize, index: usize, plane: Plane, offset: usize, bytes: &[u8]) {
        self.write(helper, index, plane == Plane::Scales, offset, bytes.into());
    }
    fn ask(&self, parts: Vec<(usize, Part)>) -> Option<Vec<Vec<f32>>> {
        let posted = Array::new();
        for (helper, Part { work, inputs: [a, b] }) in parts {
            let work = serde_json::to_string(&work).expect("a part is plain data");
            let (first, all) = (a.len() as u32, (a.len() + b.len()) as u32);
            let inputs = self.numbers(helper, all as usize);
            inputs.subarray(0, first).copy_from(&a);
            inputs.subarray(first, all).copy_from(&b);
            posted.push(&Array::of4(&helper.into(), &work.into(), &first.into(), &inputs));
        }
        self.ask(posted);
        None
    }
}

/// In a worker: its slices of a model's weights.
#[wasm_bindgen]
pub struct Helper(HostStore);

#[wasm_bindgen]
impl Helper {
    /// Without weights.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        console_error_panic_hook::set_once();
        Self(HostStore { order: Order::Panels, ..HostStore::default() })
    }

    /// Makes room for the next weight.
    #[wasm_bindgen(js_name = makeRoom)]
    pub fn make_room(&mut self, format: &str, rows: usize, cols: usize) -> std::result::Result<(), JsValue> {
        let format = Format::from_name(format).expect("the leader says f32, f16, q8 or q4");
        self.0.make_room("", format, rows, cols).map_err(|e: Error| js_error(&e))
    }

    /// Fills a weight from a byte on: its values, or its scales.
    pub fn write(&mut self, index: usize, scales: bool, offset: usize, bytes: &[u8]) {
        self.0.write(index, if scales { Plane::Scales } else { Plane::Values }, offset, bytes);
    }

    /// Computes a part of a step from its inputs, of which the first has so many numbers. The outputs are where the inputs were, if
    /// there is room: memory that a browser has just made is slow.
    pub fn run(&self, work: &str, first: u32, inputs: &Float32Array) -> Float32Array {
        let work: Work = serde_json::from_str(work).expect("the leader runs the same file");
        let [a, b] = [inputs.subarray(0, first), inputs.subarray(first, inputs.length())].map(|input| input.to_vec());
        let found = work.run(&self.0.weights, [&a, &b]);
        if found.len() * size_of::<f32>() > inputs.buffer().byte_length() as usize {
            return found.as_slice().into();
        }
        let outputs = Float32Array::new_with_byte_offset_and_length(&inputs.buffer(), 0, found.len() as u32);
        outputs.copy_from(&found);
        outputs
    }
}
