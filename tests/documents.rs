//! What the README shows is so: its commands are understood, its configurations are right, its exit codes are ours. So are
//! the commands of the guide to rules.

use clap::Parser;
use clap::error::ErrorKind;
use tapedeck::cli::Code;
use tapedeck::cli::args::Args;
use tapedeck::config::{Catalogue, Config};

const README: &str = include_str!("../README.md");
const GUIDE: &str = include_str!("../docs/rules.md");

/// The insides of the fenced blocks in `language` of a document.
fn blocks(document: &'static str, language: &str) -> Vec<&'static str> {
    let fenced = document.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n')).collect()
}

/// The commands between backticks in running text. Options alone are not commands.
fn mentioned(document: &'static str) -> impl Iterator<Item = &'static str> {
    let prose = document.split("```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).filter(|span| span.starts_with("tapedeck "))
}

#[test]
fn commands_are_understood() {
    let shown = [README, GUIDE].into_iter().flat_map(|document| blocks(document, "sh"));
    let shown = shown.flat_map(str::lines).filter(|line| line.starts_with("tapedeck "));
    let shown: Vec<&str> = shown.map(|line| line.split(" #").next().unwrap_or(line)).collect();
    assert!(shown.len() >= 5, "only {shown:?}: are they still found?");
    for command in shown.into_iter().chain(mentioned(README)).chain(mentioned(GUIDE)) {
        let parsed = Args::try_parse_from(command.split_whitespace());
        let is_help = matches!(&parsed, Err(error) if error.kind() == ErrorKind::DisplayHelp);
        assert!(
            parsed.is_ok() || is_help,
            "{command}: {}",
            parsed.err().map_or(String::new(), |e| e.to_string())
        );
    }
}

#[test]
fn configurations_are_right() {
    let shown = blocks(README, "toml");
    assert!(!shown.is_empty(), "no configuration found");
    for text in shown {
        let parsed = Config::parse("README.md", text, &Catalogue::built_in());
        assert!(parsed.is_ok(), "{}", parsed.err().map_or(String::new(), |e| e.to_string()));
    }
}

#[test]
fn exit_codes_are_listed() {
    let rows =
        README.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse::<u8>().ok());
    let ours = [0, Code::Failed as u8, Code::Usage as u8, Code::Damaged as u8, Code::Held as u8];
    assert_eq!(rows.collect::<Vec<u8>>(), ours);
}
