//! How results reach the caller: JSON for programs, aligned columns for people, and the exit codes.

use std::process::ExitCode;

use serde::Serialize;

/// The check found a difference.
pub const DIFFERENCE: u8 = 3;

pub fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("payledger: {error:#}");
    ExitCode::FAILURE
}

pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}

/// One JSON value on a line of its own.
pub fn line(value: &serde_json::Value) {
    println!("{value}");
}

/// Rows under their headings, each column as wide as its widest cell.
pub fn table(headings: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(headings.get(column).map(|heading| heading.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        println!("{}", padded.join("  ").trim_end());
    };
    line(&mut headings.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
}
