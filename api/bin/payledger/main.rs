//! The one binary: every role and every operator command. What it prints on stdout is a result, on stderr prose.

use std::process::ExitCode;

use clap::FromArgMatches;
use payledger::{cli, config_file, output};

fn main() -> ExitCode {
    rustls::crypto::ring::default_provider().install_default().ok();
    let matches = match config_file::matches(std::env::args_os().collect()) {
        Ok(matches) => matches,
        Err(error) => error.exit(),
    };
    let arguments = match cli::Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failed(&error.into()),
    };
    match runtime.block_on(cli::run(arguments)) {
        Ok(code) => code,
        Err(error) => output::failed(&error),
    }
}
