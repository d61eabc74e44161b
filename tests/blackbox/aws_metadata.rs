//! Where the agent runs, as the metadata services tell it, on records through the agent.

use serde_json::Value;
use suiro_test_servers::{Aws, AwsOptions};

use crate::agent::Site;

fn site(filters: &str) -> Site {
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'tail'\npath = 'in.log'\n{filters}\n\
         [[output]]\nname = 'out'\ntype = 'file'\npath = 'out.jsonl'\nformat = 'full'\n"
    ));
    site.write("in.log", "one\ntwo\n");
    site
}

fn records(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path("out.jsonl")).expect("a file of records");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn records_say_where_they_are_from() {
    let aws = Aws::start().unwrap();
    let task = format!("{}/v4/158d1c8083dd49d6b527399fd6414f5c-1234567890", aws.url());
    let site = site(&format!(
        "[[filter]]\ntype = 'ecs'\nendpoint = '{task}'\nwait = '60s'\n\
         [[filter]]\ntype = 'ec2'\nendpoint = '{}'\nwait = '60s'\nfields = ['host.*', 'ec2.*']\ntags = ['team']\n\
         [[filter]]\ntype = 'drop'\nwhen = '@host.type != \"t3.micro\"'\n",
        aws.url()
    ));
    let ledger = site.once().all_well().clone();
    ledger.assert_balanced();
    assert_eq!((ledger.output("out", "delivered"), ledger.filter("ec2", "failed")), (2, 0));
    for record in records(&site) {
        let resource = &record["@resource"];
        for (name, value) in [
            ("cloud.platform", "aws_ecs"),
            ("cloud.region", "eu-central-1"),
            ("aws.ecs.task.family", "web"),
            ("host.id", "i-0123456789abcdef0"),
            ("ec2.tag.team", "shop"),
        ] {
            assert_eq!(resource[name], value, "{record}");
        }
    }
}

#[test]
fn nobody_waits_long_for_a_service_that_is_not_there() {
    let aws = Aws::with(AwsOptions { instance: None, ..AwsOptions::default() }).unwrap();
    let site = site(&format!("[[filter]]\ntype = 'ec2'\nendpoint = '{}'\nwait = '100ms'\n", aws.url()));
    let running = site.start();
    running.wait_for("what is wrong", |running| running.stderr().contains("gives out no tokens"));
    running.wait_for_ledger("both records", |ledger| ledger.output("out", "delivered") == 2);
    let (_, health) = running.get("/api/v1/health");
    assert!(health.contains("records go on without"), "{health}");
    let ledger = running.stop().all_well().clone();
    ledger.assert_balanced();
    assert_eq!(ledger.filter("ec2", "failed"), 2);
    assert!(records(&site).iter().all(|record| record["@resource"].get("host.id").is_none()));
}
