//! `orrery serve`: what works on the command line, over HTTP and in a browser.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;
use base::command::{Context, Failure, Hold, eprint_line, print_json, print_line, threads};
use clap::Args;
use engine::weights::hub::{HubSettings, resolve};
use serde_json::json;
use tokio::sync::Semaphore;

mod answer;
mod base64;
mod batch;
mod body;
mod chat;
mod chat_writer;
mod completions;
mod connection;
mod counterspeech;
mod embeddings;
mod error;
mod gate;
mod guard;
mod images;
mod judge;
mod keys;
mod metrics;
mod models;
mod page;
mod proxy;
mod routes;
mod row;
mod settings;
mod step;
mod tasks;
mod tools;
mod wind;

use batch::Batch;
use connection::{Door, Peer};
use guard::Guard;
use image_systems::wind::Key;
use images::Pipelines;
use keys::Keys;
use metrics::Metrics;
use models::Models;
use proxy::Upstream;
use settings::Bounds;
use tasks::Tasks;
use wind::Marks;

/// What answers call the program.
const FINGERPRINT: &str = concat!(
    "orrery-",
    env!("CARGO_PKG_VERSION"),
    "-",
    env!("ORRERY_COMMIT")
);
/// The model where none is named.
const USUAL: &str = "smollm2";
/// Connections at a time.
const CONNECTIONS: usize = 4096;
/// How long running answers may take to end at a request to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Options of `serve`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery pull smollm2 && orrery serve             a page at http://127.0.0.1:8080 and OpenAI's interface at /v1
  orrery serve --model chat=model.gguf --adapter pirate=folder
  orrery serve --host 0.0.0.0 --keys keys.txt     for other machines, with keys

A key a line: `NAME KEY requests=60 tokens=100000 concurrent=4`; limits count over a minute and may be left out.")]
pub struct Serve {
    /// The address to listen at; others than loopback need --keys
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// A language model, NAME or ID=NAME; may be given again, the first is the usual one [default: smollm2, if it was pulled]
    #[arg(long, value_name = "MODEL")]
    model: Vec<String>,
    /// An adapter on the first model, NAME=FOLDER; requests name it as their model; may be given again
    #[arg(long, value_name = "ADAPTER")]
    adapter: Vec<String>,
    /// Keys and their limits
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Pages of this origin may ask, such as https://example.org; * for any; may be given again
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Texts that are written at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    slots: u16,
    /// Texts that may wait; further requests are refused with 429
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
    /// Tokens of a prompt and its text at most
    #[arg(long, value_name = "TOKENS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(16..=1 << 20))]
    context: u32,
    /// Seconds that a request may take; texts end then
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    timeout: u32,
    /// Megabytes of a request's body
    #[arg(long, value_name = "MB", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_body: u16,
    /// Megabytes of computed prefixes that are kept for each model
    #[arg(long, value_name = "MB", default_value_t = 512)]
    prefix_cache: u32,
    /// Megabytes of models in memory; the least recently used leaves
    #[arg(long, value_name = "MB", default_value_t = 16_384)]
    memory: u32,
    /// Concepts of `orrery frames build`, for guided texts [default: made from WordNet when they are asked for]
    #[arg(long, value_name = "FILE")]
    concepts: Option<PathBuf>,
    /// The model below the guard [default: smollm2, else the first model]
    #[arg(long, value_name = "MODEL")]
    guard: Option<String>,
    /// The key of `orrery wind keygen`, for /wind
    #[arg(long, value_name = "FILE")]
    wind_key: Option<PathBuf>,
    /// Base address of another OpenAI-compatible endpoint, whose models are offered behind the guard
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The environment variable with the key of --upstream
    #[arg(long, value_name = "NAME", requires = "upstream")]
    upstream_key_env: Option<String>,
    /// Write prompts to the log
    #[arg(long)]
    log_prompts: bool,
    /// Say where it listens as one JSON object
    #[arg(long)]
    json: bool,
}

/// What all requests share.
pub struct Server {
    models: Arc<Models>,
    batch: Batch,
    metrics: Arc<Metrics>,
    keys: Option<Keys>,
    origins: Vec<HeaderValue>,
    upstream: Option<Arc<Upstream>>,
    tasks: Tasks,
    guard: Guard,
    pipelines: Pipelines,
    marks: Option<Marks>,
    bounds: Bounds,
    most_body: usize,
    bodies: Arc<Semaphore>,
    loopback: bool,
    log_prompts: bool,
    context: Context,
}

/// A server that handlers share.
pub type Shared = Arc<Server>;

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Serve {
    /// Serves until Ctrl-C.
    pub fn run(&self, context: Context) -> Result<(), Failure> {
        // All threads of parallel work are there before any of it: no request's thread becomes one of them.
        let workers = threads();
        more_files();
        let server = self.server(context)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(workers.max(4))
            .enable_all()
            .build()
            .map_err(Failure::failed)?;
        // Ctrl-C lets answers that are under way end.
        let _hold = Hold::new();
        let result = runtime.block_on(self.listen(server, context));
        runtime.shutdown_timeout(Duration::from_millis(200));
        result
    }

    fn server(&self, context: Context) -> Result<Shared, Failure> {
        let loopback = self.host.is_loopback();
        let keys = self.keys.as_deref().map(Keys::read).transpose()?;
        if !loopback && keys.is_none() {
            return Err(Failure::input(format!(
                "{} can be reached from other machines: give `--keys FILE`, or leave `--host` out",
                self.host
            )));
        }
        let names = match self.model.is_empty() {
            false => self.model.clone(),
            true => match resolve(USUAL, &HubSettings::from_environment()) {
                Ok(_) => vec![USUAL.to_owned()],
                Err(_) => {
                    eprint_line(
                        "note: there is no language model yet: `orrery pull smollm2` fetches one",
                    );
                    Vec::new()
                }
            },
        };
        let bytes = |megabytes: u32| u64::from(megabytes) << 20;
        let models = Models::new(
            &names,
            &self.adapter,
            self.concepts.clone(),
            bytes(self.prefix_cache) as usize,
            bytes(self.memory),
        )?;
        let origins = self.allow_origin.iter().map(|origin| {
            HeaderValue::from_str(origin.trim_end_matches('/')).map_err(|_| {
                Failure::input(format!(
                    "`{origin}` is not an origin: give one such as https://example.org"
                ))
            })
        });
        let upstream = self.upstream.as_ref().map(|url| {
            let key = self.upstream_key_env.as_ref().map(|name| {
                std::env::var(name).map_err(|_| {
                    Failure::input(format!(
                        "the environment has no variable `{name}`: set it to the key"
                    ))
                })
            });
            Ok::<_, Failure>(Arc::new(Upstream {
                url: url.clone(),
                key: key.transpose()?,
            }))
        });
        let marks = self
            .wind_key
            .as_ref()
            .map(|path| Ok::<_, Failure>(Marks::new(Key::read(path)?)?));
        let metrics = Arc::new(Metrics::default());
        let batch = Batch::start(
            self.slots.into(),
            self.queue.into(),
            metrics.clone(),
            context,
        );
        Ok(Arc::new(Server {
            models: Arc::new(models),
            batch: batch.map_err(Failure::failed)?,
            metrics,
            keys,
            origins: origins.collect::<Result<_, _>>()?,
            upstream: upstream.transpose()?,
            tasks: Tasks::new(2),
            guard: Guard::new(
                self.guard.as_deref(),
                names.first().map(|name| source_of(name)),
            ),
            pipelines: Pipelines::default(),
            marks: marks.transpose()?,
            bounds: Bounds {
                context: self.context as usize,
                time: Duration::from_secs(self.timeout.into()),
            },
            most_body: usize::from(self.max_body) << 20,
            bodies: Arc::new(Semaphore::new(body::ALL_BODIES)),
            loopback,
            log_prompts: self.log_prompts,
            context,
        }))
    }

    async fn listen(&self, server: Shared, context: Context) -> Result<(), Failure> {
        if server.models.ids().next().is_some() {
            // A model that cannot be read is reported now.
            let first = server.models.get(None).await;
            first.map_err(|error| Failure::input(error.line()))?;
        }
        let listener = tokio::net::TcpListener::bind((self.host, self.port)).await;
        let listener = listener.map_err(|error| {
            Failure::input(format!(
                "cannot listen at {}:{}: {error}: choose another with `--port`",
                self.host, self.port
            ))
        })?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        self.ready(address, &server)?;
        let door = Door::new(listener, CONNECTIONS, server.metrics.connections.clone());
        let app = routes::router(server).into_make_service_with_connect_info::<Peer>();
        let stopped = move || async move {
            while !context.stopped() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let serving = axum::serve(door, app).with_graceful_shutdown(stopped());
        let ended = async move {
            stopped().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            result = async { serving.await } => result.map_err(Failure::failed),
            () = ended => Ok(()),
        }
    }

    fn ready(&self, address: SocketAddr, server: &Server) -> Result<(), Failure> {
        let url = format!("http://{address}");
        let ids: Vec<&str> = server.models.ids().collect();
        if self.json {
            return print_json(&json!({"url": url, "models": ids}));
        }
        let models = match ids.is_empty() {
            true => "no language model".to_owned(),
            false => ids.join(", "),
        };
        print_line(&format!(
            "the page is at {url}, OpenAI's interface at {url}/v1 ({models}); Ctrl-C ends it"
        ))
    }
}

/// What NAME or ID=NAME is read from.
fn source_of(name: &str) -> &str {
    name.split_once('=').map_or(name, |(_, source)| source)
}

/// Lets the process have as many connections as the system allows.
fn more_files() {
    #[cfg(unix)]
    {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: both calls get a pointer to a whole structure of this frame.
        unsafe {
            if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
                limit.rlim_cur = limit.rlim_max.min(16_384);
                libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
            }
        }
    }
}
