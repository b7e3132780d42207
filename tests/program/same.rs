//! Results depend on nothing but the input and the configuration.

use super::support::Folder;

#[test]
fn workers_epochs_and_speed_change_nothing() {
    let folder = Folder::new();
    folder.trades("a.csv");
    folder.capture("b.capture.gz");
    folder.config("c.toml");
    let ways = [
        "--workers 1",
        "--workers 2",
        "--workers 8",
        "--workers 1 --epoch 1",
        "--workers 8 --epoch 1",
        "--workers 2 --epoch 64",
        "--workers 8 --epoch 8192",
        "--workers 2 --epoch random:7",
        "--workers 8 --epoch random:8 --keep-ticks",
        "--workers 2 --speed 30x",
        "--workers 8 --speed 60x --epoch 64",
    ];
    for input in ["a.csv", "b.capture.gz"] {
        let mut digests = Vec::new();
        for (number, way) in ways.iter().enumerate() {
            let db = format!("{input}{number}");
            folder.run(&format!("replay {input} --db {db} --config c.toml {way}")).fine();
            digests.push((way, folder.digest(&db)));
        }
        for (way, digest) in &digests {
            assert_eq!(digest, &digests[0].1, "{input} with {way}");
        }
    }
}

#[test]
fn the_size_of_a_checkpoint_changes_nothing() {
    let folder = Folder::new();
    folder.capture("b.capture");
    folder.run("replay b.capture --db one").fine();
    folder.write(
        "c.toml",
        "[engine]\ncheckpoint_entries = 1000\n[[windows]]\nname = \"1s\"\n[[windows]]\nname = \"1m\"\n",
    );
    folder.run("replay b.capture --db many --config c.toml").fine();
    assert_eq!(folder.digest("one"), folder.digest("many"));
}
