//! The same comparisons under proptest, which shrinks what fails.

use proptest::prelude::*;

use crate::bodies;
use crate::generate::Choices;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_json_reads_as_serde_json_reads_it(choices in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut text = String::new();
        Choices(&choices).json(&mut text);
        bodies::json(text.as_bytes());
    }

    #[test]
    fn almost_json_reads_as_serde_json_reads_it(text in r#"[\[\]{}",:0-9eE.+\-tfn\\u \n]{0,40}"#) {
        bodies::json(text.as_bytes());
    }

    #[test]
    fn edits_do_what_the_model_does(choices in proptest::collection::vec(any::<u8>(), 0..400)) {
        bodies::edits(&choices);
    }
}
