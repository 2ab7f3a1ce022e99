//! Pictures as Python has them: bytes of a file, a path, or rows of pixels.

use std::{path::PathBuf, sync::mpsc::Receiver};

use numpy::PyReadonlyArray3;
use ocelli::{
    Error, Result,
    pictures::{Picture, decoded},
    threads,
};
use pyo3::{
    Bound, PyAny, PyResult,
    pybacked::PyBackedBytes,
    types::{PyAnyMethods, PyBytes, PyString, PyTypeMethods},
};

use crate::error::raised;

/// A picture that is still to be decoded.
enum Input {
    File(PathBuf),
    Bytes(PyBackedBytes),
    /// What cannot be a picture at all is a row with a reason, too.
    Made(Result<Picture>),
}

/// Pictures of a call, and how many threads decode them.
pub struct Pictures {
    inputs: Vec<Input>,
    threads: usize,
}

impl Pictures {
    /// All of an iterable; without a number of threads, as many as is usual.
    pub fn new(pictures: &Bound<PyAny>, threads: Option<usize>) -> PyResult<Self> {
        if pictures.is_instance_of::<PyString>() || pictures.is_instance_of::<PyBytes>() {
            return Err(raised(
                pictures.py(),
                "bad-input",
                "pictures: expected a list of them, found one: put it into a list",
            ));
        }
        let inputs = pictures.try_iter()?.map(|one| Ok(Input::of(&one?))).collect::<PyResult<_>>()?;
        Ok(Self { inputs, threads: threads.unwrap_or_else(threads::usual) })
    }

    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Batches of them, decoded on other threads.
    pub fn decoded(self, batch: usize) -> Receiver<Vec<Result<Picture>>> {
        decoded(self.inputs, batch, self.threads, Input::open)
    }
}

impl Input {
    fn of(one: &Bound<PyAny>) -> Self {
        if let Ok(bytes) = one.extract() {
            return Self::Bytes(bytes);
        }
        if let Ok(pixels) = one.extract() {
            return Self::Made(picture(&pixels));
        }
        if let Ok(path) = one.extract() {
            return Self::File(path);
        }
        let kind = one.get_type().name().map_or_else(|_| "something else".into(), |name| name.to_string());
        let shape = one.getattr("shape").map_or_else(|_| String::new(), |shape| format!(" of shape {shape}"));
        Self::Made(Err(Error::BadImage(format!(
            "expected bytes of a picture file, a path, or uint8 pixels (height, width, 3 or 4), found {kind}{shape}"
        ))))
    }

    fn open(self) -> Result<Picture> {
        match self {
            Self::File(path) => Picture::open(&path),
            Self::Bytes(bytes) => Picture::decode(&bytes),
            Self::Made(picture) => picture,
        }
    }
}

fn picture(pixels: &PyReadonlyArray3<u8>) -> Result<Picture> {
    let pixels = pixels.as_array();
    let (height, width, channels) = pixels.dim();
    let rgba = match channels {
        3 => pixels.rows().into_iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect(),
        4 => pixels.iter().copied().collect(),
        _ => {
            return Err(Error::BadImage(format!(
                "expected uint8 pixels (height, width, 3 or 4), found ({height}, {width}, {channels})"
            )));
        }
    };
    Picture::from_rgba(width as u32, height as u32, rgba)
}
