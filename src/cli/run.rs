//! `suiro run`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::load::{self, ConfigArgs};
use super::progress::ProgressLine;
use super::{EXIT_USAGE, logs, screen};
use crate::api::Api;
use crate::pipeline::{Ending, Exhausted, Pipeline, Plan};

/// Arguments of `suiro run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Read every input to its end, deliver, print the ledger and exit; exit code 1 if a record was not delivered
    #[arg(long)]
    once: bool,
    /// Write the ledger as JSON to this file at the end
    #[arg(long, value_name = "FILE")]
    ledger_json: Option<PathBuf>,
}

pub(super) fn run(args: &RunArgs) -> ExitCode {
    let Some((plan, _)) = load::plan(&args.config) else { return ExitCode::from(EXIT_USAGE) };
    logs::start(plan.service.log_level);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("no event loop to be had: {error}")),
    };
    match runtime.block_on(serve(args, plan)) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn fail(error: &str) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::FAILURE
}

async fn serve(args: &RunArgs, plan: Plan) -> Result<ExitCode, String> {
    let began = Instant::now();
    let service = plan.service.clone();
    prepare_data_dir(&service.data_dir)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    // Listening comes first: an agent that can't start must not have delivered anything.
    let bound = match service.api {
        Some(listen) => Some(Api::bind(listen).await?),
        None => None,
    };
    let mut pipeline = tokio::select! {
        started = start(plan, args.once) => started?,
        _ = terminate.recv() => return Ok(stopped_early(args)),
        _ = interrupt.recv() => return Ok(stopped_early(args)),
    };
    let shared = pipeline.shared().clone();
    let api = bound.map(|bound| bound.serve(shared.clone()));
    tracing::info!(
        api = api.map(|address| address.to_string()),
        data_dir = %service.data_dir.display(),
        "ready in {:.0} ms",
        began.elapsed().as_secs_f64() * 1000.0
    );
    let progress = args.once.then(|| ProgressLine::start(Arc::clone(&shared)));
    let exhausted = tokio::select! {
        exhausted = pipeline.exhausted() => Some(exhausted),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    if exhausted == Some(Exhausted::Read) {
        tracing::debug!("all inputs are read to their ends");
    } else {
        tracing::info!("stopping; what is on its way gets {:?}", service.shutdown_timeout);
    }
    // What is read to the end gets the time it needs, unless somebody loses patience.
    let told = exhausted != Some(Exhausted::Read);
    let ending = stop(pipeline, &mut terminate, &mut interrupt, service.shutdown_timeout, told).await;
    if let Some(progress) = progress {
        progress.finish();
    }
    let code = report(args, &ending, began.elapsed())?;
    // Whoever started the agent is to start it again.
    Ok(if exhausted == Some(Exhausted::OutputLost) { ExitCode::FAILURE } else { code })
}

/// Builds the pipeline, on another thread: a plugin may take its time (a module is fetched), and a signal must not wait for
/// that.
async fn start(plan: Plan, once: bool) -> Result<Pipeline, String> {
    let (tell, told) = tokio::sync::oneshot::channel();
    // As much stack as the main thread has.
    let thread = std::thread::Builder::new().name("start".to_owned()).stack_size(8 << 20);
    // If nobody listens any more, the process ends.
    let build = move || drop(tell.send(Pipeline::start(plan, once)));
    thread.spawn(build).map_err(|error| format!("can't start a thread: {error}"))?;
    let started = told.await.map_err(|_| "a plugin panicked at its start".to_owned())?;
    started.map_err(|error| error.to_string())
}

fn stopped_early(args: &RunArgs) -> ExitCode {
    tracing::info!("stopped before it was ready");
    if args.once { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Stops the pipeline. Who told it to stop, or tells it while it drains, gives what is on its way `patience`; Ctrl-C behind
/// that is somebody who waits for the prompt, and ends it at once.
async fn stop(
    pipeline: Pipeline,
    terminate: &mut Signal,
    interrupt: &mut Signal,
    patience: Duration,
    mut told: bool,
) -> Ending {
    let until = |left| Some(tokio::time::Instant::now() + left);
    let (deadline, patient) = watch::channel(if told { until(patience) } else { None });
    let stop = pipeline.stop(patient);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            ending = &mut stop => return ending,
            _ = terminate.recv(), if !told => {}
            _ = interrupt.recv() => {}
        }
        if told {
            tracing::warn!("told to stop at once");
            deadline.send_replace(until(Duration::ZERO));
        } else {
            tracing::warn!("told to stop; what is on its way gets {patience:?}");
            deadline.send_replace(until(patience));
        }
        told = true;
    }
}

fn report(args: &RunArgs, ending: &Ending, elapsed: Duration) -> Result<ExitCode, String> {
    let ledger = &ending.ledger;
    if let Some(path) = &args.ledger_json {
        let json = serde_json::to_vec_pretty(ledger).map_err(|error| error.to_string())?;
        std::fs::write(path, json).map_err(|error| format!("--ledger-json {}: {error}", path.display()))?;
    }
    for imbalance in ledger.imbalances() {
        tracing::error!("the ledger does not balance: {imbalance}");
    }
    if args.once {
        screen::print(ledger, elapsed);
        let failed = ledger.undelivered() > 0 || !ending.drained;
        return Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS });
    }
    if !ending.drained {
        let left: u64 = ledger.outputs.iter().map(|output| output.in_flight).sum();
        tracing::warn!("{left} records were still on their way; they are read again at the next start");
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Creates the data folder, private to the agent's user.
fn prepare_data_dir(path: &std::path::Path) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        format!("the data folder {} can't be created: {error}; set `data_dir` in [service]", path.display())
    })
}
