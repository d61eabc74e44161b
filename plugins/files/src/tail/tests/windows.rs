//! Every window there is between two steps: a file is truncated in one, the agent killed in another.
//!
//! A program writes numbered lines; the agent reads them and is told that they are delivered; at the n-th pass through
//! any [point](super::super::point) something happens. A *walk* plays one script again and again, with one event at every
//! pass and another behind it. What is delivered is remembered under its origin. At the end no line may have two
//! origins, no origin two lines, and nothing may be missing but what was truncated unread.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use proptest::prelude::*;

use super::super::identity;
use super::super::point::hook;
use super::*;

/// Something that happens to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The program writes lines.
    Write(usize),
    /// Half of a line; the next write begins with the other half.
    Half,
    /// Truncated, and so many lines written at once.
    Truncate(usize),
    /// Copied first.
    CopyTruncate(usize),
    /// Renamed, and so many lines written to the next.
    Rename(usize),
}

/// A step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Do(Change),
    /// Everything there is is read and delivered; and settled, or still waiting for its answer.
    Read {
        settle: bool,
    },
    /// One batch is read and delivered.
    Poll,
    /// What waits for an answer has it.
    Settle,
    Checkpoint,
    Kill,
    Stop,
    /// From here on passes count.
    Arm,
}

/// What happens at a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Kill,
    Do(Change),
}

/// The program that writes `a.log`, and what became of its lines.
struct Program {
    folder: PathBuf,
    next: u32,
    /// The rest of a line that is half written.
    half: Option<String>,
    /// Lines of the file's life of now.
    life: Vec<String>,
    /// Lines that must arrive, and those that may.
    must: BTreeSet<String>,
    may: BTreeSet<String>,
    /// Each line that was delivered, and its origins.
    delivered: BTreeMap<String, BTreeSet<(u128, u64, u64)>>,
    rotations: usize,
}

/// Events to come, by the number of passes before them.
type Events = Rc<RefCell<VecDeque<(u64, Event)>>>;

struct Walk {
    bench: Bench,
    program: Rc<RefCell<Program>>,
    events: Events,
    armed: Rc<Cell<bool>>,
    passes: Rc<Cell<u64>>,
    run: Option<Run>,
    held: Vec<Flow>,
}

// === impl Program ===

impl Program {
    fn path(&self) -> PathBuf {
        self.folder.join("a.log")
    }

    fn append(&self, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let n = self.next;
        self.next += 1;
        let line = format!("line {n} {}{n}", "-".repeat((n as usize * 37) % 90));
        self.must.insert(line.clone());
        self.life.push(line.clone());
        line
    }

    fn write(&mut self, lines: usize) {
        let mut text = String::new();
        if let Some(rest) = self.half.take() {
            text = rest + "\n";
        }
        for _ in 0..lines {
            text += &self.line();
            text.push('\n');
        }
        self.append(&text);
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Write(lines) => self.write(lines),
            Change::Half => {
                self.write(0);
                let line = self.line();
                let (first, second) = line.split_at(line.len() / 2);
                self.append(first);
                self.half = Some(second.to_owned());
            }
            Change::Truncate(lines) => {
                self.truncate(false);
                self.write(lines);
            }
            Change::CopyTruncate(lines) => {
                self.copy();
                self.truncate(true);
                self.write(lines);
            }
            Change::Rename(lines) => {
                self.write(0);
                later(&self.folder, &self.path());
                self.rotate();
                fs::rename(self.path(), self.folder.join("a.log.1")).unwrap();
                self.end_life(true);
                self.write(lines);
            }
        }
    }

    fn rotate(&mut self) {
        for n in (1..=self.rotations).rev() {
            fs::rename(self.folder.join(format!("a.log.{n}")), self.folder.join(format!("a.log.{}", n + 1))).unwrap();
        }
        self.rotations += 1;
    }

    fn copy(&mut self) {
        self.write(0);
        later(&self.folder, &self.path());
        self.rotate();
        fs::copy(self.path(), self.folder.join("a.log.1")).unwrap();
    }

    /// Ends the file's life. What of it was not delivered may be, but must only if it is still `there`, in a copy or under
    /// another name, and the agent has met it before.
    fn end_life(&mut self, there: bool) {
        let life = std::mem::take(&mut self.life);
        let known = life.iter().any(|line| self.delivered.contains_key(line));
        for line in life {
            if self.delivered.contains_key(&line) || there && known {
                continue;
            }
            self.must.remove(&line);
            self.may.insert(line);
        }
    }

    fn truncate(&mut self, copied: bool) {
        self.half = None;
        self.end_life(copied);
        File::options().write(true).open(self.path()).unwrap().set_len(0).unwrap();
    }

    fn deliver(&mut self, records: Vec<Seen>) {
        for record in records {
            let origins = self.delivered.entry(record.text).or_default();
            origins.insert((record.incarnation, record.start, record.end));
        }
    }

    fn verdict(&self) -> Result<(), String> {
        let mut lines: BTreeMap<(u128, u64, u64), &str> = BTreeMap::new();
        for (line, origins) in &self.delivered {
            if origins.len() > 1 {
                return Err(format!("doubled: {line:?} as {origins:x?}"));
            }
            if !self.must.contains(line) && !self.may.contains(line) {
                return Err(format!("never written: {line:?}"));
            }
            for origin in origins {
                if let Some(other) = lines.insert(*origin, line) {
                    return Err(format!("one origin for {other:?} and {line:?}"));
                }
            }
        }
        match self.must.iter().find(|line| !self.delivered.contains_key(*line)) {
            Some(line) => Err(format!("lost: {line:?}")),
            None => Ok(()),
        }
    }
}

/// Waits until what is created in `folder` is younger than `file`, as far as its file system's clock can tell.
fn later(folder: &Path, file: &Path) {
    let Some(born) = identity::born(&fs::metadata(file).unwrap()) else { return };
    let is_later = || {
        let probe = tempfile::NamedTempFile::new_in(folder).unwrap();
        identity::born(&probe.as_file().metadata().unwrap()).is_none_or(|other| other > born)
    };
    while !is_later() {
        std::thread::yield_now();
    }
}

// === impl Walk ===

impl Walk {
    fn new(path: &str, events: &[(u64, Event)]) -> Walk {
        let mut bench = Bench::with(&format!("path = '{{}}/{path}'\nrotate_wait = '1s'"));
        // Thousands of starts, each with its journal on disk: in memory that costs nothing.
        if let Ok(data) = tempfile::tempdir_in("/dev/shm") {
            bench.data = data;
        }
        let program = Program {
            folder: bench.logs.path().to_owned(),
            next: 0,
            half: None,
            life: Vec::new(),
            must: BTreeSet::new(),
            may: BTreeSet::new(),
            delivered: BTreeMap::new(),
            rotations: 0,
        };
        let program = Rc::new(RefCell::new(program));
        program.borrow().append("");
        Walk {
            bench,
            program,
            events: Rc::new(RefCell::new(events.iter().copied().collect())),
            armed: Rc::default(),
            passes: Rc::default(),
            run: None,
            held: Vec::new(),
        }
    }

    /// Runs `act` with what happens meanwhile; `None` if that was a kill.
    fn guarded<R>(&mut self, act: impl FnOnce(&mut Walk) -> R) -> Option<R> {
        let (program, events) = (self.program.clone(), self.events.clone());
        let (armed, passes) = (self.armed.clone(), self.passes.clone());
        let hook = move |_: &'static str| {
            if !armed.get() {
                return;
            }
            passes.set(passes.get() + 1);
            loop {
                let due = events.borrow().front().is_some_and(|(at, _)| *at <= passes.get());
                match due.then(|| events.borrow_mut().pop_front()).flatten() {
                    Some((_, Event::Kill)) => hook::kill(),
                    Some((_, Event::Do(change))) => program.borrow_mut().apply(change),
                    None => return,
                }
            }
        };
        let result = hook::until_killed(hook, || act(self));
        if result.is_none() {
            self.killed();
        }
        result
    }

    fn killed(&mut self) {
        self.run = None;
        self.held.clear();
    }

    /// One step of the agent, which is started if it does not run. `None`: killed.
    fn poll(&mut self) -> Option<Polled> {
        self.guarded(|walk| {
            let bench = &walk.bench;
            let run = walk.run.get_or_insert_with(|| bench.run());
            run.source.step(run.now)
        })
    }

    /// Takes a batch.
    fn deliver(&mut self, flow: Flow, settle: bool) {
        self.program.borrow_mut().deliver(seen(&flow));
        if settle {
            flow.custody.settle();
        } else {
            self.held.push(flow);
        }
    }

    fn read(&mut self, settle: bool) {
        let mut quiet = 0;
        // Two scans, and `rotate_wait`.
        while quiet < 12 {
            match self.poll() {
                Some(Polled::Batch(flow)) => {
                    quiet = 0;
                    self.deliver(flow, settle);
                }
                Some(_) => {
                    quiet += 1;
                    if let Some(run) = &mut self.run {
                        run.pass(Duration::from_millis(260));
                    }
                }
                None => quiet = 0,
            }
        }
    }

    fn checkpoint(&mut self) {
        self.guarded(|walk| {
            if let Some(run) = &mut walk.run {
                run.source.checkpoint().unwrap();
            }
        });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Do(change) => self.program.borrow_mut().apply(change),
            Step::Read { settle } => self.read(settle),
            Step::Poll => {
                if let Some(Polled::Batch(flow)) = self.poll() {
                    self.deliver(flow, false);
                }
                if let Some(run) = &mut self.run {
                    run.pass(Duration::from_millis(130));
                }
            }
            Step::Settle => self.held.drain(..).for_each(|flow| flow.custody.settle()),
            Step::Checkpoint => self.checkpoint(),
            Step::Kill => self.killed(),
            Step::Stop => {
                self.checkpoint();
                self.killed();
            }
            Step::Arm => self.armed.set(true),
        }
    }

    /// Plays the script and looks what came of it; how many passes there were.
    fn play(path: &str, script: &[Step], events: &[(u64, Event)]) -> Result<u64, String> {
        let mut walk = Walk::new(path, events);
        script.iter().for_each(|step| walk.take(*step));
        let passes = walk.passes.get();
        walk.armed.set(false);
        // All that is half is made whole, read and settled; twice, since a kill may have been the last that happened.
        walk.program.borrow_mut().write(1);
        for _ in 0..2 {
            walk.read(true);
            walk.take(Step::Settle);
            if let Some(run) = &walk.run {
                run.balanced();
            }
            walk.take(Step::Stop);
        }
        walk.program.borrow().verdict().map(|()| passes)
    }

    /// Plays the script with `first` at every pass, and with `second` at every third one behind it; which third, the place
    /// of `first` says.
    fn every_window(path: &str, script: &[Step], first: Event, second: Event) {
        let passes = Walk::play(path, script, &[]).unwrap();
        assert!(passes > 5, "{passes} passes");
        let mut wrong = Vec::new();
        for i in 1..=passes {
            // Events make for more passes.
            for j in (i % 3..=passes - i + 10).step_by(3) {
                let events = [(i, first), (i + j, second)];
                if let Err(complaint) = Walk::play(path, script, &events) {
                    wrong.push(format!("{events:?}: {complaint}"));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of the windows of {script:?}:\n{}",
            wrong.len(),
            wrong[..wrong.len().min(9)].join("\n")
        );
    }
}

const WRITE: Step = Step::Do(Change::Write(20));
const READ: Step = Step::Read { settle: true };
const HOLD: Step = Step::Read { settle: false };
const SHORTER: Event = Event::Do(Change::Truncate(15));
const LONGER: Event = Event::Do(Change::Truncate(45));

#[test]
fn truncated_in_any_window_of_a_start_with_nothing_settled() {
    for truncated in [SHORTER, LONGER] {
        Walk::every_window("a.log", &[WRITE, HOLD, Step::Kill, Step::Arm, READ], truncated, Event::Kill);
    }
}

#[test]
fn truncated_in_any_window_of_a_start_with_all_settled() {
    for truncated in [SHORTER, LONGER] {
        Walk::every_window("a.log", &[WRITE, READ, Step::Stop, WRITE, Step::Arm, HOLD], truncated, Event::Kill);
    }
}

#[test]
fn killed_in_any_window_of_a_truncation_that_is_seen() {
    for lines in [0, 1, 15, 45] {
        let script = [
            WRITE,
            READ,
            Step::Checkpoint,
            Step::Arm,
            Step::Do(Change::Truncate(lines)),
            HOLD,
            Step::Settle,
            WRITE,
            READ,
        ];
        Walk::every_window("a.log", &script, Event::Kill, Event::Kill);
    }
}

#[test]
fn truncated_again_in_any_window_of_a_truncation() {
    let script = [WRITE, READ, Step::Arm, Step::Do(Change::Truncate(3)), READ, WRITE, READ];
    Walk::every_window("a.log", &script, LONGER, Event::Kill);
    Walk::every_window("a.log", &script, SHORTER, LONGER);
}

#[test]
fn a_small_file_that_grows_by_halves_of_lines() {
    let half = Step::Do(Change::Half);
    let script = [half, Step::Arm, HOLD, half, HOLD, half, READ];
    Walk::every_window("a.log", &script, Event::Do(Change::Truncate(1)), Event::Kill);
    Walk::every_window("a.log", &script, Event::Do(Change::Half), Event::Kill);
}

#[test]
fn copied_and_truncated_in_any_window() {
    for path in ["a.log", "a.log*"] {
        let script = [WRITE, READ, WRITE, Step::Arm, HOLD, WRITE, READ];
        Walk::every_window(path, &script, Event::Do(Change::CopyTruncate(15)), Event::Kill);
        Walk::every_window(path, &script, Event::Kill, Event::Do(Change::CopyTruncate(45)));
    }
}

#[test]
fn renamed_in_any_window() {
    for path in ["a.log", "a.log*"] {
        let script = [WRITE, READ, WRITE, Step::Arm, HOLD, WRITE, READ];
        Walk::every_window(path, &script, Event::Do(Change::Rename(15)), Event::Kill);
        Walk::every_window(path, &script, Event::Kill, Event::Do(Change::Rename(15)));
        Walk::every_window(path, &script, Event::Do(Change::Rename(5)), Event::Do(Change::Rename(5)));
    }
}

/// Programs rotate in one way or the other.
fn change(renames: bool) -> BoxedStrategy<Change> {
    let rotation = (0..40_usize).prop_map(move |n| if renames { Change::Rename(n) } else { Change::CopyTruncate(n) });
    prop_oneof![
        4 => (1..30_usize).prop_map(Change::Write),
        1 => Just(Change::Half),
        2 => (0..50_usize).prop_map(Change::Truncate),
        2 => rotation,
    ]
    .boxed()
}

fn step(renames: bool) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => change(renames).prop_map(Step::Do),
        2 => any::<bool>().prop_map(|settle| Step::Read { settle }),
        4 => Just(Step::Poll),
        1 => Just(Step::Settle),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Kill),
        1 => Just(Step::Stop),
    ]
}

/// A script, and events with the passes between them.
fn lives() -> impl Strategy<Value = (Vec<Step>, Vec<(u64, Event)>)> {
    any::<bool>().prop_flat_map(|renames| {
        let event = prop_oneof![Just(Event::Kill), change(renames).prop_map(Event::Do)];
        (proptest::collection::vec(step(renames), 1..25), proptest::collection::vec((0..25_u64, event), 0..6))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Any lives of a file, with anything at any moment.
    #[test]
    fn any_lives((mut script, events) in lives()) {
        script.insert(0, Step::Arm);
        let mut at = 0;
        let events: Vec<_> = events.into_iter().map(|(gap, event)| { at += gap; (at, event) }).collect();
        if let Err(complaint) = Walk::play("a.log", &script, &events) {
            return Err(TestCaseError::fail(complaint));
        }
    }
}
