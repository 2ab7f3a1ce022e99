//! The part of Python's pickle that `torch.save` needs: containers, strings, numbers, and the few names that stand for tensors.
//!
//! A pickle is a program for a stack machine, and Python's runs whatever function it names. This machine runs none: a name that
//! is not in [`Global::find`] is an error. No opcode jumps back, none makes more values than it takes from the stack, and values
//! are numbers, slices of the pickle or places in a list, so time and memory are proportional to the pickle's length.
//!
//! What the values are is said here; what the opcodes do, in [`machine`].

mod machine;

use std::collections::{BTreeMap, HashSet};

use safetensors::Dtype;

/// Why there is no value.
#[derive(Debug)]
pub enum Fault {
    /// The bytes end before the pickle does.
    Early,
    /// What is wrong.
    Wrong(String),
}
use Fault::Wrong;

type Result<T> = std::result::Result<T, Fault>;

/// What a pickle describes.
pub struct Pickle<'a> {
    root: Value<'a>,
    objects: Objects<'a>,
    /// Bytes from the pickle's first opcode to its last.
    pub length: usize,
}

/// A piece of memory that tensors lie in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Storage {
    /// The type of its numbers; U8 if it is of bytes and its tensors say their type.
    pub dtype: Dtype,
    /// How many numbers.
    pub count: u64,
}

/// A tensor: a view of a storage.
#[derive(Debug, Clone)]
pub struct Tensor<'a> {
    /// The storage's name.
    pub key: &'a str,
    /// Type of the tensor's numbers.
    pub dtype: Dtype,
    /// Its first number in the storage.
    pub offset: u64,
    /// Its dimensions; none for a scalar.
    pub shape: Vec<usize>,
    /// Numbers from one element to the next, for each dimension.
    pub strides: Vec<usize>,
}

/// Places in [`Objects`] where a value is no plain one: a copy of a value is cheap, and a container may hold itself.
#[derive(Clone, Copy)]
enum Value<'a> {
    /// What no tensor depends on: none, floats, bytes, numbers beyond 64 bits.
    Plain,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    List(usize),
    Dict(usize),
    /// A module of TorchScript, whose attributes are those of a dictionary.
    Module(usize),
    Global(Global),
    Storage(&'a str),
    Tensor(usize),
    /// Where a container begins on the stack.
    Mark,
}

#[derive(Default)]
struct Objects<'a> {
    /// Lists, tuples and sets.
    lists: Vec<Vec<Value<'a>>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    /// The dictionary of each module, once it is known.
    modules: Vec<Option<usize>>,
    storages: BTreeMap<&'a str, Storage>,
    tensors: Vec<Tensor<'a>>,
}

/// A name that a pickle may use.
#[derive(Clone, Copy, PartialEq)]
enum Global {
    OrderedDict,
    /// `_rebuild_tensor`, `_rebuild_tensor_v2`.
    Tensor,
    /// `_rebuild_tensor_v3`, which says the type.
    TypedTensor,
    /// Is its first argument: parameters, and what TorchScript says about the types of lists.
    First,
    Storage(Dtype),
    Dtype(Dtype),
    /// A class of TorchScript.
    Module,
}

/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;
/// Most dictionaries in one another.
const MOST_DEPTH: usize = 32;
/// Longest name of a tensor, in bytes.
const LONGEST_NAME: usize = 1024;

impl Global {
    fn find(module: &str, name: &str) -> Result<Self> {
        let dtype = |name: &str| {
            Some(match name {
                "double" | "float64" => Dtype::F64,
                "float" | "float32" => Dtype::F32,
                "half" | "float16" => Dtype::F16,
                "bfloat16" => Dtype::BF16,
                "long" | "int64" => Dtype::I64,
                "int" | "int32" => Dtype::I32,
                "short" | "int16" => Dtype::I16,
                "char" | "int8" => Dtype::I8,
                "byte" | "uint8" | "untyped" => Dtype::U8,
                "bool" => Dtype::BOOL,
                _ => return None,
            })
        };
        let storage = name.strip_suffix("Storage").and_then(|name| dtype(&name.to_ascii_lowercase()));
        let found = match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::Tensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::TypedTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::First),
            (
                "torch.jit._pickle",
                "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist" | "restore_type_tag",
            ) => Some(Self::First),
            ("torch" | "torch.storage", _) if storage.is_some() => storage.map(Self::Storage),
            ("torch", _) => dtype(name).map(Self::Dtype),
            _ => (module == "__torch__" || module.starts_with("__torch__.")).then_some(Self::Module),
        };
        found.ok_or_else(|| refused(module, name))
    }
}

fn refused(module: &str, name: &str) -> Fault {
    let start = |text: &str| text.chars().take(100).flat_map(char::escape_debug).collect::<String>();
    Wrong(format!(
        "calls {}.{}: refused, and nothing was executed: only tensors and containers are read from a pickle. If you trust the \
         file, save its state_dict alone, or better as safetensors",
        start(module),
        start(name)
    ))
}

/// Reads the pickle at the start of these bytes.
///
/// # Errors
/// [`Fault`].
pub fn read(bytes: &[u8]) -> Result<Pickle<'_>> {
    let (root, objects, length) = machine::run(bytes)?;
    Ok(Pickle { root, objects, length })
}

impl<'a> Pickle<'a> {
    /// The number, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self.root {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// A boolean of a dictionary.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let dict = self.entries(self.root)?;
        self.objects.dicts[dict].iter().find_map(|entry| match entry {
            (Value::Text(key), Value::Bool(flag)) if *key == name => Some(*flag),
            _ => None,
        })
    }

    /// The strings of a list of strings.
    pub fn texts(&self) -> Option<Vec<&'a str>> {
        let Value::List(list) = self.root else { return None };
        let text = |value: &Value<'a>| match value {
            Value::Text(text) => Some(*text),
            _ => None,
        };
        self.objects.lists[list].iter().map(text).collect()
    }

    /// A storage by its name.
    pub fn storage(&self, key: &str) -> Option<Storage> {
        self.objects.storages.get(key).copied()
    }

    /// Whether it is a module of TorchScript.
    pub fn is_module(&self) -> bool {
        matches!(self.root, Value::Module(_))
    }

    /// The tensors with their names, as in a `state_dict`: names of dictionaries in one another are joined by points. Of a
    /// checkpoint of training it is what lies under `state_dict`, without the prefix that parallel training adds, as in
    /// open_clip's `load_state_dict`.
    ///
    /// # Errors
    /// [`Fault::Wrong`] if dictionaries go round in a loop, or have no end.
    pub fn tensors(&self) -> Result<Vec<(String, &Tensor<'a>)>> {
        let (mut found, mut met) = (Vec::new(), HashSet::new());
        let root = self.entries(self.root).ok_or_else(|| {
            Wrong("expected a dictionary of tensors, as state_dict() returns it, found something else".into())
        })?;
        let inner = self.objects.dicts[root]
            .iter()
            .find(|(key, value)| matches!((key, value), (Value::Text("state_dict"), Value::Dict(_))));
        let root = inner.and_then(|(_, inner)| self.entries(*inner)).unwrap_or(root);
        self.walk(root, "", 0, &mut met, &mut found)?;
        if found.iter().all(|(name, _)| name.starts_with("module.")) {
            found.iter_mut().for_each(|(name, _)| drop(name.drain(.."module.".len())));
        }
        Ok(found)
    }

    /// The dictionary that a dictionary or a module is.
    fn entries(&self, value: Value<'a>) -> Option<usize> {
        match value {
            Value::Dict(dict) => Some(dict),
            Value::Module(module) => self.objects.modules[module],
            _ => None,
        }
    }

    fn walk<'s>(
        &'s self,
        dict: usize,
        prefix: &str,
        depth: usize,
        met: &mut HashSet<usize>,
        found: &mut Vec<(String, &'s Tensor<'a>)>,
    ) -> Result<()> {
        if !met.insert(dict) {
            return Err(Wrong(format!(
                "{prefix}: expected each dictionary in one place, found one that is in two or in itself"
            )));
        }
        if depth == MOST_DEPTH {
            return Err(Wrong(format!("expected at most {MOST_DEPTH} dictionaries in one another, found more")));
        }
        for (key, value) in &self.objects.dicts[dict] {
            let Value::Text(key) = key else { continue };
            let inner = self.entries(*value);
            if inner.is_none() && !matches!(value, Value::Tensor(_)) {
                continue;
            }
            if prefix.len() + key.len() >= LONGEST_NAME {
                return Err(Wrong(format!("expected names of at most {LONGEST_NAME} bytes, found a longer one")));
            }
            let name = format!("{prefix}{}{key}", if prefix.is_empty() { "" } else { "." });
            match (inner, value) {
                (Some(inner), _) => self.walk(inner, &name, depth + 1, met, found)?,
                (None, Value::Tensor(tensor)) => found.push((name, &self.objects.tensors[*tensor])),
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Objects<'a> {
    fn dtype(&self, storage: Value<'a>) -> Result<Dtype> {
        let Value::Storage(key) = storage else { return Err(no_tensor()) };
        Ok(self.storages[key].dtype)
    }

    fn tensor(&mut self, dtype: Dtype, [storage, offset, shape, strides]: [Value<'a>; 4]) -> Result<Value<'a>> {
        let (Value::Storage(key), Value::Int(offset)) = (storage, offset) else { return Err(no_tensor()) };
        let offset = u64::try_from(offset).map_err(|_| no_tensor())?;
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        if shape.len() != strides.len() {
            return Err(no_tensor());
        }
        self.tensors.push(Tensor { key, dtype, offset, shape, strides });
        Ok(Value::Tensor(self.tensors.len() - 1))
    }

    fn sizes(&self, value: Value<'a>) -> Result<Vec<usize>> {
        let Value::List(list) = value else { return Err(no_tensor()) };
        let list = &self.lists[list];
        if list.len() > MOST_DIMENSIONS {
            return Err(Wrong(format!("expected at most {MOST_DIMENSIONS} dimensions, found {}", list.len())));
        }
        let size = |value: &Value| match value {
            Value::Int(size) => usize::try_from(*size).map_err(|_| no_tensor()),
            _ => Err(no_tensor()),
        };
        list.iter().map(size).collect()
    }
}

fn no_tensor() -> Fault {
    Wrong("expected storage, offset, shape and strides of a tensor, found something else".into())
}
