//! The stack machine. Its opcodes are those of protocols 2 to 5 in CPython's `pickletools.py`.

use std::collections::HashMap;

use super::{
    Fault::{Early, Wrong},
    Global, Objects, Result, Storage, Value,
};

/// Runs the pickle at the start of these bytes: its value, what that refers to, and how many bytes it has.
pub(super) fn run(bytes: &[u8]) -> Result<(Value<'_>, Objects<'_>, usize)> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), memo: HashMap::new(), objects: Objects::default() };
    while machine.step()? {}
    Ok((machine.pop()?, machine.objects, machine.at))
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    memo: HashMap<u64, Value<'a>>,
    objects: Objects<'a>,
}

impl<'a> Machine<'a> {
    /// One opcode; false after the last.
    fn step(&mut self) -> Result<bool> {
        let opcode = self.take(1)?[0];
        match opcode {
            b'.' => return Ok(false),
            // PROTO
            0x80 => match self.number(1)? {
                2..=5 => {}
                found => return Err(Wrong(format!("expected a pickle of protocol 2 to 5, found {found}"))),
            },
            // FRAME: its length says how to read, not what.
            0x95 => drop(self.take(8)?),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.stack.push(Value::Plain),
            0x88 | 0x89 => self.stack.push(Value::Bool(opcode == 0x88)),
            // BINFLOAT
            b'G' => self.plain(8)?,
            // BININT, BININT1, BININT2
            b'J' => {
                let number = self.number(4)? as u32 as i32;
                self.stack.push(Value::Int(number.into()));
            }
            b'K' | b'M' => {
                let number = self.number(if opcode == b'K' { 1 } else { 2 })?;
                self.stack.push(Value::Int(number as i64));
            }
            // LONG1, LONG4
            0x8a | 0x8b => {
                let length = self.number(if opcode == 0x8a { 1 } else { 4 })?;
                self.long(length)?;
            }
            // Text: SHORT_BINUNICODE, BINUNICODE, BINUNICODE8; Python 2's SHORT_BINSTRING, BINSTRING
            0x8c | b'U' => self.text(1)?,
            b'X' | b'T' => self.text(4)?,
            0x8d => self.text(8)?,
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            b'C' | b'B' | 0x8e | 0x96 => {
                let length = self.number(match opcode {
                    b'C' => 1,
                    b'B' => 4,
                    _ => 8,
                })?;
                self.plain(length)?;
            }
            b'(' => self.stack.push(Value::Mark),
            b'0' => drop(self.pop()?),
            // POP_MARK
            b'1' => drop(self.since_mark()?),
            // DUP
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.remember(opcode)?,
            b']' | 0x8f | b')' | b't' | b'l' | 0x91 | 0x85..=0x87 | b'a' | b'e' | 0x90 => self.list(opcode)?,
            b'}' | b'd' | b's' | b'u' => self.dict(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'R' => self.reduce()?,
            0x81 => self.new_object()?,
            b'b' => self.build()?,
            b'Q' => self.storage()?,
            _ => {
                return Err(Wrong(format!(
                    "byte {} of the pickle: expected an operation on tensors and containers, found {opcode:#04x}: refused, and \
                     nothing was executed",
                    self.at - 1
                )));
            }
        }
        Ok(true)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| Early)?;
        let taken = self.bytes[self.at..].get(..length).ok_or(Early)?;
        self.at += length;
        Ok(taken)
    }

    fn number(&mut self, bytes: u64) -> Result<u64> {
        Ok(self.take(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn plain(&mut self, length: u64) -> Result<()> {
        self.take(length)?;
        self.stack.push(Value::Plain);
        Ok(())
    }

    /// An integer in two's complement.
    fn long(&mut self, length: u64) -> Result<()> {
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut eight = [if negative { 0xff } else { 0 }; 8];
        self.stack.push(match eight.get_mut(..bytes.len()) {
            None => Value::Plain,
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(eight))
            }
        });
        Ok(())
    }

    fn text(&mut self, length: u64) -> Result<()> {
        let length = self.number(length)?;
        let text = std::str::from_utf8(self.take(length)?);
        self.stack.push(text.map_or(Value::Plain, Value::Text));
        Ok(())
    }

    /// The value on top of the stack, above the last mark.
    fn top(&self) -> Result<Value<'a>> {
        match self.stack.last() {
            Some(Value::Mark) | None => Err(Wrong("expected a value on the pickle's stack, found none".into())),
            Some(value) => Ok(*value),
        }
    }

    fn pop(&mut self) -> Result<Value<'a>> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Takes the values above the last mark, and the mark.
    fn since_mark(&mut self) -> Result<Vec<Value<'a>>> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        let mark = mark.ok_or_else(|| Wrong("expected a mark on the pickle's stack, found none".into()))?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    /// BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
    fn remember(&mut self, opcode: u8) -> Result<()> {
        let key = match opcode {
            b'q' | b'h' => self.number(1)?,
            b'r' | b'j' => self.number(4)?,
            _ => self.memo.len() as u64,
        };
        if matches!(opcode, b'h' | b'j') {
            let value = self.memo.get(&key).copied();
            self.stack.push(value.ok_or_else(|| Wrong(format!("expected {key} in the pickle's memo, found none")))?);
        } else {
            let top = self.top()?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    fn list(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            // EMPTY_LIST, EMPTY_SET, EMPTY_TUPLE
            b']' | 0x8f | b')' => Vec::new(),
            // TUPLE, LIST, FROZENSET, APPENDS, ADDITEMS
            b't' | b'l' | 0x91 | b'e' | 0x90 => self.since_mark()?,
            // APPEND
            b'a' => vec![self.pop()?],
            // TUPLE1, TUPLE2, TUPLE3
            _ => {
                let mut items: Vec<_> = (0x85..=opcode).map(|_| self.pop()).collect::<Result<_>>()?;
                items.reverse();
                items
            }
        };
        if !matches!(opcode, b'a' | b'e' | 0x90) {
            self.objects.lists.push(items);
            self.stack.push(Value::List(self.objects.lists.len() - 1));
            return Ok(());
        }
        match self.top()? {
            Value::List(list) => self.objects.lists[list].extend(items),
            _ => return Err(Wrong("expected a list to append to, found something else".into())),
        }
        Ok(())
    }

    fn dict(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            b'}' => Vec::new(),
            // SETITEM
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            // DICT, SETITEMS
            _ => self.since_mark()?,
        };
        if items.len() % 2 == 1 {
            return Err(Wrong("expected a value for each key of a dictionary, found none".into()));
        }
        if matches!(opcode, b'}' | b'd') {
            let dict = self.new_dict();
            self.stack.push(Value::Dict(dict));
        }
        match self.top()? {
            Value::Dict(dict) => self.objects.dicts[dict].extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => return Err(Wrong("expected a dictionary to add to, found something else".into())),
        }
        Ok(())
    }

    fn new_dict(&mut self) -> usize {
        self.objects.dicts.push(Vec::new());
        self.objects.dicts.len() - 1
    }

    /// GLOBAL, STACK_GLOBAL
    fn global(&mut self, opcode: u8) -> Result<()> {
        let (module, name) = if opcode == b'c' {
            (self.line()?, self.line()?)
        } else {
            let name = self.pop()?;
            match (self.pop()?, name) {
                (Value::Text(module), Value::Text(name)) => (module, name),
                _ => return Err(Wrong("expected the name of a global, found something else".into())),
            }
        };
        self.stack.push(Value::Global(Global::find(module, name)?));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or(Early)?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| Wrong("expected the name of a global, found no text".into()))
    }

    /// The arguments of a call, which are on top of the stack.
    fn arguments(&mut self) -> Result<usize> {
        match self.pop()? {
            Value::List(arguments) => Ok(arguments),
            _ => Err(Wrong("expected the arguments of a call, found something else".into())),
        }
    }

    /// REDUCE
    fn reduce(&mut self) -> Result<()> {
        let arguments = self.arguments()?;
        let callee = self.pop()?;
        let arguments = &self.objects.lists[arguments];
        let made = match (callee, arguments.as_slice()) {
            (Value::Global(Global::OrderedDict), []) => Value::Dict(self.new_dict()),
            (Value::Global(Global::First), [first, ..]) => *first,
            (Value::Global(Global::Tensor), [storage, offset, shape, strides, ..]) => {
                let dtype = self.objects.dtype(*storage)?;
                self.objects.tensor(dtype, [*storage, *offset, *shape, *strides])?
            }
            (
                Value::Global(Global::TypedTensor),
                [storage, offset, shape, strides, _, _, Value::Global(Global::Dtype(dtype)), ..],
            ) => self.objects.tensor(*dtype, [*storage, *offset, *shape, *strides])?,
            _ => {
                return Err(Wrong(
                    "calls something with other arguments than torch.save writes: refused, and nothing was executed"
                        .into(),
                ));
            }
        };
        self.stack.push(made);
        Ok(())
    }

    /// NEWOBJ: a module of TorchScript.
    fn new_object(&mut self) -> Result<()> {
        let arguments = self.arguments()?;
        match (self.pop()?, self.objects.lists[arguments].is_empty()) {
            (Value::Global(Global::Module), true) => {
                self.objects.modules.push(None);
                self.stack.push(Value::Module(self.objects.modules.len() - 1));
                Ok(())
            }
            _ => Err(Wrong("expected a module of TorchScript, found an object of another class: refused".into())),
        }
    }

    /// BUILD: a module's attributes; or those of an OrderedDict, such as `_metadata`, which no tensor depends on.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        match (self.top()?, state) {
            (Value::Module(module), Value::Dict(dict)) => self.objects.modules[module] = Some(dict),
            (Value::Dict(_), Value::Dict(_)) => {}
            _ => return Err(Wrong("expected the attributes of a module, found something else".into())),
        }
        Ok(())
    }

    /// BINPERSID: `("storage", type, key, device, numbers)`, and in the old format a sixth that is none.
    fn storage(&mut self) -> Result<()> {
        let id = self.arguments()?;
        let found = match self.objects.lists[id].as_slice() {
            [Value::Text("storage"), Value::Global(Global::Storage(dtype)), Value::Text(key), _, Value::Int(count)]
            | [
                Value::Text("storage"),
                Value::Global(Global::Storage(dtype)),
                Value::Text(key),
                _,
                Value::Int(count),
                Value::Plain,
            ] => u64::try_from(*count).ok().map(|count| (*key, Storage { dtype: *dtype, count })),
            _ => None,
        };
        let (key, storage) =
            found.ok_or_else(|| Wrong("expected the description of a storage, found something else".into()))?;
        if *self.objects.storages.entry(key).or_insert(storage) != storage {
            return Err(Wrong(format!("storage {key:?}: expected one type and one size, found two")));
        }
        self.stack.push(Value::Storage(key));
        Ok(())
    }
}
