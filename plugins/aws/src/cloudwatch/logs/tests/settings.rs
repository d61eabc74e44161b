//! Mistakes are shown, with what mends them.

use super::kit::{NAMES, mistakes, settings};

#[test]
fn mistakes_name_the_setting_and_the_fix() {
    for (more, word) in [
        ("", "missing setting `log_stream`"),
        ("log_stream = 'a:b'", "`:`, `*` or a control character"),
        ("log_stream = '{x}'", "freely"),
        ("log_stream = 's'\nretention_days = 30", "create_group = true"),
        ("log_stream = 's'\ncreate_group = true\nretention_days = 31", "1, 3, 5, 7"),
        ("log_stream = 's'\ncreate_group = true\nlog_class = 'cheap'", "infrequent_access"),
        ("log_stream = 's'\ncreate_group = true\nlog_class = 'delivery'\nretention_days = 1", "leave it out"),
        ("log_stream = 's'\ncreate_group = true\ntags = { 'aws:x' = 'y' }", "the service's own"),
        ("log_stream = 's'\nmax_event = '2MiB'", "1MiB"),
        ("log_stream = 's'\noversize = 'drop'", "dead_letter"),
        ("log_stream = 's'\nentity = { attributes = { a = 'b' } }", "key_attributes"),
        ("log_stream = 's'\nentity = { key_attributes = { Name = 'b' } }", "`Type`"),
        ("log_stream = 's'\nentity = { key_attributes = { Type = 'Service' } }", "from 2 to 4 members, here it has 1"),
        (
            "log_stream = 's'\nentity = { key_attributes = { Type = 'a', A = 'a', B = 'a', C = 'a', D = 'a' } }",
            "belongs into `attributes`",
        ),
        ("log_stream = 's'\nentity = { key_attributes = { Type = 'Service', Name = '' } }", "the value of `Name`"),
        ("log_stream = 's'\nanomaly_detector = { frequency = '2m' }", "15m"),
        ("log_stream = 's'\nanomaly_detector = { visibility_days = 91 }", "90"),
        ("log_stream = 's'\nnamespace = 'Shop'", "format = \"emf\""),
        ("log_stream = 's'\nformat = 'emf'", "missing setting `namespace`"),
    ] {
        let report = mistakes(&format!("log_group = '/app'\n{more}"));
        assert!(report.contains(word), "{word}: {report}");
    }
    let report = mistakes("log_group = 'aws/x y'\nlog_stream = 's'");
    assert!(report.contains("aws/"), "{report}");
    assert!(mistakes("log_group = 'x y'\nlog_stream = 's'").contains("letters, digits"));
}

#[test]
fn an_entity_is_what_the_service_takes() {
    let entity = |attributes: &str| {
        format!(
            "{NAMES}entity = {{ key_attributes = {{ Type = 'Service', Name = 'a' }}, attributes = {{ {attributes} }} }}"
        )
    };
    let members = |count: usize| (0..count).map(|n| format!("a{n} = 'b'")).collect::<Vec<_>>().join(", ");
    settings(&entity(&members(10)));
    settings(&entity(&format!("{} = '{}'", "n".repeat(256), "é".repeat(512))));
    for (attributes, word) in [
        (members(11), "at most 10 members, here it has 11"),
        (format!("{} = 'b'", "n".repeat(257)), "from 1 to 256 characters"),
        (format!("a = '{}'", "v".repeat(513)), "from 1 to 512 characters"),
    ] {
        let report = mistakes(&entity(&attributes));
        assert!(report.contains("`attributes`") && report.contains(word), "{word}: {report}");
    }
    let long = format!("{NAMES}entity = {{ key_attributes = {{ Type = 'Service', {} = 'a' }} }}", "n".repeat(33));
    assert!(mistakes(&long).contains("a name in `key_attributes` has from 1 to 32 characters"));
}

#[test]
fn what_can_be_said() {
    let all = settings(&format!(
        "{NAMES}create_group = true\nretention_days = 30\nlog_class = 'infrequent_access'\nkms_key = 'arn:aws:kms:x'\n\
         tags = {{ team = 'shop' }}\nanomaly_detector = {{ frequency = '5m', visibility_days = 7 }}\nlog_key = 'message'\n\
         entity = {{ key_attributes = {{ Type = 'Service', Name = 'shop' }}, attributes = {{ a = 'b' }} }}\n\
         max_event = '256KiB'"
    ));
    assert_eq!(all.max_message(), 262_118);
    let entity = r#"{"keyAttributes":{"Type":"Service","Name":"shop"},"attributes":{"a":"b"}}"#;
    assert_eq!(all.entity.as_deref(), Some(entity));
    assert_eq!(settings(NAMES).max_message(), 1_048_550);
}
