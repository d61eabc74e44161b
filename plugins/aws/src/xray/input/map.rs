//! A map of a record, such as `attributes`, that is there only if it has members.

use suiro_record::{Assembly, EditError, Key, Kind, NodeRef, Piece};

type Result<T> = std::result::Result<T, EditError>;

/// Opened with its first member.
#[derive(Debug)]
pub(crate) struct LazyMap<'r, 'b> {
    record: &'r mut Assembly<'b>,
    name: &'static str,
    is_open: bool,
}

// === impl LazyMap ===

impl<'r, 'b> LazyMap<'r, 'b> {
    pub(crate) fn new(record: &'r mut Assembly<'b>, name: &'static str) -> Self {
        LazyMap { record, name, is_open: false }
    }

    fn open(&mut self) -> Result<&mut Assembly<'b>> {
        if !self.is_open {
            self.record.open_map(Key::Name(self.name))?;
            self.is_open = true;
        }
        Ok(self.record)
    }

    pub(crate) fn text(&mut self, key: &str, text: &str) -> Result<()> {
        self.open()?.put_text(Key::Name(key), text)
    }

    pub(crate) fn put(&mut self, key: &str, piece: Piece) -> Result<()> {
        self.open()?.put(Key::Name(key), piece)
    }

    /// A member of a document under another name: texts, numbers and booleans as they are, lists and maps as JSON in a text.
    pub(crate) fn value(&mut self, key: &str, value: NodeRef<'_>) -> Result<()> {
        match value.kind() {
            Kind::Null => Ok(()),
            Kind::Bool => self.put(key, Piece::Bool(value.as_bool().unwrap_or_default())),
            Kind::String => self.text(key, &value.as_str().unwrap_or_default()),
            Kind::Number => match number(value) {
                Some(piece) => self.put(key, piece),
                // Beyond what a float holds.
                None => self.json(key, value),
            },
            Kind::Array | Kind::Object | Kind::Bytes => self.json(key, value),
        }
    }

    /// A whole number; what is none as it is.
    pub(crate) fn int(&mut self, key: &str, value: NodeRef<'_>) -> Result<()> {
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        match number {
            Some(number) => self.put(key, Piece::Int(number)),
            None => self.value(key, value),
        }
    }

    /// A member as JSON in a text.
    pub(crate) fn json(&mut self, key: &str, value: NodeRef<'_>) -> Result<()> {
        let mut json = Vec::new();
        value.write_json(&mut json);
        self.text(key, &String::from_utf8_lossy(&json))
    }

    /// A list of the texts of a list; what is no list of texts as it is.
    pub(crate) fn texts(&mut self, key: &str, value: NodeRef<'_>) -> Result<()> {
        if value.kind() != Kind::Array || value.children().any(|item| item.kind() != Kind::String) {
            return self.value(key, value);
        }
        self.list(key, value.children().filter_map(NodeRef::as_str))
    }

    pub(crate) fn list(&mut self, key: &str, texts: impl Iterator<Item = impl AsRef<str>>) -> Result<()> {
        let record = self.open()?;
        record.open_list(Key::Name(key))?;
        for text in texts {
            record.put_text(Key::Item, text.as_ref())?;
        }
        record.close();
        Ok(())
    }

    /// A member under its own name, `prefix` before it.
    pub(crate) fn rest(&mut self, prefix: &str, member: NodeRef<'_>) -> Result<()> {
        let key = format!("{prefix}{}", member.key().unwrap_or_default());
        self.value(&key, member)
    }

    pub(crate) fn close(self) {
        if self.is_open {
            self.record.close();
        }
    }
}

fn number(value: NodeRef<'_>) -> Option<Piece> {
    let whole = value.as_i64().map(Piece::Int).or_else(|| value.as_u64().map(Piece::Uint));
    whole.or_else(|| value.as_f64().filter(|number| number.is_finite()).map(Piece::Float))
}
