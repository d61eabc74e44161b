//! Drops records of level `debug`, and notes in the others that it saw them.

use suiro_filter::{Record, Result, Verdict, field, filter};

/// The filter.
#[filter]
pub fn no_debug(record: &mut Record) -> Result {
    if record.text(field!("level")) == Some("debug") {
        return Ok(Verdict::Drop);
    }
    record.set(field!("seen"), true)?;
    Ok(Verdict::Keep)
}

#[cfg(test)]
mod tests {
    use suiro_filter::testing::Host;

    use super::*;

    #[test]
    fn the_sample() {
        Host::new().check_sample(no_debug, env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn one_record() {
        let outcome = Host::new().run(no_debug, &[r#"{"level":"debug"}"#, r#"{"level":"info"}"#]).unwrap();
        assert_eq!(outcome.lines(), [r#"{"level":"info","seen":true}"#]);
    }
}
