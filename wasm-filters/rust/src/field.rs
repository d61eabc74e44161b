//! Fields: paths that the agent resolved once for this instance.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::AtomicI32;
use std::sync::atomic::Ordering::Relaxed;

use crate::{Error, log, sys};

/// Not asked for yet. No id, and no error's number.
const UNRESOLVED: i32 = i32::MIN;

/// A path into a record, such as `http.status` or `@k8s.namespace.name`. The agent is asked for its id at first use; from
/// then on it is a number.
///
/// A path that is known when the filter is written is made by [`field!`](crate::field!), or as a `static`:
///
/// ```
/// use suiro_filter::Field;
///
/// static STATUS: Field = Field::new("http.status");
/// ```
///
/// One that the configuration names is made by [`Field::parse`], once, and kept in the filter's state.
pub struct Field {
    path: Cow<'static, str>,
    id: AtomicI32,
}

/// The value the walk is at.
pub(crate) static AT: Field = Field { path: Cow::Borrowed(""), id: AtomicI32::new(sys::AT) };

/// The field of this path: `record.str(field!("level"))`. It is resolved once, however often the line is run.
#[macro_export]
macro_rules! field {
    ($path:literal) => {{
        static FIELD: $crate::Field = $crate::Field::new($path);
        &FIELD
    }};
}

impl Field {
    /// A field by a path that is known to be one. Where it is not, the agent's log says so, and the field is absent from
    /// all records and can't be set.
    pub const fn new(path: &'static str) -> Field {
        Field { path: Cow::Borrowed(path), id: AtomicI32::new(UNRESOLVED) }
    }

    /// A field by a path that comes from outside.
    pub fn parse(path: &str) -> Result<Field, Error> {
        let id = sys::field(path);
        Error::check(id)?;
        Ok(Field { path: Cow::Owned(path.to_owned()), id: AtomicI32::new(id) })
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.path
    }

    #[inline]
    pub(crate) fn id(&self) -> i32 {
        // There is one thread on WebAssembly. In tests there are several, and all of them find the same.
        match self.id.load(Relaxed) {
            UNRESOLVED => self.resolve(),
            id => id,
        }
    }

    #[cold]
    fn resolve(&self) -> i32 {
        let id = sys::field(&self.path);
        if let Err(error) = Error::check(id) {
            log::write(log::Level::Error, &format!("field `{}`: {error}", self.path));
        }
        self.id.store(id, Relaxed);
        id
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Field").field(&self.path).finish()
    }
}
