//! To Kinesis, Firehose and S3, through servers in trouble: everything arrives, what is there can be read back, and the ledger
//! says so.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use suiro_test_servers::{Aws, AwsOptions, Fault};

use crate::PATIENCE;
use crate::agent::Site;
use crate::records::{TAIL_JSON, TAIL_TEXT, numbered};

/// Of an output called `out`.
fn output(kind: &str, aws: &Aws, more: &str) -> String {
    format!(
        "[[output]]\nname = 'out'\ntype = '{kind}'\nendpoint = '{}'\nregion = 'eu-central-1'\ntimeout = '2s'\n\
         credentials = {{ access_key_id = 'AKIDSUIROTEST', secret_access_key = 'suiro-secret' }}\n\
         retry = {{ initial = '10ms', max = '50ms' }}\n{more}\n",
        aws.url()
    )
}

/// How often each of the records `0..` is among these lines, which say nothing else.
fn seen<'a>(lines: impl IntoIterator<Item = &'a str>) -> BTreeMap<u64, usize> {
    let mut seen = BTreeMap::new();
    for line in lines {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let n = value["n"].as_u64().unwrap_or_else(|| panic!("no number in {value}"));
        assert_eq!(value["text"], format!("record {n}"));
        *seen.entry(n).or_default() += 1;
    }
    seen
}

/// Each of the records `0..count` is there once.
fn assert_once(seen: &BTreeMap<u64, usize>, count: u64) {
    assert!(seen.keys().copied().eq(0..count), "{} of {count} are there", seen.len());
    assert!(seen.values().all(|times| *times == 1), "{:?}", seen.iter().find(|(_, times)| **times > 1));
}

fn text(data: &[u8]) -> &str {
    std::str::from_utf8(data).expect("text")
}

/// All lines of a Kinesis stream.
fn kinesis(aws: &Aws) -> BTreeMap<u64, usize> {
    let taken = aws.taken();
    seen(taken.kinesis["suiro"].iter().map(|record| text(&record.data)))
}

/// All lines of a delivery stream, as Firehose joins them.
fn firehose(aws: &Aws) -> BTreeMap<u64, usize> {
    let joined: Vec<u8> = aws.taken().firehose["suiro"].iter().flat_map(|record| record.data.clone()).collect();
    assert!(joined.ends_with(b"\n"));
    seen(text(&joined).lines())
}

/// The lines of all objects, by key.
fn objects(aws: &Aws) -> BTreeMap<String, String> {
    let unpack = |data: &[u8], encoding: Option<&str>| {
        let mut plain = Vec::new();
        match encoding {
            Some("gzip") => {
                flate2::read::GzDecoder::new(data).read_to_end(&mut plain).expect("gzip");
            }
            Some("zstd") => zstd::stream::copy_decode(data, &mut plain).expect("zstd"),
            _ => plain.extend_from_slice(data),
        }
        String::from_utf8(plain).expect("text")
    };
    let objects = aws.taken().objects;
    let unpacked = objects.into_iter().map(|((bucket, key), object)| {
        assert_eq!(bucket, "suiro");
        (key, unpack(&object.data, object.headers.get("content-encoding").map(String::as_str)))
    });
    unpacked.collect()
}

#[test]
fn kinesis_is_sent_again_what_it_did_not_take_and_nothing_else() {
    let aws = Aws::start().unwrap();
    let faults = aws.faults_of("PutRecords");
    faults.script([Fault::RefuseSome(3), Fault::Busy(None), Fault::RefuseSome(1), Fault::Unavailable(None)]);
    faults.script([Fault::RefuseSomeWith(7, "InternalFailure".to_owned()), Fault::ResetMidBody, Fault::Hang]);
    let site = Site::new(&format!("{TAIL_JSON}{}", output("kinesis", &aws, "stream = 'suiro'\npartition_key = '{n}'")));
    site.write("app.log", numbered(0, 1_200));
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("out", "delivered"), 1_200);
    assert_once(&kinesis(&aws), 1_200);
    assert_eq!(faults.seen().values().sum::<u64>(), 7, "every fault came");
    // A key is a shard's, whatever happens.
    let taken = aws.taken();
    assert!(
        taken.kinesis["suiro"]
            .iter()
            .all(|record| text(&record.data).contains(&format!("\"n\":{},", record.partition_key)))
    );
    assert!(taken.refusals("PutRecords").is_empty(), "{:?}", taken.refusals("PutRecords"));
}

#[test]
fn firehose_is_sent_again_what_it_did_not_take_and_nothing_else() {
    let aws = Aws::start().unwrap();
    let faults = aws.faults_of("PutRecordBatch");
    faults.script([Fault::Busy(None), Fault::RefuseSome(2), Fault::RefuseSome(5), Fault::Unavailable(Some(1))]);
    faults.script([Fault::RefuseSomeWith(4, "InternalFailure".to_owned()), Fault::ResetBeforeBody, Fault::Html(502)]);
    let site = Site::new(&format!("{TAIL_JSON}{}", output("firehose", &aws, "stream = 'suiro'")));
    site.write("app.log", numbered(0, 1_200));
    let outcome = site.once();
    assert_eq!(outcome.all_well().output("out", "delivered"), 1_200);
    assert_once(&firehose(&aws), 1_200);
    assert_eq!(faults.seen().values().sum::<u64>(), 7, "every fault came");
    assert!(aws.taken().refusals("PutRecordBatch").is_empty());
}

/// Scenario: answers get lost after the records were taken.
/// Guarantees: nothing is lost, and what is there twice has one partition key, by which a consumer knows it.
#[test]
fn an_answer_that_is_lost_costs_a_duplicate_that_can_be_told() {
    let aws = Aws::start().unwrap();
    aws.faults_of("PutRecords").script([Fault::ResetAfterStore, Fault::ResetMidAnswer, Fault::StoreAndHang]);
    let site = Site::new(&format!("{TAIL_JSON}{}", output("kinesis", &aws, "stream = 'suiro'")));
    site.write("app.log", numbered(0, 700));
    assert_eq!(site.once().all_well().output("out", "delivered"), 700);
    assert!(kinesis(&aws).keys().copied().eq(0..700));
    let mut by_key: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for record in aws.taken().kinesis["suiro"].clone() {
        let known = by_key.insert(record.partition_key, record.data.clone());
        assert!(known.is_none_or(|known| known == record.data));
    }
    assert_eq!(by_key.len(), 700);
}

#[test]
fn a_record_too_large_is_set_aside_and_the_others_go() {
    type Count = fn(&Aws) -> BTreeMap<u64, usize>;
    let kinds: [(&str, usize, Count); 2] = [("kinesis", 1 << 20, kinesis), ("firehose", 1_000 << 10, firehose)];
    for (kind, limit, look) in kinds {
        let aws = Aws::start().unwrap();
        let site = Site::new(&format!(
            "{}{}",
            TAIL_JSON.replace("scan_interval", "max_line = '4MiB'\nscan_interval"),
            output(kind, &aws, "stream = 'suiro'")
        ));
        let large = format!("{{\"n\":1000,\"text\":\"{}\"}}\n", "x".repeat(limit));
        site.write("app.log", numbered(0, 50) + &large + &numbered(50, 50));
        let outcome = site.once();
        let ledger = outcome.ledger(1);
        ledger.assert_settled();
        assert_eq!((ledger.output("out", "delivered"), ledger.reason("out", "dead_lettered", "too_large")), (100, 1));
        assert_once(&look(&aws), 100);
        let letters = site.dead_letters("out");
        assert_eq!(letters[0]["record"]["n"], 1000);
        assert!(letters[0]["detail"].as_str().unwrap().contains("bytes"), "{}", letters[0]["detail"]);
        assert!(aws.taken().calls.iter().all(|call| call.refused.is_none()), "no request was beyond a limit");
    }
}

/// Scenario: the stream takes smaller records than `max_record` says.
/// Guarantees: the one that is refused is found, the others are delivered.
#[test]
fn a_record_the_stream_refuses_is_found() {
    let aws = Aws::with(AwsOptions { max_kinesis_record: 2_000, ..AwsOptions::default() }).unwrap();
    let site = Site::new(&format!("{TAIL_JSON}{}", output("kinesis", &aws, "stream = 'suiro'")));
    let large = format!("{{\"n\":1000,\"text\":\"{}\"}}\n", "x".repeat(2_000));
    site.write("app.log", numbered(0, 50) + &large + &numbered(50, 50));
    let outcome = site.once();
    let ledger = outcome.ledger(1);
    ledger.assert_settled();
    assert_eq!((ledger.output("out", "delivered"), ledger.reason("out", "dead_lettered", "rejected")), (100, 1));
    assert_once(&kinesis(&aws), 100);
}

/// Scenario: requests for objects meet every fault there is, some after the object was written.
/// Guarantees: each record is in one object, once: what is written again is the same object.
#[test]
fn objects_are_written_once_whatever_happens() {
    for compression in ["none", "gzip", "zstd"] {
        let aws = Aws::start().unwrap();
        let faults = aws.faults_of("PutObject");
        faults.script([Fault::ResetAfterStore, Fault::Busy(None), Fault::StoreAndHang, Fault::Unavailable(None)]);
        faults.script([
            Fault::ResetMidBody,
            Fault::ResetMidAnswer,
            Fault::Named("InternalError".to_owned()),
            Fault::Html(502),
        ]);
        let more = format!(
            "bucket = 'suiro'\nkey = 'logs/{{even}}/'\ncompression = '{compression}'\nstorage_class = 'STANDARD_IA'\n\
             batch = {{ max_records = 300, timeout = '50ms' }}"
        );
        let site = Site::new(&format!("{TAIL_JSON}{}", output("s3", &aws, &more)));
        let line = |n: u64| format!("{{\"n\":{n},\"text\":\"record {n}\",\"even\":{}}}\n", n.is_multiple_of(2));
        site.write("app.log", (0..1_500).map(line).collect::<String>());
        assert_eq!(site.once().all_well().output("out", "delivered"), 1_500);
        assert_eq!(faults.seen().values().sum::<u64>(), 8, "every fault came");
        let objects = objects(&aws);
        assert_once(&seen(objects.values().flat_map(|text| text.lines())), 1_500);
        let ending = match compression {
            "gzip" => ".jsonl.gz",
            "zstd" => ".jsonl.zst",
            _ => ".jsonl",
        };
        for (key, text) in &objects {
            assert!(key.ends_with(ending), "{key}");
            let even = key.starts_with("logs/true/");
            assert!(even || key.starts_with("logs/false/"), "{key}");
            assert!(text.lines().all(|line| line.contains(&format!("\"even\":{even}"))));
        }
        let taken = aws.taken();
        let of_class = |class: Option<&String>| class.is_some_and(|class| class == "STANDARD_IA");
        assert!(taken.objects.values().all(|object| of_class(object.headers.get("x-amz-storage-class"))));
    }
}

/// Scenario: an object of 12 MiB, while requests of its upload fail.
/// Guarantees: it is one object in parts, with every line in order, and no upload stays open.
#[test]
fn a_large_object_goes_in_parts() {
    let aws = Aws::start().unwrap();
    aws.faults_of("CreateMultipartUpload").script([Fault::Busy(None)]);
    // Three times the same part: the upload is given up, and begun again.
    aws.faults_of("UploadPart").script([
        Fault::Unavailable(None),
        Fault::ResetMidBody,
        Fault::Status(500, String::new()),
    ]);
    aws.faults_of("CompleteMultipartUpload").script([Fault::Named("InternalError".to_owned())]);
    let service = "[service]\ndata_dir = 'data'\nmemory_limit = '256MiB'\napi = { listen = '127.0.0.1:0' }\n";
    let more =
        "bucket = 'suiro'\nkey = 'x/'\nformat = 'raw'\ncompression = 'none'\npart_size = '5MiB'\nconcurrency = 1\n";
    let site = Site::new(&format!("{service}{TAIL_TEXT}{}", output("s3", &aws, more).replace("'2s'", "'20s'")));
    let lines: String = (0..12_000).map(|n| format!("{n:06} {}\n", "x".repeat(1_017))).collect();
    site.write("app.log", &lines);
    assert_eq!(site.once().all_well().output("out", "delivered"), 12_000);
    let taken = aws.taken();
    let objects: Vec<_> = taken.objects.values().collect();
    assert_eq!((objects.len(), objects[0].parts), (1, 3));
    assert!(objects[0].data == lines.as_bytes());
    assert!(taken.open_uploads.is_empty());
}

/// Scenario: objects are to be large and an hour old, and the queue is small.
/// Guarantees: what it holds is written when there is no room for more; nothing waits for the hour.
#[test]
fn an_object_larger_than_its_queue_is_several() {
    let aws = Aws::start().unwrap();
    let more = "bucket = 'suiro'\nbatch = { max_bytes = '4MiB', timeout = '1h' }\nqueue = { max_size = '256KiB' }";
    let site = Site::new(&format!("{TAIL_JSON}{}", output("s3", &aws, more)));
    site.write("app.log", numbered(0, 100_000));
    let running = site.start();
    assert!(aws.wait(PATIENCE, |taken| taken.objects.len() >= 3), "{}", running.stderr());
    running.wait_for_ledger("everything to be read", |ledger| ledger.input("in", "received") == 100_000);
    let outcome = running.stop();
    assert_eq!(outcome.all_well().output("out", "delivered"), 100_000);
    assert_once(&seen(objects(&aws).values().flat_map(|text| text.lines())), 100_000);
}

/// Scenario: what the configuration names is not there, or not allowed.
/// Guarantees: health says so and names the setting; nothing is lost or set aside, and when it is mended all is delivered.
#[test]
fn what_an_operator_must_mend_is_said() {
    let missing: [(&str, &str, &str); 3] = [
        ("kinesis", "stream = 'nowhere'", "mend `stream`"),
        ("firehose", "stream = 'nowhere'", "mend `stream`"),
        ("s3", "bucket = 'nowhere'", "mend `bucket`"),
    ];
    for (kind, more, said) in missing {
        let aws = Aws::start().unwrap();
        let config = |more: &str| {
            format!(
                "[service]\ndata_dir = 'data'\nshutdown_timeout = '100ms'\napi = {{ listen = '127.0.0.1:0' }}\n{TAIL_JSON}{}",
                output(kind, &aws, &format!("{more}\nbatch = {{ timeout = '20ms' }}"))
            )
        };
        let site = Site::new(&config(more));
        site.write("app.log", numbered(0, 100));
        let running = site.start();
        running.wait_for("health to be bad", |running| running.get("/api/v1/health").0 == 500);
        let health = running.get("/api/v1/health").1;
        assert!(health.contains(said) && !health.contains("suiro-secret"), "{health}");
        let outcome = running.stop();
        let ledger = outcome.ledger.as_ref().expect("a ledger");
        ledger.assert_balanced();
        assert_eq!((ledger.output("out", "delivered"), ledger.output("out", "dead_lettered")), (0, 0));
        aws.faults().script([Fault::Named("AccessDenied".to_owned())]);
        site.configure(&config(&more.replace("nowhere", "suiro")));
        let outcome = site.once();
        assert_eq!(outcome.all_well().output("out", "delivered"), 100);
        assert!(outcome.stderr.contains("AccessDenied"), "{}", outcome.stderr);
        let there = match kind {
            "kinesis" => kinesis(&aws),
            "firehose" => firehose(&aws),
            _ => seen(objects(&aws).values().flat_map(|text| text.lines())),
        };
        assert_once(&there, 100);
    }
}

/// Scenario: the agent is killed when an object is written and the answer is outstanding.
/// Guarantees: the next run delivers everything; what is there twice is in two objects, and nothing is lost.
#[test]
fn a_kill_loses_nothing() {
    for queue in ["", "queue = { type = 'disk' }"] {
        let aws = Aws::start().unwrap();
        aws.faults_of("PutObject").script([Fault::StoreAndHang]);
        let more =
            format!("bucket = 'suiro'\nbatch = {{ max_records = 400, timeout = '50ms' }}\nconcurrency = 2\n{queue}");
        let site = Site::new(&format!("{TAIL_JSON}{}", output("s3", &aws, &more).replace("'2s'", "'60s'")));
        site.write("app.log", numbered(0, 2_000));
        let running = site.start();
        assert!(aws.wait(PATIENCE, |taken| taken.objects.len() >= 2), "{}", running.stderr());
        running.kill();
        site.once().all_well();
        let there = seen(objects(&aws).values().flat_map(|text| text.lines()));
        assert!(there.keys().copied().eq(0..2_000), "{} are there", there.len());
    }
}

#[test]
fn the_example_configurations_are_right() {
    let site = Site::new("");
    for name in ["s3.toml", "firehose.toml"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf").join(name);
        let outcome = site.command(&["check", "-c", file.to_str().unwrap()]);
        assert_eq!(outcome.code(), 0, "{name}: {}{}", outcome.stdout, outcome.stderr);
    }
}
