//! Where the master key comes from: a file named by a flag, else the environment, else a file in the data folder,
//! made on first use.

use adapters::vault::MasterKey;
use adapters::vault::master_key::ENVIRONMENT_VARIABLE;
use anyhow::Context;

use crate::cli;
use crate::database::make_private_folder;

pub fn read(flags: &cli::Database) -> anyhow::Result<MasterKey> {
    if let Some(file) = &flags.master_key_file {
        return MasterKey::read_file(file).with_context(|| format!("the master key in {}", file.display()));
    }
    if let Ok(digits) = std::env::var(ENVIRONMENT_VARIABLE) {
        return MasterKey::from_text(&digits).with_context(|| format!("the master key in {ENVIRONMENT_VARIABLE}"));
    }
    make_private_folder(&flags.data_dir)?;
    let file = flags.data_dir.join("master.key");
    MasterKey::read_or_create_file(&file).with_context(|| format!("the master key in {}", file.display()))
}
