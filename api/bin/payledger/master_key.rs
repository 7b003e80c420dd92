//! Where the master key comes from: a file named by a flag, else one in the data folder, made on first use.

use adapters::vault::MasterKey;
use anyhow::Context;

use crate::cli;
use crate::database::make_private_folder;

pub fn read(flags: &cli::Database) -> anyhow::Result<MasterKey> {
    if let Some(file) = &flags.master_key_file {
        return MasterKey::read_file(file).with_context(|| format!("the master key in {}", file.display()));
    }
    make_private_folder(&flags.data_dir)?;
    let file = flags.data_dir.join("master.key");
    MasterKey::read_or_create_file(&file).with_context(|| format!("the master key in {}", file.display()))
}
