//! Any kind of item, as the properties write and expect it.

use super::*;
use norma_ipc::typed::{ReadError, Reader};
use proptest::prelude::*;

/// What an item holds. Rights and memory are made when it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
    U128(Vec<u128>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    I128(Vec<i128>),
    /// The bits, so that one that is no number is equal to itself.
    F32(Vec<u32>),
    F64(Vec<u64>),
    Bool(Vec<bool>),
    Bytes(Vec<u8>),
    Text(String),
    /// An array of texts.
    Texts(Vec<String>),
    Rights(RightKind, u8),
    Memory {
        bytes: Vec<u8>,
        shared: bool,
    },
    Numbers(Vec<u32>),
    LongNumbers(Vec<i128>),
}

fn some<T: Arbitrary>() -> impl Strategy<Value = Vec<T>> {
    prop_oneof![
        2 => prop::collection::vec(any::<T>(), 1),
        3 => prop::collection::vec(any::<T>(), 0..20)
    ]
}

fn kind() -> impl Strategy<Value = RightKind> {
    prop_oneof![
        Just(RightKind::Receive),
        Just(RightKind::Send),
        Just(RightKind::SendOnce)
    ]
}

pub fn value() -> impl Strategy<Value = Value> {
    let numbers = prop_oneof![
        some().prop_map(Value::U8),
        some().prop_map(Value::U16),
        some().prop_map(Value::U32),
        some().prop_map(Value::U64),
        some().prop_map(Value::U128),
        some().prop_map(Value::I8),
        some().prop_map(Value::I16),
        some().prop_map(Value::I32),
        some().prop_map(Value::I64),
        some().prop_map(Value::I128),
    ];
    let others = prop_oneof![
        some().prop_map(Value::F32),
        some().prop_map(Value::F64),
        some().prop_map(Value::Bool),
        some().prop_map(Value::Bytes),
        ".{0,12}".prop_map(Value::Text),
        prop::collection::vec(".{0,5}", 0..5).prop_map(Value::Texts),
        (kind(), prop_oneof![Just(1_u8), 0..6_u8]).prop_map(|(kind, n)| Value::Rights(kind, n)),
    ];
    let memory = prop_oneof![
        (any::<u8>(), 0..9000_usize, any::<bool>()).prop_map(|(mark, length, shared)| {
            Value::Memory {
                bytes: vec![mark; length],
                shared,
            }
        }),
        (any::<u32>(), 0..1500_u32)
            .prop_map(|(from, n)| Value::Numbers((0..n).map(|i| from ^ i).collect())),
        some().prop_map(Value::LongNumbers),
    ];
    prop_oneof![4 => numbers, 4 => others, 1 => memory]
}

impl Value {
    /// Writes the item; whether there was room.
    pub fn write(&self, bench: &mut Bench, writer: &mut typed::Writer<'_, HeapPage>) -> bool {
        macro_rules! numbers {
            ($values:expr) => {{
                match $values[..] {
                    [value] => writer.value(value).is_ok(),
                    _ => writer.array($values).is_ok(),
                }
            }};
        }
        match self {
            Value::U8(values) => numbers!(values),
            Value::U16(values) => numbers!(values),
            Value::U32(values) => numbers!(values),
            Value::U64(values) => numbers!(values),
            Value::U128(values) => numbers!(values),
            Value::I8(values) => numbers!(values),
            Value::I16(values) => numbers!(values),
            Value::I32(values) => numbers!(values),
            Value::I64(values) => numbers!(values),
            Value::I128(values) => numbers!(values),
            Value::F32(bits) => {
                let values: Vec<_> = bits.iter().map(|bits| f32::from_bits(*bits)).collect();
                numbers!(&values)
            }
            Value::F64(bits) => {
                let values: Vec<_> = bits.iter().map(|bits| f64::from_bits(*bits)).collect();
                numbers!(&values)
            }
            Value::Bool(values) => numbers!(values),
            Value::Bytes(bytes) => writer.bytes(bytes).is_ok(),
            Value::Text(text) => writer.text(text).is_ok(),
            Value::Texts(texts) => {
                writer.list(texts.len() as u32).is_ok()
                    && texts.iter().all(|text| writer.text(text).is_ok())
            }
            Value::Rights(kind, 1) => match writer.right(bench.right(*kind)) {
                Ok(_) => true,
                Err(right) => {
                    bench.ipc.release(right);
                    false
                }
            },
            Value::Rights(kind, count) => {
                let mut rights = (0..*count).map(|_| bench.right(*kind)).collect();
                let written = writer.rights(*kind, &mut rights).is_ok();
                assert!(!written || rights.is_empty());
                assert!(written || rights.len() == usize::from(*count));
                rights
                    .into_iter()
                    .for_each(|right| bench.ipc.release(right));
                written
            }
            Value::Memory { bytes, shared } => {
                let source = &mut bench.source;
                let region = Memory::copy_from(bytes, source).unwrap();
                if *shared {
                    writer.copied_memory(&region, source).is_ok()
                } else {
                    writer.memory(region, source).is_ok()
                }
            }
            Value::Numbers(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
                let region = Memory::copy_from(&bytes, &mut bench.source).unwrap();
                writer.numbers::<u32>(region, &mut bench.source).is_ok()
            }
            Value::LongNumbers(values) => {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
                let region = Memory::copy_from(&bytes, &mut bench.source).unwrap();
                writer.numbers::<i128>(region, &mut bench.source).is_ok()
            }
        }
    }

    /// Reads such an item as this one; rights go to `rights`.
    pub fn read(
        &self,
        reader: &mut Reader<'_, HeapPage>,
        rights: &mut Vec<Right>,
    ) -> Result<Value, ReadError> {
        macro_rules! numbers {
            ($values:expr) => {
                match $values[..] {
                    [_] => vec![reader.value()?],
                    _ => reader.array()?.collect(),
                }
            };
        }
        Ok(match self {
            Value::U8(values) => Value::U8(numbers!(values)),
            Value::U16(values) => Value::U16(numbers!(values)),
            Value::U32(values) => Value::U32(numbers!(values)),
            Value::U64(values) => Value::U64(numbers!(values)),
            Value::U128(values) => Value::U128(numbers!(values)),
            Value::I8(values) => Value::I8(numbers!(values)),
            Value::I16(values) => Value::I16(numbers!(values)),
            Value::I32(values) => Value::I32(numbers!(values)),
            Value::I64(values) => Value::I64(numbers!(values)),
            Value::I128(values) => Value::I128(numbers!(values)),
            Value::F32(_) => Value::F32(reader.array()?.map(f32::to_bits).collect()),
            Value::F64(_) => Value::F64(reader.array()?.map(f64::to_bits).collect()),
            Value::Bool(values) => Value::Bool(numbers!(values)),
            Value::Bytes(_) => Value::Bytes(reader.bytes()?.to_vec()),
            Value::Text(_) => Value::Text(reader.text()?.to_owned()),
            Value::Texts(_) => {
                let count = reader.list()?;
                let texts = (0..count).map(|_| reader.text().map(str::to_owned));
                Value::Texts(texts.collect::<Result<_, _>>()?)
            }
            Value::Rights(kind, 1) => {
                rights.push(reader.right(*kind)?);
                Value::Rights(*kind, 1)
            }
            Value::Rights(kind, _) => {
                let mut taken = reader.rights(*kind)?;
                let count = taken.len() as u8;
                rights.extend(std::iter::from_fn(|| taken.take()));
                Value::Rights(*kind, count)
            }
            Value::Memory { shared, .. } => {
                let region = reader.memory()?;
                assert_eq!(region.pages().len(), region.len().div_ceil(PAGE_SIZE));
                Value::Memory {
                    bytes: region.chunks().flatten().copied().collect(),
                    shared: *shared,
                }
            }
            Value::Numbers(_) => {
                let values = reader.numbers()?;
                let (first, last) = (values.get(0), values.get(values.len().wrapping_sub(1)));
                let all: Vec<_> = values.iter().collect();
                assert_eq!((all.first(), all.last()), (first.as_ref(), last.as_ref()));
                assert!(values.get(values.len()).is_none());
                Value::Numbers(all)
            }
            Value::LongNumbers(_) => Value::LongNumbers(reader.numbers()?.iter().collect()),
        })
    }
}
