//! Reads a push request back, strictly: whatever is not expected fails.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) labels: String,
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) time: i64,
    pub(super) line: String,
    pub(super) metadata: Vec<(String, String)>,
}

/// Of a body as it is sent.
pub(super) fn decode(body: &[u8]) -> Vec<Stream> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).unwrap();
    fields(&plain).into_iter().map(|field| stream(field.bytes(1))).collect()
}

impl Stream {
    pub(super) fn lines(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.line.as_str()).collect()
    }

    pub(super) fn times(&self) -> Vec<i64> {
        self.entries.iter().map(|entry| entry.time).collect()
    }
}

fn stream(bytes: &[u8]) -> Stream {
    let mut fields = fields(bytes).into_iter();
    let labels = text(fields.next().unwrap().bytes(1));
    Stream { labels, entries: fields.map(|field| entry(field.bytes(2))).collect() }
}

fn entry(bytes: &[u8]) -> Entry {
    let mut out = Entry { time: 0, line: String::new(), metadata: Vec::new() };
    for field in fields(bytes) {
        match field.number {
            1 => out.time = time(field.bytes(1)),
            2 => out.line = text(field.bytes(2)),
            _ => {
                let pair = fields(field.bytes(3));
                out.metadata.push((text(pair[0].bytes(1)), text(pair[1].bytes(2))));
            }
        }
    }
    out
}

fn time(bytes: &[u8]) -> i64 {
    fields(bytes)
        .into_iter()
        .map(|field| match (field.number, field.value) {
            (1, Value::Varint(seconds)) => seconds.cast_signed() * 1_000_000_000,
            (2, Value::Varint(nanos)) => nanos.cast_signed(),
            _ => panic!("a timestamp has two varints"),
        })
        .sum()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

struct Field<'a> {
    number: u64,
    value: Value<'a>,
}

enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self, number: u64) -> &'a [u8] {
        assert_eq!(self.number, number);
        match self.value {
            Value::Bytes(bytes) => bytes,
            Value::Varint(_) => panic!("field {number} is a varint"),
        }
    }
}

fn fields(mut bytes: &[u8]) -> Vec<Field<'_>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut bytes)),
            2 => {
                let len = usize::try_from(varint(&mut bytes)).unwrap();
                let (head, rest) = bytes.split_at(len);
                bytes = rest;
                Value::Bytes(head)
            }
            other => panic!("wire type {other}"),
        };
        fields.push(Field { number: tag >> 3, value });
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    panic!("a varint of more than 64 bits")
}
