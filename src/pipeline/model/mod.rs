//! The model: a pipeline driven one step at a time, with partial failures, retries, kills and restarts at any point, and
//! an oracle that knows what must come out.
//!
//! Everything between the source and the sink is the real thing: tracker, decoder, filters, router, queues, forming,
//! verdicts. What is simulated is what is outside: the file, the disk its position is saved on, the clock, the sink.
//!
//! *Guarantees*, for any filters in any order and any sequence of steps: nothing is lost; every ledger equation balances
//! after every step, and says what the sink saw; an output gets what it asks for and nothing else; an id never stands for
//! two contents; no line is delivered under two ids; at the end all of the file is settled, and nothing is on its way.

mod agent;
mod file;
mod sink;

use proptest::prelude::*;

use agent::Agent;
use file::{File, Piece};
use sink::Sink;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// The writer appends.
    Append(Vec<Piece>),
    /// The agent reads up to that many lines.
    Read(usize),
    /// The agent looks at the file, and time passes.
    Look,
    /// An output's driver forms deliveries.
    Form(usize),
    /// An output's oldest delivery is tried.
    Attempt(usize, Answer),
    /// The position is saved.
    Checkpoint,
    /// SIGKILL, and a new agent.
    Kill,
}

/// What the sink does with a delivery.
#[derive(Clone, Debug)]
enum Answer {
    /// Takes it all.
    Take,
    /// Refuses it all, for now.
    Later,
    /// Takes it all and never says so.
    StoreAndVanish,
    /// Takes some, wants some later, refuses some for good: by the bits of a seed.
    Some(u64),
    /// Wants it in smaller pieces.
    TooLarge,
}

/// Which filters run, in this order.
#[derive(Clone, Debug)]
struct Filters(Vec<&'static str>);

/// All there are, by type.
const FILTERS: [(&str, &str); 7] = [
    ("multiline", "start = '^start '\ntimeout = \"1s\""),
    ("drop", "when = 'level == \"debug\"'"),
    ("keep", "when = 'not (level == \"debug\")'"),
    ("modify", "set = { seen = true }\nremove = [\"noise\"]"),
    ("split", "path = \"items\"\nwhen = 'exists(items)'"),
    ("dedupe", "key = [\"same\"]\nwindow = \"1s\"\ndurable = true\nwhen = 'exists(same)'"),
    ("retag", "tag = \"retagged.{team|none}\"\nwhen = 'exists(team)'"),
];

// === impl Filters ===

impl Filters {
    fn toml(&self) -> String {
        let settings =
            |name: &str| FILTERS.iter().find(|(other, _)| *other == name).map_or("", |(_, settings)| settings);
        self.0.iter().map(|name| format!("[[filter]]\ntype = \"{name}\"\n{}\n", settings(name))).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// Whether records of the level debug go.
    fn drop_debug(&self) -> bool {
        self.has("drop") || self.has("keep")
    }
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => Just(Piece::Plain),
        1 => Just(Piece::Debug),
        2 => (0..4u8).prop_map(Piece::Same),
        2 => (0..4u8).prop_map(Piece::Items),
        2 => (1..5u8).prop_map(Piece::Group),
        2 => (0..3u8).prop_map(Piece::Team),
        1 => Just(Piece::Nobody),
        1 => Just(Piece::Blank),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Take),
        1 => Just(Answer::Later),
        1 => Just(Answer::StoreAndVanish),
        3 => any::<u64>().prop_map(Answer::Some),
        1 => Just(Answer::TooLarge),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec(piece(), 1..8).prop_map(Step::Append),
        6 => (1..12usize).prop_map(Step::Read),
        2 => Just(Step::Look),
        4 => (0..agent::OUTPUTS.len()).prop_map(Step::Form),
        6 => ((0..agent::OUTPUTS.len()), answer()).prop_map(|(output, answer)| Step::Attempt(output, answer)),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Kill),
    ]
}

/// Any of the filters, in any order.
fn filters() -> impl Strategy<Value = Filters> {
    let names = FILTERS.map(|(name, _)| name).to_vec();
    prop::sample::subsequence(names, 0..=FILTERS.len()).prop_shuffle().prop_map(Filters)
}

/// Runs the steps, then lets everything end well, and asks the oracle.
fn run(filters: &Filters, steps: &[Step]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = File::default();
    let mut sink = Sink::default();
    let mut agent = Agent::start(filters, &file, folder.path());
    for step in steps {
        match step {
            Step::Append(pieces) => pieces.iter().for_each(|piece| file.append(piece)),
            Step::Read(lines) => agent.read(&mut file, *lines),
            Step::Look => agent.look(&file),
            Step::Form(output) => agent.form(*output),
            Step::Attempt(output, answer) => agent.attempt(*output, answer, &mut sink),
            Step::Checkpoint => agent.checkpoint(&mut file),
            Step::Kill => agent = Agent::start(filters, &file, folder.path()),
        }
        agent.assert_balanced();
        sink.assert_sound(filters);
    }
    agent.end_well(&mut file, &mut sink);
    agent.assert_balanced();
    sink.assert_sound(filters);
    sink.assert_complete(&file, filters);
    agent.checkpoint(&mut file);
    assert_eq!(file.saved.mark, file.len(), "all of the file is settled");
    agent.assert_settled();
}

/// How many runs: as many as `PROPTEST_CASES` says, where somebody has the time.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400);
    ProptestConfig { cases, max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Scenario: any filters, any steps.
    #[test]
    fn nothing_is_lost_and_the_ledger_balances(
        filters in filters(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        run(&filters, &steps);
    }
}

/// Scenario: a group of lines is read in two batches, the first of them delivered and saved, and the agent is killed
/// before the second. Guarantees: the group is delivered whole, once.
#[test]
fn a_group_survives_a_kill_between_its_lines() {
    let filters = Filters(vec!["multiline"]);
    let all = |answer: &Answer| {
        (0..agent::OUTPUTS.len()).flat_map(|o| [Step::Form(o), Step::Attempt(o, answer.clone())]).collect::<Vec<_>>()
    };
    let mut steps = vec![Step::Append(vec![Piece::Plain, Piece::Group(4), Piece::Plain]), Step::Read(3)];
    steps.extend(all(&Answer::Take));
    steps.extend([Step::Checkpoint, Step::Read(1), Step::Checkpoint, Step::Kill, Step::Read(9)]);
    steps.extend(all(&Answer::StoreAndVanish));
    steps.extend([Step::Checkpoint, Step::Kill]);
    run(&filters, &steps);
}

/// Scenario: a filter lets go of a record while a group of lines that came behind it is open. Guarantees: the group goes on.
#[test]
fn a_record_that_comes_late_does_not_end_a_group() {
    let mut steps = vec![Step::Append(vec![Piece::Same(0), Piece::Group(4)]), Step::Read(2), Step::Look, Step::Look];
    steps.extend([Step::Form(1), Step::Attempt(1, Answer::Take), Step::Kill]);
    run(&Filters(vec!["dedupe", "multiline"]), &steps);
}
