//! Files that are renamed, truncated, deleted and made anew.

use std::fs;
use std::io::Write;

use suiro_test_servers::{Elasticsearch, Sink};

use crate::PATIENCE;
use crate::agent::{Running, Site};
use crate::records::{TAIL_JSON, assert_numbered, elasticsearch, numbered};

fn site(server: &Elasticsearch) -> Site {
    Site::new(&format!("{TAIL_JSON}rotate_wait = '200ms'\n{}", elasticsearch(server, "batch = { timeout = '20ms' }")))
}

fn wait(server: &Elasticsearch, running: &Running, n: usize) {
    assert!(server.wait_for(n, PATIENCE), "{} of {n} arrived; the agent said:\n{}", server.len(), running.stderr());
}

/// Stops the agent; the records `0..count` are there, once each.
fn finish(server: &Elasticsearch, running: Running, count: u64) {
    running.wait_for_ledger("everything to be settled", |ledger| ledger.is_settled());
    running.stop().all_well();
    assert_numbered(server, count);
}

#[test]
fn a_renamed_file_is_read_to_its_end() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&server);
    let mut old = site.open("app.log");
    old.write_all(numbered(0, 50).as_bytes()).unwrap();
    let running = site.start();
    wait(&server, &running, 50);
    site.rename("app.log", "app.log.1");
    // The program has not noticed yet.
    old.write_all(numbered(50, 50).as_bytes()).unwrap();
    site.append("app.log", numbered(100, 50));
    old.write_all(numbered(150, 50).as_bytes()).unwrap();
    wait(&server, &running, 200);
    finish(&server, running, 200);
}

#[test]
fn several_rotations_in_a_row_lose_nothing() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&server);
    let running = site.start();
    for round in 0..5 {
        site.append("app.log", numbered(round * 30, 30));
        wait(&server, &running, (round * 30 + 30) as usize);
        for n in (1..4).rev().filter(|n| site.path(&format!("app.log.{n}")).exists()) {
            site.rename(&format!("app.log.{n}"), &format!("app.log.{}", n + 1));
        }
        site.rename("app.log", "app.log.1");
    }
    finish(&server, running, 150);
}

#[test]
fn a_file_renamed_while_the_agent_was_down_is_found() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&server);
    site.append("app.log", numbered(0, 100));
    let running = site.start();
    wait(&server, &running, 100);
    finish(&server, running, 100);
    site.append("app.log", numbered(100, 50));
    site.rename("app.log", "app.log.1");
    site.append("app.log", numbered(150, 50));
    let running = site.start();
    wait(&server, &running, 200);
    finish(&server, running, 200);
    assert_eq!(server.conflicts(), 0, "what was settled is not sent again");
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&server);
    let mut file = site.open("app.log");
    file.write_all(numbered(0, 100).as_bytes()).unwrap();
    let running = site.start();
    wait(&server, &running, 100);
    // As logrotate does it with copytruncate. First shorter than before, then, in one go, as long as before.
    fs::copy(site.path("app.log"), site.path("app.log.1")).unwrap();
    file.set_len(0).unwrap();
    file.write_all(numbered(100, 30).as_bytes()).unwrap();
    wait(&server, &running, 130);
    file.set_len(0).unwrap();
    file.write_all(numbered(130, 70).as_bytes()).unwrap();
    wait(&server, &running, 200);
    finish(&server, running, 200);
}

#[test]
fn a_file_truncated_while_the_agent_was_down_is_read_from_its_beginning() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&server);
    let mut file = site.open("app.log");
    file.write_all(numbered(0, 100).as_bytes()).unwrap();
    site.once().all_well();
    file.set_len(0).unwrap();
    // Longer than it was.
    file.write_all(numbered(100, 150).as_bytes()).unwrap();
    site.once().all_well();
    assert_numbered(&server, 250);
}

#[test]
fn a_file_deleted_and_made_anew_is_a_new_one() {
    let server = Elasticsearch::start().unwrap();
    let site = site(&server);
    let running = site.start();
    for round in 0..4_u64 {
        // The inode of the one before is free.
        site.append("app.log", numbered(round * 20, 20));
        wait(&server, &running, (round * 20 + 20) as usize);
        fs::remove_file(site.path("app.log")).unwrap();
    }
    finish(&server, running, 80);
}

#[test]
fn files_that_come_later_are_found_in_folders_that_come_later() {
    let server = Elasticsearch::start().unwrap();
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'tail'\npath = ['logs/**/*.log']\nexclude = ['no-*']\nparser = 'json'\n\
         scan_interval = '100ms'\n{}",
        elasticsearch(&server, "batch = { timeout = '20ms' }")
    ));
    let running = site.start();
    fs::create_dir_all(site.path("logs/a/b")).unwrap();
    site.append("logs/a/b/one.log", numbered(0, 10));
    site.append("logs/a/two.log", numbered(10, 10));
    site.append("logs/no-three.log", "not to be read\n");
    wait(&server, &running, 20);
    // A line counts when it has an end.
    let text = numbered(20, 1);
    let (first, second) = text.split_at(9);
    site.append("logs/a/two.log", first);
    site.append("logs/a/b/one.log", numbered(21, 1));
    wait(&server, &running, 21);
    site.append("logs/a/two.log", second);
    wait(&server, &running, 22);
    finish(&server, running, 22);
}

#[test]
fn ten_thousand_files_are_followed() {
    let sink = Sink::start().unwrap();
    let site = Site::new(&format!(
        "[[input]]\nname = 'in'\ntype = 'tail'\npath = ['logs/*.log']\nrotate_wait = '200ms'\n\
         [[output]]\nname = 'http'\ntype = 'http'\nurl = '{}'\nbatch = {{ timeout = '20ms' }}\n",
        sink.url()
    ));
    fs::create_dir(site.path("logs")).unwrap();
    for i in 0..10_000 {
        site.write(&format!("logs/{i}.log"), format!("line of {i}\n"));
    }
    let running = site.start();
    let wait = |n| assert!(sink.wait_for_lines(n, PATIENCE), "{} lines; {}", sink.lines().len(), running.stderr());
    wait(10_000);
    // Most of them are closed by now.
    site.append("logs/7.log", "more\n");
    site.append("logs/9999.log", "more\n");
    wait(10_002);
    for i in 0..50 {
        site.append(&format!("logs/{i}.log"), "last of the old\n");
        site.rename(&format!("logs/{i}.log"), &format!("logs/{i}.log.1"));
        site.append(&format!("logs/{i}.log"), "first of the new\n");
    }
    wait(10_102);
    running.wait_for_ledger("everything to be settled", |ledger| ledger.is_settled());
    assert!(running.memory() < 100 << 20, "{} MiB", running.memory() >> 20);
    let outcome = running.stop();
    assert_eq!(outcome.all_well().input("in", "received"), 10_102);
    // Nothing is read again.
    assert_eq!(site.once().all_well().input("in", "received"), 0);
    let lines: std::collections::BTreeSet<_> = sink.lines().into_iter().collect();
    assert_eq!(lines.iter().filter(|line| line.contains("line of")).count(), 10_000);
}
