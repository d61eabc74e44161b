//! What all threads of a pipeline share, and how it is built of a plan.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};

use suiro_record::Signal;
use suiro_sdk::lang::{Condition, TagMatch, Template};
use suiro_sdk::{
    BlockHealth, Decoder, FilterSetup, Input, InputLedger, Limits, Metrics, OnParseError, OutputSetup, Pool, Progress,
    StartError,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::books::Books;
use super::chain::{Chain, FilterBlock};
use super::control::{Control, Event};
use super::health::Health;
use super::plan::{FilterPlan, InputPlan, OutputPlan, Plan};
use super::router::Route;
use crate::output::{DeadLetter, DeadLetterSettings, DriverSetup, QueueKind, QueueSettings};
use crate::queue::{DiskQueue, DiskSetup, MemoryQueue, Queue, QueueSetup};

/// Bound of a queue in memory, where the configuration names none: a deeper one brings nothing but memory. Bytes.
const MEMORY_QUEUE: usize = 8 << 20;
/// Bound of a queue on disk, where the configuration names none. Bytes.
const DISK_QUEUE: u64 = 1 << 30;

/// What all threads share.
pub struct Shared {
    /// Phases and events.
    pub control: Arc<Control>,
    /// Every block's counts.
    pub books: Books,
    /// What is wrong.
    pub health: Arc<Health>,
    /// What plugins count beside the ledger.
    pub metrics: Arc<Metrics>,
    /// Batches to fill.
    pub pool: Arc<Pool>,
    /// Inputs, in order.
    pub inputs: Vec<InputBlock>,
    /// The common filters, in order.
    pub filters: Vec<Arc<FilterBlock>>,
    /// The queues of the outputs, in order.
    pub queues: Vec<Arc<dyn Queue>>,
    /// How many workers there are.
    pub workers: usize,
    /// Where what must survive a restart is kept.
    pub data_dir: PathBuf,
    /// `run --once`.
    pub once: bool,
    outputs: Vec<OutputRoute>,
    /// Workers that have flushed their own filters.
    flushed: AtomicUsize,
}

/// An input as its workers see it.
pub struct InputBlock {
    /// Its name.
    pub name: Arc<str>,
    /// The plugin.
    pub input: Box<dyn Input>,
    /// Its tag.
    pub tag: Arc<Template>,
    /// Makes records of its lines.
    pub decoder: Arc<Decoder>,
    /// Its counts.
    pub ledger: Arc<InputLedger>,
    /// Its own filters: multiline, parser, `[[input.filter]]`.
    pub filters: Vec<Arc<FilterBlock>>,
    /// How far it is.
    pub progress: ProgressCell,
}

/// How far an input's workers are.
#[derive(Debug)]
pub struct ProgressCell(Vec<(AtomicU64, AtomicU64)>);

struct OutputRoute {
    matches: TagMatch,
    when: Option<Condition>,
    signals: Vec<Signal>,
    filters: Vec<Arc<FilterBlock>>,
    takes_packed: bool,
}

type Built = (Arc<Shared>, Vec<DriverSetup>, UnboundedReceiver<Event>);

// === impl Shared ===

impl Shared {
    /// Builds everything but the threads.
    pub(super) fn build(plan: Plan, once: bool) -> Result<Built, StartError> {
        let Plan { service, inputs, filters, outputs } = plan;
        let (tell, events) = unbounded_channel();
        let control = Arc::new(Control::new(service.workers, tell));
        let mut shared = Shared {
            books: Books::default(),
            health: Arc::default(),
            metrics: Arc::default(),
            pool: Arc::default(),
            inputs: Vec::new(),
            filters: Vec::new(),
            queues: Vec::new(),
            workers: service.workers,
            data_dir: service.data_dir.clone(),
            once,
            outputs: Vec::new(),
            flushed: AtomicUsize::new(0),
            control,
        };
        for input in inputs {
            let block = shared.input(input)?;
            shared.inputs.push(block);
        }
        shared.filters = filters.into_iter().map(|filter| shared.filter(filter)).collect::<Result<_, _>>()?;
        let share = (service.memory_limit as usize) / outputs.len().max(1);
        let mut drivers = Vec::new();
        let queues = shared.data_dir.join("queue");
        let on_disk = |output: &&OutputPlan| output.settings.queue.kind == QueueKind::Disk;
        let names: Vec<_> = outputs.iter().filter(on_disk).map(|output| output.name.clone()).collect();
        for path in crate::queue::orphans(&queues, &names) {
            let path = path.display();
            tracing::warn!(
                "records wait in {path} for an output that has no queue there any more; name one so to deliver them"
            );
        }
        for output in outputs {
            drivers.push(shared.output(output, share)?);
        }
        Ok((Arc::new(shared), drivers, events))
    }

    /// Called once by each worker when it has flushed its own filters: whether it was the last.
    pub(super) fn is_last_to_flush(&self) -> bool {
        self.flushed.fetch_add(1, AcqRel) + 1 == self.workers
    }

    /// The routes of one worker.
    pub(super) fn routes(&self, first: bool) -> Vec<Route> {
        self.outputs
            .iter()
            .zip(&self.queues)
            .map(|(output, queue)| Route {
                matches: output.matches.clone(),
                when: output.when.clone(),
                signals: output.signals.clone(),
                chain: (!output.filters.is_empty()).then(|| Chain::new(output.filters.iter().cloned(), first)),
                takes_packed: output.takes_packed,
                queue: queue.clone(),
            })
            .collect()
    }

    fn input(&mut self, plan: InputPlan) -> Result<InputBlock, StartError> {
        let ledger = self.books.input(&plan.name);
        let mut filters = Vec::new();
        let InputPlan { name, input, tag, parser, on_parse_error, multiline, filters: own, .. } = plan;
        let joins = multiline.is_some();
        if let Some(plan) = multiline {
            filters.push(self.filter(plan)?);
        }
        // A parser works line by line where the lines are read, unless lines are joined first or may be dropped: then it
        // is a filter, with a filter's ledger.
        let decoder = if parser.is_some() && (joins || on_parse_error == OnParseError::Drop) {
            let parse = Decoder::new(parser, on_parse_error, true, ledger.clone()).into_filter();
            let parse = FilterPlan::inner(format!("{name}.parser"), "parser", parse);
            filters.push(self.filter(Arc::new(parse))?);
            Decoder::new(None, OnParseError::Keep, joins, ledger.clone())
        } else {
            Decoder::new(parser, on_parse_error, joins, ledger.clone())
        };
        for plan in own {
            filters.push(self.filter(plan)?);
        }
        let progress = ProgressCell((0..self.workers).map(|_| Default::default()).collect());
        Ok(InputBlock { name, input, tag, decoder: Arc::new(decoder), ledger, filters, progress })
    }

    fn filter(&mut self, plan: Arc<FilterPlan>) -> Result<Arc<FilterBlock>, StartError> {
        plan.factory.start(FilterSetup {
            name: plan.name.clone(),
            data_dir: self.data_dir.clone(),
            metrics: self.metrics.clone(),
            health: BlockHealth::new(plan.name.clone(), self.health.clone()),
        })?;
        let ledger = self.books.filter(&plan.name);
        let dead_letter = DeadLetter::new(DeadLetterSettings::of(&self.data_dir, &plan.name), &plan.name);
        Ok(FilterBlock::new(plan, ledger, Arc::new(dead_letter), self.health.clone()))
    }

    fn output(&mut self, plan: OutputPlan, share: usize) -> Result<DriverSetup, StartError> {
        let OutputPlan { name, output, settings, filters, .. } = plan;
        let ledger = self.books.output(&name);
        let likes = settings.limits(output.limits());
        let (limits, share) = budget(likes, if settings.ordered { 1 } else { settings.concurrency }, share);
        if limits.max_bytes < likes.max_bytes && settings.max_bytes.is_some() {
            tracing::warn!(
                output = %name,
                "requests are cut to {} bytes, `batch.max_bytes` is {}: `concurrency` of them have to fit into the output's \
                 share of `memory_limit`; raise that in [service], or lower one of the others",
                limits.max_bytes,
                likes.max_bytes
            );
        }
        // Deliveries have to fit, one being formed and one under way, and a batch is larger than its source.
        let memory = MEMORY_QUEUE.max(limits.max_bytes.saturating_mul(4)).min(share);
        let queue = self.queue(&name, &settings.queue, memory, share, &ledger)?;
        let filters = filters.into_iter().map(|plan| self.filter(plan)).collect::<Result<_, _>>()?;
        self.outputs.push(OutputRoute {
            matches: settings.matches.clone(),
            when: settings.when.clone(),
            signals: settings.signals.clone().unwrap_or_else(|| output.signals().to_vec()),
            filters,
            // A disk queue writes what records say.
            takes_packed: output.takes_packed() && settings.queue.kind == QueueKind::Memory,
        });
        self.queues.push(queue.clone());
        Ok(DriverSetup {
            limits,
            retry: settings.retry,
            concurrency: settings.concurrency,
            ordered: settings.ordered,
            dead_letter: Arc::new(DeadLetter::new(settings.dead_letter, &name)),
            health: self.health.clone(),
            setup: OutputSetup { name: name.clone(), data_dir: self.data_dir.clone(), ledger: ledger.clone() },
            abort: tokio::sync::watch::channel(false).1,
            name,
            output,
            queue,
            ledger,
        })
    }

    fn queue(
        &self,
        name: &Arc<str>,
        settings: &QueueSettings,
        memory: usize,
        share: usize,
        ledger: &Arc<suiro_sdk::OutputLedger>,
    ) -> Result<Arc<dyn Queue>, StartError> {
        let setup = QueueSetup {
            max_bytes: match settings.kind {
                QueueKind::Memory => settings.max_size.map_or(memory, |size| size as usize).min(share),
                // What is on its way to the disk, and from it.
                QueueKind::Disk => memory,
            },
            when_full: settings.when_full,
            ledger: ledger.clone(),
            wakers: self.control.wakers(),
        };
        match settings.kind {
            QueueKind::Memory => Ok(Arc::new(MemoryQueue::new(setup))),
            QueueKind::Disk => {
                let setup = DiskSetup {
                    queue: setup,
                    name: name.clone(),
                    folder: self.data_dir.join("queue").join(&**name),
                    max_size: settings.max_size.unwrap_or(DISK_QUEUE),
                    fsync: settings.fsync,
                    pool: self.pool.clone(),
                    health: self.health.clone(),
                };
                let queue = DiskQueue::open(setup).map_err(|error| StartError(error.to_string()))?;
                Ok(Arc::new(queue))
            }
        }
    }
}

// === impl ProgressCell ===

impl ProgressCell {
    /// A worker's share.
    pub fn set(&self, shard: usize, read: u64, total: u64) {
        if let Some(cell) = self.0.get(shard) {
            cell.0.store(read, Relaxed);
            cell.1.store(total, Relaxed);
        }
    }

    /// All workers together.
    pub fn get(&self) -> Progress {
        let sum = |pick: fn(&(AtomicU64, AtomicU64)) -> &AtomicU64| self.0.iter().map(|c| pick(c).load(Relaxed)).sum();
        Progress { read: sum(|cell| &cell.0), total: sum(|cell| &cell.1) }
    }
}

/// What an output does with its `share` of the memory: bounds of a delivery, and what is left for its queue.
///
/// Bodies of requests are memory as well, as many as there are requests at once, and each about twice its records: what JSON
/// adds to short lines, or its compressed form beside it. They get half of the share at most, and are smaller where that
/// is not enough for those the output likes.
fn budget(likes: Limits, concurrency: usize, share: usize) -> (Limits, usize) {
    const BODY: usize = 2;
    let bodies = likes.max_bytes.saturating_mul(BODY).saturating_mul(concurrency);
    if bodies <= share / 2 {
        return (likes, share - bodies);
    }
    let max_bytes = (share / 2 / BODY / concurrency.max(1)).max(1);
    (Limits { max_bytes, ..likes }, share - share / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_and_bodies_share_the_memory() {
        const MIB: usize = 1 << 20;
        let likes = Limits { max_bytes: MIB, ..Limits::default() };
        assert_eq!(budget(likes, 4, 64 * MIB), (likes, 56 * MIB));
        assert_eq!(budget(likes, 4, 16 * MIB), (likes, 8 * MIB));
        for (concurrency, share) in [(4, 8 * MIB), (256, 64 * MIB), (1, MIB), (256, 64 << 10), (4, 100)] {
            let (limits, queue) = budget(likes, concurrency, share);
            assert!(limits.max_bytes < MIB && limits.max_bytes > 0 && queue >= share / 2);
            assert!(limits.max_bytes == 1 || queue + 2 * concurrency * limits.max_bytes <= share, "{limits:?} {queue}");
        }
        let huge = Limits { max_bytes: usize::MAX, ..likes };
        assert_eq!(budget(huge, 4, 64 * MIB), (Limits { max_bytes: 4 * MIB, ..huge }, 32 * MIB));
    }
}
