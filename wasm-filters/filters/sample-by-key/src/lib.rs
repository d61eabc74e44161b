//! `sample-by-key`: keeps a part of the records: all or none of those that have one key, such as a trace's id. Every
//! instance on every machine decides the same.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `key` | required | a path: what is decided by |
//! | `rate` | required | the part that is kept, from 0 to 1 |
//! | `missing` | `"keep"` | what becomes of records without the key: `"keep"` or `"drop"` |
//! | `rate_field` | none | a path where kept records tell `rate`, for those who count them |
//!
//! A key is kept where [`hash`] of its text is below `rate` times 2^64. A key that is kept at one rate is kept at all higher
//! ones.

use suiro_filter::{Config, Field, Record, Setup, Verdict, filter};

/// The filter's state.
pub struct Sample {
    key: Field,
    rate: f64,
    /// Hashes below it are kept. Above 2^64 - 1 all of them are.
    limit: u128,
    missing: Verdict,
    rate_field: Option<Field>,
}

impl Setup for Sample {
    fn setup(config: &Config) -> Result<Sample, String> {
        config.only(&["key", "rate", "missing", "rate_field"])?;
        let key: String = config.require("key", "\"trace_id\"")?;
        let rate: f64 = config.require("rate", 0.1)?;
        if !(0.0..=1.0).contains(&rate) {
            return Err(format!("`rate` is from 0 to 1, and is {rate}"));
        }
        let missing = match &*config.get_or("missing", "keep".to_owned())? {
            "keep" => Verdict::Keep,
            "drop" => Verdict::Drop,
            other => return Err(format!("`missing` is \"keep\" or \"drop\", and is \"{other}\"")),
        };
        let field = |name: &str, path: &str| Field::parse(path).map_err(|error| format!("`{name}`: {error}"));
        let rate_field: Option<String> = config.get("rate_field")?;
        Ok(Sample {
            key: field("key", &key)?,
            rate,
            limit: (rate * 2_f64.powi(64)) as u128,
            missing,
            rate_field: rate_field.map(|path| field("rate_field", &path)).transpose()?,
        })
    }
}

/// The filter.
#[filter]
pub fn sample_by_key(record: &mut Record, sample: &mut Sample) -> suiro_filter::Result {
    let Some(key) = record.text(&sample.key) else { return Ok(sample.missing) };
    if u128::from(hash(key.as_bytes())) >= sample.limit {
        return Ok(Verdict::Drop);
    }
    if let Some(field) = &sample.rate_field {
        record.set(field, sample.rate)?;
    }
    Ok(Verdict::Keep)
}

/// FNV-1a of 64 bits, mixed as splitmix64 does, since FNV alone leaves keys that differ in their last byte close together.
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ fnv >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use suiro_filter::testing::{Host, set_up_with};

    use super::*;

    #[test]
    fn the_sample_is_sampled() {
        let outcome = Host::new().check_sample(sample_by_key, env!("CARGO_MANIFEST_DIR"));
        assert!(outcome.dropped() > 0);
    }

    #[test]
    fn the_rate_is_met_and_higher_rates_keep_what_lower_ones_do() {
        let keys: Vec<String> = (0..20_000).map(|n| format!("{{\"k\":\"key-{n}\"}}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let kept = |rate| {
            let config = format!(r#"{{"key":"k","rate":{rate}}}"#);
            Host::new().config(&config).run(sample_by_key, &keys).unwrap().lines()
        };
        let (tenth, half) = (kept(0.1), kept(0.5));
        assert!((1_850..2_150).contains(&tenth.len()), "{}", tenth.len());
        assert!((9_700..10_300).contains(&half.len()), "{}", half.len());
        let half: std::collections::HashSet<String> = half.into_iter().collect();
        assert!(tenth.iter().all(|line| half.contains(line)));
        assert_eq!((kept(0.0).len(), kept(1.0).len()), (0, 20_000));
    }

    #[test]
    fn the_hash_is_what_the_readme_says() {
        assert_eq!((hash(b""), hash(b"4bf92f3577b34da6")), (HASHES[0], HASHES[1]));
    }

    /// Computed by another program; see the README.
    const HASHES: [u64; 2] = [0xf52a_15e9_a9b5_e89b, 0x3903_cc0e_c20c_ce37];

    #[test]
    fn settings_that_are_wrong_are_named() {
        let wrong = |json: &str| set_up_with::<Sample>(json).err().expect("it is wrong");
        assert!(wrong("{}").contains("`key` is missing"));
        assert!(wrong(r#"{"key":"k"}"#).contains("`rate` is missing"));
        assert!(wrong(r#"{"key":"k","rate":10}"#).contains("from 0 to 1"));
        assert!(wrong(r#"{"key":"a..b","rate":1}"#).contains("`key`"));
        assert!(wrong(r#"{"key":"k","rate":1,"missing":"no"}"#).contains("\"no\""));
    }
}
