//! `enrich-csv`: adds what a table knows about a field's value.
//!
//! | setting | default | |
//! | --- | --- | --- |
//! | `field` | required | a path: whose value is looked up, as text |
//! | `csv` | required | the table: a line of names, then the rows. RFC 4180: quotes around what holds commas, quotes or lines |
//! | `key` | the first | the column that is looked up in |
//! | `columns` | all others | the columns that are added |
//! | `into` | the record itself | a path: the map they are added to |
//! | `numbers` | `false` | values that read as JSON numbers become numbers |
//! | `missing` | `"keep"` | what becomes of a record whose value is not in the table: `"keep"` or `"drop"` |
//!
//! Empty values are not added. Where a key stands in the table twice, the filter does not start.

mod csv;

use std::collections::HashMap;

use suiro_filter::{Config, Field, Record, Setup, Verdict, counter, filter};

/// What is set in a record.
#[derive(Debug)]
enum Cell {
    Text(String),
    /// A number, as JSON.
    Number(String),
}

/// The filter's state.
pub struct Enrich {
    field: Field,
    columns: Vec<Field>,
    /// By key, what is set: the column's place among `columns`, and the value.
    rows: HashMap<String, Vec<(usize, Cell)>>,
    missing: Verdict,
}

impl Setup for Enrich {
    fn setup(config: &Config) -> Result<Enrich, String> {
        config.only(&["field", "csv", "key", "columns", "into", "numbers", "missing"])?;
        let field: String = config.require("field", "\"status\"")?;
        let text: String = config.require("csv", "'''\ncode,meaning\n404,not found\n'''")?;
        let mut rows = csv::rows(text.trim_start_matches(['\u{feff}', '\n', '\r']))?.into_iter();
        let names = rows.next().ok_or("`csv` is empty: its first line names the columns")?;
        let place = |setting: &str, name: &str| {
            let place = names.iter().position(|other| other == name);
            place.ok_or_else(|| format!("`{setting}`: there is no column `{name}`; there are: {}", names.join(", ")))
        };
        let key = config.get::<String>("key")?.map_or(Ok(0), |name| place("key", &name))?;
        let wanted: Vec<usize> = match config.get::<Vec<String>>("columns")? {
            Some(columns) => columns.iter().map(|name| place("columns", name)).collect::<Result<_, _>>()?,
            None => (0..names.len()).filter(|&column| column != key).collect(),
        };
        let into: String = config.get_or("into", String::new())?;
        let columns: Result<Vec<Field>, String> = wanted.iter().map(|&column| target(&into, &names[column])).collect();
        let numbers = config.get_or("numbers", false)?;
        let missing = match &*config.get_or("missing", "keep".to_owned())? {
            "keep" => Verdict::Keep,
            "drop" => Verdict::Drop,
            other => return Err(format!("`missing` is \"keep\" or \"drop\", and is \"{other}\"")),
        };
        Ok(Enrich {
            field: Field::parse(&field).map_err(|error| format!("`field`: {error}"))?,
            columns: columns?,
            rows: table(rows, names.len(), key, &wanted, numbers)?,
            missing,
        })
    }
}

/// The filter.
#[filter]
pub fn enrich_csv(record: &mut Record, enrich: &mut Enrich) -> suiro_filter::Result {
    let Some(row) = record.text(&enrich.field).and_then(|key| enrich.rows.get(key)) else {
        counter!("unknown").add(1);
        return Ok(enrich.missing);
    };
    for (column, cell) in row {
        let field = &enrich.columns[*column];
        match cell {
            Cell::Text(text) => record.set(field, text)?,
            Cell::Number(json) => record.set_json(field, json)?,
        }
    }
    Ok(Verdict::Keep)
}

/// Where a column goes.
fn target(into: &str, name: &str) -> Result<Field, String> {
    // Names of columns are names, not paths: `a.b` is one.
    let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    let path = if into.is_empty() { quoted } else { format!("{into}.{quoted}") };
    Field::parse(&path).map_err(|error| format!("`into`: `{path}`: {error}"))
}

fn table(
    rows: impl Iterator<Item = Vec<String>>,
    names: usize,
    key: usize,
    wanted: &[usize],
    numbers: bool,
) -> Result<HashMap<String, Vec<(usize, Cell)>>, String> {
    let mut table = HashMap::new();
    for (i, row) in rows.enumerate() {
        if row.len() != names {
            return Err(format!("`csv`: row {} has {} columns, and the first line names {names}", i + 1, row.len()));
        }
        let cell = |(column, &place): (usize, &usize)| {
            let text = &row[place];
            let cell = if numbers && is_number(text) { Cell::Number(text.clone()) } else { Cell::Text(text.clone()) };
            (!text.is_empty()).then_some((column, cell))
        };
        let cells = wanted.iter().enumerate().filter_map(cell).collect();
        if table.insert(row[key].clone(), cells).is_some() {
            return Err(format!("`csv`: row {} is the second with the key `{}`", i + 1, row[key]));
        }
    }
    Ok(table)
}

/// Whether a text is a JSON number.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    digits(whole) && digits(fraction) && digits(exponent) && (whole == "0" || !whole.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use suiro_filter::testing::{Host, set_up_with};

    use super::*;

    #[test]
    fn the_sample_is_enriched() {
        let outcome = Host::new().check_sample(enrich_csv, env!("CARGO_MANIFEST_DIR"));
        assert_eq!(outcome.counter("unknown"), 3);
    }

    #[test]
    fn columns_are_chosen_and_put_in_the_record() {
        let config = r#"{"field":"k","csv":"x,key,y.z\n1,a,2\n,b,n\n","key":"key","columns":["y.z"],"missing":"drop"}"#;
        let lines = [r#"{"k":"a"}"#, r#"{"k":"b","y":{"z":0}}"#, r#"{"k":"c"}"#];
        let outcome = Host::new().config(config).run(enrich_csv, &lines).unwrap();
        assert_eq!(outcome.lines(), [r#"{"k":"a","y.z":"2"}"#, r#"{"k":"b","y":{"z":0},"y.z":"n"}"#]);
    }

    #[test]
    fn numbers() {
        for text in ["0", "-1", "12.50", "1e5", "1.0E-3", "0.5"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "1e", "+1", "1 ", "0x1", "NaN", "1.2.3"] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn settings_that_are_wrong_are_named() {
        let wrong = |json: &str| set_up_with::<Enrich>(json).err().expect("it is wrong");
        assert!(wrong("{}").contains("`field` is missing"));
        assert!(wrong(r#"{"field":"k"}"#).contains("`csv` is missing"));
        assert!(wrong(r#"{"field":"k","csv":"\n"}"#).contains("is empty"));
        assert!(wrong(r#"{"field":"k","csv":"a,b\n1\n"}"#).contains("row 1 has 1 columns"));
        assert!(wrong(r#"{"field":"k","csv":"a,b\n1,2\n1,3\n"}"#).contains("row 2 is the second"));
        assert!(wrong(r#"{"field":"k","csv":"a,b\n","key":"c"}"#).contains("no column `c`; there are: a, b"));
        assert!(wrong(r#"{"field":"k","csv":"a,b\n\"1,2"}"#).contains("never closed"));
    }
}
