//! The command line: every command, every flag, and where each is carried out.

mod reconcile;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use api::telemetry::TRACE_SAMPLE_RATIO;
use clap::{Args, Parser, Subcommand, ValueEnum};
use commands::archive::{Shelf, Terms};
use domain::Currency;

pub use self::reconcile::{DifferenceFilter, Reconcile, RunRules, StatementFile, StatementFormatName};
use crate::{archive, bank, database, dev, events, jobs, keys, merchants, projections, sagas, sandbox, serve, verify};

/// An event-sourced payment ledger.
#[derive(Debug, Parser)]
#[command(name = "payledger", version, about)]
pub struct Arguments {
    /// Print results as JSON.
    #[arg(long, global = true, env = "PAYLEDGER_JSON")]
    pub json: bool,
    /// A TOML file whose keys are names of flags.
    #[arg(long, global = true, env = "PAYLEDGER_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine: a private Postgres, the sandbox channel, the server with every role.
    Dev(Dev),
    /// Run the server.
    Serve(Box<Serve>),
    /// Run the sandbox channel on its own.
    Sandbox(Sandbox),
    /// Apply the migrations.
    Migrate(Database),
    /// Create, change and list merchants.
    #[command(subcommand)]
    Merchants(Merchants),
    /// Create, list and revoke API keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Read the log.
    #[command(subcommand)]
    Events(Events),
    /// Look after the read models.
    #[command(subcommand)]
    Projections(Projections),
    /// Look after what goes by the clock.
    #[command(subcommand)]
    Jobs(Jobs),
    /// Compare statements of channels and banks with what is booked; ends with 3 where they differ.
    #[command(subcommand)]
    Reconcile(Reconcile),
    /// Look after the sagas.
    #[command(subcommand)]
    Sagas(Sagas),
    /// Move what stands beside the log and has had its term to the archive; events stay where they are for ever.
    Archive(Archive),
    /// Check every invariant on the whole store.
    Verify(Verify),
}

/// The database of the ledger. Without a URL, the private Postgres of the data folder.
#[derive(Debug, Clone, Args)]
pub struct Database {
    #[arg(long, env = "PAYLEDGER_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Where the private Postgres, keys and the sandbox's book live.
    #[arg(long, env = "PAYLEDGER_DATA_DIR", value_name = "DIR", default_value = ".payledger")]
    pub data_dir: PathBuf,
    /// Never install Postgres, only say how.
    #[arg(long, env = "PAYLEDGER_NO_INSTALL")]
    pub no_install: bool,
    /// 32 bytes in hex that seal keys and personal data; by default those in `PAYLEDGER_MASTER_KEY`, else in
    /// `master.key` in the data folder.
    #[arg(long, env = "PAYLEDGER_MASTER_KEY_FILE", value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct Dev {
    #[command(flatten)]
    pub database: Database,
    #[arg(long, env = "PAYLEDGER_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,
    #[arg(long, env = "PAYLEDGER_SANDBOX_BIND", default_value = "127.0.0.1:8090")]
    pub sandbox_bind: SocketAddr,
    /// Play this many varied sample payments through the real path first.
    #[arg(long, env = "PAYLEDGER_PAYMENTS", default_value_t = 0)]
    pub payments: u32,
    /// What becomes of a merchant's calls beyond those that its tier allows in a minute.
    #[arg(long, env = "PAYLEDGER_API_CALL_LIMITS", value_enum, default_value = "observe")]
    pub api_call_limits: CallLimits,
    #[command(flatten)]
    pub telemetry: Telemetry,
}

#[derive(Debug, Clone, Args)]
pub struct Serve {
    #[command(flatten)]
    pub database: Database,
    #[arg(long, env = "PAYLEDGER_BIND", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,
    /// Serve health, metrics and documentation here instead of on `--bind`.
    #[arg(long, env = "PAYLEDGER_OPS_BIND")]
    pub ops_bind: Option<SocketAddr>,
    #[arg(long, env = "PAYLEDGER_ROLES", value_enum, value_delimiter = ',', default_value = "api,sagas,projections")]
    pub roles: Vec<Role>,
    /// What becomes of a merchant's calls beyond those that its tier allows in a minute.
    #[arg(long, env = "PAYLEDGER_API_CALL_LIMITS", value_enum, default_value = "observe")]
    pub api_call_limits: CallLimits,
    #[command(flatten)]
    pub channels: ChannelFlags,
    #[command(flatten)]
    pub bank: BankFlags,
    #[command(flatten)]
    pub withdrawals: WithdrawalFlags,
    #[command(flatten)]
    pub terms: TermFlags,
    #[command(flatten)]
    pub telemetry: Telemetry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CallLimits {
    /// Count them and say so in the answers.
    Observe,
    /// Answer 429.
    Enforce,
}

impl From<CallLimits> for api::CallLimits {
    fn from(limits: CallLimits) -> api::CallLimits {
        match limits {
            CallLimits::Observe => api::CallLimits::Observe,
            CallLimits::Enforce => api::CallLimits::Enforce,
        }
    }
}

#[derive(Debug, Clone, Args, Default)]
pub struct ChannelFlags {
    /// The sandbox channel, `http://127.0.0.1:8090`.
    #[arg(long, env = "PAYLEDGER_SANDBOX_URL", value_name = "URL")]
    pub sandbox_url: Option<String>,
    /// Secret of the sandbox's webhook signatures.
    #[arg(long, env = "PAYLEDGER_SANDBOX_WEBHOOK_SECRET", hide_env_values = true)]
    pub sandbox_webhook_secret: Option<String>,
    #[arg(long, env = "PAYLEDGER_STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<String>,
    #[arg(long, env = "PAYLEDGER_STRIPE_WEBHOOK_SECRET", hide_env_values = true)]
    pub stripe_webhook_secret: Option<String>,
    #[arg(long, env = "PAYLEDGER_STRIPE_URL", default_value = "https://api.stripe.com")]
    pub stripe_url: String,
}

/// The bank that pays merchants out. Without one, and with the sandbox channel, a bank to play with in the data folder.
#[derive(Debug, Clone, Args, Default)]
pub struct BankFlags {
    /// Where payment files go (`outbox`) and the bank's messages come from (`inbox`): ISO 20022.
    #[arg(long, env = "PAYLEDGER_BANK_DIR", value_name = "DIR", requires_all = ["bank_iban", "bank_holder"])]
    pub bank_dir: Option<PathBuf>,
    /// The bank's short name in the accounts.
    #[arg(long, env = "PAYLEDGER_BANK_NAME", default_value = "bank")]
    pub bank_name: String,
    /// Our own account there.
    #[arg(long, env = "PAYLEDGER_BANK_IBAN", value_name = "IBAN")]
    pub bank_iban: Option<String>,
    #[arg(long, env = "PAYLEDGER_BANK_BIC", value_name = "BIC")]
    pub bank_bic: Option<String>,
    /// Whose name our account is in.
    #[arg(long, env = "PAYLEDGER_BANK_HOLDER", value_name = "NAME")]
    pub bank_holder: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub struct WithdrawalFlags {
    /// Hours from the approval of a new bank account until it is paid to.
    #[arg(long, env = "PAYLEDGER_WITHDRAWAL_COOLING_OFF_HOURS", value_name = "HOURS", default_value_t = 24)]
    pub withdrawal_cooling_off_hours: u32,
    /// What a withdrawal costs in a currency, in minor units: `USD=100`.
    #[arg(long, env = "PAYLEDGER_WITHDRAWAL_FEE", value_name = "CURRENCY=AMOUNT", value_delimiter = ',', value_parser = bank::fee)]
    pub withdrawal_fee: Vec<(Currency, i64)>,
    /// Keep the fee of a withdrawal that fails.
    #[arg(long, env = "PAYLEDGER_WITHDRAWAL_KEEP_FEE")]
    pub withdrawal_keep_fee: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Api,
    Sagas,
    Projections,
}

#[derive(Debug, Clone, Args)]
pub struct Telemetry {
    /// How logs are written: for people or as JSON.
    #[arg(long, env = "PAYLEDGER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `info,sagas=debug`.
    #[arg(long, env = "PAYLEDGER_LOG", default_value = "info,sqlx=warn")]
    pub log: String,
    /// An OTLP/HTTP endpoint for traces, `http://127.0.0.1:4318`.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// The share of traces that is sent, 0 to 1, where a caller has not decided it.
    #[arg(long, env = "PAYLEDGER_TRACE_SAMPLE_RATIO", value_name = "RATIO", default_value_t = TRACE_SAMPLE_RATIO)]
    pub trace_sample_ratio: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Args)]
pub struct Sandbox {
    #[arg(long, env = "PAYLEDGER_BIND", default_value = "127.0.0.1:8090")]
    pub bind: SocketAddr,
    /// Delays each answer.
    #[arg(long, env = "PAYLEDGER_LATENCY_MS", default_value_t = 0)]
    pub latency_ms: u64,
    #[arg(long, env = "PAYLEDGER_DATA_DIR", value_name = "DIR", default_value = ".payledger/sandbox")]
    pub data_dir: PathBuf,
    /// Where webhooks go.
    #[arg(
        long,
        env = "PAYLEDGER_WEBHOOK_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080/api/v1/webhooks/sandbox"
    )]
    pub webhook_url: String,
    #[arg(long, env = "PAYLEDGER_SANDBOX_WEBHOOK_SECRET", hide_env_values = true)]
    pub sandbox_webhook_secret: Option<String>,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Merchants {
    Create {
        #[command(flatten)]
        database: Database,
        #[arg(long)]
        name: String,
        /// starter, business, enterprise or premium
        #[arg(long)]
        tier: domain::tier::TierName,
        #[arg(long, value_enum, default_value_t = Pricing::CostPlus)]
        pricing: Pricing,
        #[arg(long, value_enum, default_value_t = RefundFees::Retain)]
        refund_fees: RefundFees,
    },
    /// Change a merchant's tier, from now on or from a later time.
    Tier {
        #[command(flatten)]
        database: Database,
        id: domain::MerchantId,
        /// starter, business, enterprise or premium
        tier: domain::tier::TierName,
        /// An RFC 3339 time.
        #[arg(long)]
        effective_from: Option<domain::Timestamp>,
    },
    /// Take no new payments, pre-authorisations or withdrawals of a merchant.
    Suspend {
        #[command(flatten)]
        database: Database,
        id: domain::MerchantId,
    },
    /// Lift a suspension.
    Activate {
        #[command(flatten)]
        database: Database,
        id: domain::MerchantId,
    },
    /// Close a merchant for good.
    Close {
        #[command(flatten)]
        database: Database,
        id: domain::MerchantId,
    },
    List {
        #[command(flatten)]
        database: Database,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pricing {
    #[value(name = "cost_plus", alias = "cost-plus")]
    CostPlus,
    Blended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RefundFees {
    Retain,
    Proportional,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Keys {
    Create {
        #[command(flatten)]
        database: Database,
        /// merchant, finance, auditor, operator or admin
        #[arg(long)]
        role: String,
        #[arg(long)]
        merchant: Option<String>,
        /// The person or system that the key belongs to.
        #[arg(long)]
        principal: Option<String>,
        /// Accept signed requests only.
        #[arg(long)]
        signed_only: bool,
    },
    List {
        #[command(flatten)]
        database: Database,
    },
    Revoke {
        #[command(flatten)]
        database: Database,
        id: String,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum Events {
    /// One stream, and the state folded up to a position or time.
    Show {
        #[command(flatten)]
        database: Database,
        category: String,
        id: String,
        /// A position, or an RFC 3339 time.
        #[arg(long)]
        as_of: Option<String>,
    },
    /// Follow the log.
    Tail {
        #[command(flatten)]
        database: Database,
        #[arg(long, default_value_t = 0)]
        from: u64,
    },
    /// Write the log out, one JSON object a line.
    Export {
        #[command(flatten)]
        database: Database,
        #[arg(long, default_value_t = 1)]
        from: u64,
        #[arg(long)]
        to: Option<u64>,
        #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
        format: ExportFormat,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Ndjson,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Projections {
    List {
        #[command(flatten)]
        database: Database,
    },
    /// The streams whose events wait, because one of them cannot be applied.
    Parked {
        #[command(flatten)]
        database: Database,
        name: Option<String>,
    },
    /// Build a read model anew beside the one that serves, and put it in its place.
    Rebuild {
        #[command(flatten)]
        database: Database,
        name: String,
        /// Say what would happen.
        #[arg(long)]
        dry_run: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Put the generation before the last rebuild back.
    Rollback {
        #[command(flatten)]
        database: Database,
        name: String,
        /// Say what would happen.
        #[arg(long)]
        dry_run: bool,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Try the parked streams of a read model again.
    Retry {
        #[command(flatten)]
        database: Database,
        name: String,
    },
    /// Fold read models anew, in tables of their own, and compare; ends with 3 on a difference.
    Verify {
        #[command(flatten)]
        database: Database,
        name: Option<String>,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum Jobs {
    List {
        #[command(flatten)]
        database: Database,
    },
    /// Ask for a run and wait for its end; a server with the role sagas carries it out.
    Run {
        #[command(flatten)]
        database: Database,
        name: String,
        /// Do not wait for longer.
        #[arg(long, env = "PAYLEDGER_WAIT", value_name = "SECONDS", default_value_t = 60)]
        wait: u64,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum Sagas {
    List {
        #[command(flatten)]
        database: Database,
        /// running, waiting or stuck
        #[arg(long)]
        state: Option<String>,
    },
    Show {
        #[command(flatten)]
        database: Database,
        id: String,
    },
    Retry {
        #[command(flatten)]
        database: Database,
        id: String,
    },
}

#[derive(Debug, Clone, Args)]
pub struct Archive {
    #[command(flatten)]
    pub database: Database,
    #[command(flatten)]
    pub terms: TermFlags,
    /// Say how much would be moved.
    #[arg(long)]
    pub dry_run: bool,
    /// Print what is on this shelf of the archive instead, a JSON object a line, oldest first.
    #[arg(long, value_name = "SHELF", value_parser = shelf, conflicts_with_all = ["dry_run", "yes"])]
    pub read: Option<Shelf>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
}

fn shelf(name: &str) -> Result<Shelf, String> {
    let named = Shelf::ALL.into_iter().find(|shelf| shelf.as_str() == name);
    named.ok_or_else(|| format!("one of {}", Shelf::ALL.map(|shelf| shelf.as_str()).join(", ")))
}

/// How long what stands beside the log is kept where it is used.
#[derive(Debug, Clone, Args)]
pub struct TermFlags {
    #[arg(long, env = "PAYLEDGER_KEEP_CHANNEL_CALLS_DAYS", value_name = "DAYS", default_value_t = 30)]
    pub keep_channel_calls_days: u32,
    /// Of an export's file from when it is made, and of its row from when the file is gone.
    #[arg(long, env = "PAYLEDGER_KEEP_EXPORTS_DAYS", value_name = "DAYS", default_value_t = 180)]
    pub keep_exports_days: u32,
    #[arg(long, env = "PAYLEDGER_KEEP_JOB_RUNS_DAYS", value_name = "DAYS", default_value_t = 90)]
    pub keep_job_runs_days: u32,
    #[arg(long, env = "PAYLEDGER_KEEP_WEBHOOK_MESSAGES_DAYS", value_name = "DAYS", default_value_t = 90)]
    pub keep_webhook_messages_days: u32,
}

impl TermFlags {
    pub fn terms(&self) -> Terms {
        Terms::in_days(
            self.keep_channel_calls_days,
            self.keep_exports_days,
            self.keep_job_runs_days,
            self.keep_webhook_messages_days,
        )
    }
}

#[derive(Debug, Clone, Args)]
pub struct Verify {
    #[command(flatten)]
    pub database: Database,
    /// Compare with this sandbox's own book too.
    #[arg(long, env = "PAYLEDGER_SANDBOX_URL", value_name = "URL")]
    pub sandbox_url: Option<String>,
}

pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let as_json = arguments.json;
    match arguments.command {
        Command::Dev(flags) => dev::run(flags).await?,
        Command::Serve(flags) => serve::run(*flags).await?,
        Command::Sandbox(flags) => sandbox::run(flags).await?,
        Command::Migrate(flags) => migrate(&flags).await?,
        Command::Merchants(command) => merchants::run(command, as_json).await?,
        Command::Keys(command) => keys::run(command, as_json).await?,
        Command::Events(command) => events::run(command, as_json).await?,
        Command::Projections(command) => return projections::run(command, as_json).await,
        Command::Jobs(command) => return jobs::run(command, as_json).await,
        Command::Reconcile(command) => return crate::reconcile::run(command, as_json).await,
        Command::Sagas(command) => sagas::run(command, as_json).await?,
        Command::Archive(flags) => archive::run(flags, as_json).await?,
        Command::Verify(flags) => return verify::run(flags, as_json).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn migrate(flags: &Database) -> anyhow::Result<()> {
    let database = database::Database::open(flags).await?;
    let pool = database.pool(2).await?;
    adapters::migrations::migrate(&pool).await?;
    crate::ledger::seed(&pool).await?;
    pool.close().await;
    database.close().await
}
