//! `--config FILE`: a TOML file whose keys are the names of flags. A flag wins over its environment variable, that
//! over the file, and the file over the built-in default.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command, CommandFactory, Error};

use crate::cli::Arguments;

/// The arguments of this run, with the file's values as defaults.
pub fn matches(arguments: Vec<OsString>) -> Result<ArgMatches, Error> {
    let command = match path(&arguments) {
        Some(path) => with_defaults(Arguments::command(), &path)?,
        None => Arguments::command(),
    };
    command.try_get_matches_from(arguments)
}

fn path(arguments: &[OsString]) -> Option<String> {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let separate = texts.iter().position(|text| *text == "--config").and_then(|index| texts.get(index + 1).copied());
    let joined = texts.iter().find_map(|text| text.strip_prefix("--config="));
    separate.or(joined).map(str::to_owned).or_else(|| std::env::var("PAYLEDGER_CONFIG").ok())
}

fn with_defaults(mut command: Command, path: &str) -> Result<Command, Error> {
    let fail = |command: &mut Command, reason: String| command.error(ErrorKind::Io, format!("{path}: {reason}"));
    let file = config::Config::builder().add_source(config::File::new(path, config::FileFormat::Toml)).build();
    let values: std::collections::BTreeMap<String, config::Value> = match file.and_then(config::Config::try_deserialize)
    {
        Ok(values) => values,
        Err(error) => return Err(fail(&mut command, error.to_string())),
    };
    for (key, value) in values {
        let flag = key.replace('_', "-");
        let Ok(value) = value.into_string() else {
            return Err(fail(&mut command, format!("{key} is not a text, number or true/false")));
        };
        let mut known = false;
        command = set_default(command, &flag, &value, &mut known);
        if !known {
            return Err(fail(&mut command, format!("there is no flag --{flag}")));
        }
    }
    Ok(command)
}

/// Gives the flag its default wherever it stands, in subcommands too.
fn set_default(command: Command, flag: &str, value: &str, known: &mut bool) -> Command {
    let mut found = *known;
    let command = command.mut_args(|argument| {
        if argument.get_long() == Some(flag) {
            found = true;
            argument.default_value(value.to_owned())
        } else {
            argument
        }
    });
    *known = found;
    command.mut_subcommands(|subcommand| set_default(subcommand, flag, value, known))
}
