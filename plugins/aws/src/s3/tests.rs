//! The output as a whole: what is written, and what becomes of what is answered.

mod objects;
mod outcomes;

use suiro_sdk::settings::Section;

use super::settings::Settings;

/// Who signs, and for where, in tests.
const ACCOUNT: &str =
    "region = 'eu-central-1'\ncredentials = { access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }\n";

fn settings(text: &str) -> Settings {
    let (section, diagnostics) = Section::from_text("[[output]] s3", &format!("{ACCOUNT}bucket = 'suiro'\n{text}"));
    let Ok(settings) = Settings::read(&section) else { panic!("{}", diagnostics.render(false)) };
    settings
}

#[test]
fn settings_are_checked() {
    let tags: String = (0..11).map(|n| format!("k{n} = 'v', ")).collect();
    for (text, message) in [
        ("", "bucket"),
        ("bucket = 'a/b'", "name of a bucket"),
        ("bucket = 'arn:aws:s3:eu-central-1:1:accesspoint/a'", "alias"),
        ("bucket = 'abc'\nkey = '{team}/'", "freely"),
        ("bucket = 'abc'\nkey = '/logs/'", "begins with `/`"),
        ("bucket = 'abc'\nkey = 'logs/../x'", "`..`"),
        ("bucket = 'abc'\nformat = 'csv'", "json_lines"),
        ("bucket = 'abc'\ncompression = 'lz4'", "zstd"),
        ("bucket = 'abc'\npart_size = '4MiB'", "part_size"),
        ("bucket = 'abc'\nstorage_class = 'COLD'", "STANDARD_IA"),
        ("bucket = 'abc'\nkms_key_id = 'alias/x'", "not encrypted with KMS"),
        ("bucket = 'abc'\nserver_side_encryption = 'AES256'\nkms_key_id = 'x'", "not encrypted with KMS"),
        (&format!("bucket = 'abc'\ntags = {{ {tags} }}"), "at most 10"),
        ("bucket = 'abc'\ntags = { '' = 'x' }", "1 to 128"),
        ("bucket = 'abc'\nchecksum = 'md5'", "crc32c"),
        ("bucket = 'abc'\nurl = 'http://h'", "url"),
    ] {
        let (section, diagnostics) = Section::from_text("[[output]] s3", &format!("{ACCOUNT}{text}"));
        assert!(Settings::read(&section).is_err(), "{text}");
        assert!(diagnostics.render(false).contains(message), "{text}: {}", diagnostics.render(false));
    }
}

#[test]
fn what_objects_are_made_with() {
    let settings = settings(
        "compression = 'zstd'\nstorage_class = 'GLACIER_IR'\nserver_side_encryption = 'aws:kms'\nkms_key_id = 'alias/logs'\n\
         acl = 'bucket-owner-full-control'\ntags = { team = 'a&b', 'cost center' = '7' }",
    );
    let headers: Vec<(&str, &str)> =
        settings.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(
        headers,
        [
            ("x-amz-storage-class", "GLACIER_IR"),
            ("x-amz-server-side-encryption", "aws:kms"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("content-encoding", "zstd"),
            ("x-amz-server-side-encryption-aws-kms-key-id", "alias/logs"),
            ("x-amz-tagging", "team=a%26b&cost%20center=7"),
        ]
    );
}

#[test]
fn a_bucket_is_part_of_the_host_where_it_can_be() {
    for (bucket, can) in [("my-logs", true), ("my.logs", false), ("My-logs", false), ("my_logs", false)] {
        assert_eq!(Settings { bucket: bucket.to_owned(), ..settings("") }.is_host_name(), can, "{bucket}");
    }
}
