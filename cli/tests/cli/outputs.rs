//! Where results go: long names, links, read-only files, devices, pipes, and runs that are cut short.

#![cfg(unix)]

use super::{Desk, npy};
use ndarray::array;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A desk with `x.npy`: 1, 2, 3.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.save("x.npy", &array![1.0f32, 2.0, 3.0]);
    desk
}

/// The command that writes `x + 1` to each output.
fn add_one<'a>(outputs: &[&'a str]) -> Vec<&'a str> {
    let kernel = if outputs.len() == 1 { "x + 1" } else { "(x + 1, x + 1)" };
    let mut args = vec!["run", kernel, "-i", "x=x.npy"];
    args.extend(outputs.iter().flat_map(|&output| ["-o", output]));
    args
}

#[track_caller]
fn assert_sum(desk: &Desk, name: &str) {
    assert_eq!(desk.load::<f32>(name), array![2.0, 3.0, 4.0].into_dyn(), "{name}");
}

/// Fails with `status`; what it said.
#[track_caller]
fn refused(desk: &Desk, args: &[&str], status: i32) -> String {
    let output = desk.output(args);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{args:?}: {message}");
    assert!(output.stdout.is_empty(), "{args:?}");
    message
}

#[test]
fn names_as_long_as_names_can_be() {
    let desk = desk();
    for length in [200, 236, 237, 238, 250, 255] {
        let name = "y".repeat(length);
        for _ in 0..2 {
            desk.ok(&add_one(&[&name]));
            assert_sum(&desk, &name);
        }
        fs::remove_file(desk.path(&name)).unwrap();
    }
    let message = refused(&desk, &add_one(&[&"y".repeat(256)]), 1);
    assert!(message.contains("name too long"), "{message}");
    assert_eq!(desk.names(), ["x.npy"]);
}

#[test]
fn two_outputs_are_two_files() {
    let desk = desk();
    fs::create_dir(desk.path("d")).unwrap();
    desk.write("old.npy", "old");
    symlink("old.npy", desk.path("link.npy")).unwrap();
    symlink("new.npy", desk.path("dangling.npy")).unwrap();
    symlink("dangling.npy", desk.path("chain.npy")).unwrap();
    symlink(".", desk.path("here")).unwrap();
    fs::hard_link(desk.path("old.npy"), desk.path("hard.npy")).unwrap();
    for (first, second) in [
        ("y.npy", "y.npy"),
        ("y.npy", "./y.npy"),
        ("y.npy", "d/../y.npy"),
        ("y.npy", "here/y.npy"),
        ("old.npy", "link.npy"),
        ("link.npy", "hard.npy"),
        ("new.npy", "dangling.npy"),
        ("chain.npy", "here/new.npy"),
        ("/dev/full", "/dev/full"),
        ("/dev/stdout", "/dev/fd/1"),
    ] {
        for pair in [[first, second], [second, first]] {
            let message = refused(&desk, &add_one(&pair), 2);
            assert!(message.starts_with("error: two outputs go to "), "{message}");
            assert!(message.contains(pair[1]), "{message}");
        }
    }
    assert_eq!(fs::read(desk.path("old.npy")).unwrap(), b"old");
    let names = ["chain.npy", "d", "dangling.npy", "hard.npy", "here", "link.npy", "old.npy"];
    assert_eq!(desk.names(), [&names[..], &["x.npy"]].concat());
    // Everything may go nowhere.
    desk.ok(&add_one(&["/dev/null", "/dev/null"]));
}

#[test]
fn links_stay_and_lead_to_the_result() {
    let desk = desk();
    fs::create_dir(desk.path("d")).unwrap();
    desk.write("d/old.npy", "old");
    symlink("d/old.npy", desk.path("link.npy")).unwrap();
    symlink("d/new.npy", desk.path("dangling.npy")).unwrap();
    symlink(desk.path("link-to-dangling.npy"), desk.path("chain.npy")).unwrap();
    symlink("dangling2.npy", desk.path("link-to-dangling.npy")).unwrap();
    for (link, target) in
        [("link.npy", "d/old.npy"), ("dangling.npy", "d/new.npy"), ("chain.npy", "dangling2.npy")]
    {
        let line = desk.ok(&add_one(&[link]));
        assert!(line.starts_with(&format!("{link}: f32[3]; ")), "{line}");
        assert!(desk.path(link).is_symlink());
        assert!(!desk.path(target).is_symlink());
        assert_sum(&desk, target);
    }
    symlink("absent/y.npy", desk.path("lost.npy")).unwrap();
    symlink("loop.npy", desk.path("loop.npy")).unwrap();
    assert!(refused(&desk, &add_one(&["lost.npy"]), 1).contains("cannot write lost.npy: No such"));
    assert!(refused(&desk, &add_one(&["loop.npy"]), 1).contains("cannot write loop.npy: "));
    for folder in ["d", "d/", "d/.", "..", "y.npy/", "d/../d"] {
        let message = refused(&desk, &add_one(&[folder]), 1);
        assert!(message.starts_with(&format!("error: cannot write {folder}: ")), "{message}");
    }
}

#[test]
fn the_replaced_file_gives_its_mode() {
    let desk = desk();
    for mode in [0o600, 0o640, 0o666, 0o755] {
        desk.write("y.npy", "old");
        fs::set_permissions(desk.path("y.npy"), Permissions::from_mode(mode)).unwrap();
        desk.ok(&add_one(&["y.npy"]));
        assert_eq!(desk.path("y.npy").metadata().unwrap().mode() & 0o7777, mode);
        assert_sum(&desk, "y.npy");
    }
    // A new file gets what any program's new files get.
    desk.ok(&add_one(&["z.npy"]));
    File::create(desk.path("other")).unwrap();
    let mode = |name: &str| desk.path(name).metadata().unwrap().mode();
    assert_eq!(mode("z.npy"), mode("other"));
}

/// A file that may not be written is not replaced, though its folder would allow it.
#[test]
fn a_read_only_file_stays() {
    let desk = desk();
    desk.write("y.npy", "precious");
    fs::set_permissions(desk.path("y.npy"), Permissions::from_mode(0o444)).unwrap();
    if File::options().write(true).open(desk.path("y.npy")).is_ok() {
        // Root may write it; its mode stays.
        desk.ok(&add_one(&["y.npy"]));
        assert_eq!(desk.path("y.npy").metadata().unwrap().mode() & 0o777, 0o444);
        assert_sum(&desk, "y.npy");
        return;
    }
    let message = refused(&desk, &add_one(&["y.npy"]), 1);
    assert!(message.starts_with("error: cannot write y.npy: Permission denied"), "{message}");
    assert_eq!(fs::read(desk.path("y.npy")).unwrap(), b"precious");
    assert_eq!(desk.names(), ["x.npy", "y.npy"]);
}

/// An array on standard output is that array alone; the summary goes elsewhere.
#[test]
fn standard_output_takes_an_array() {
    let desk = desk();
    let expected = npy::encode(&array![2.0f32, 3.0, 4.0]);
    let sum = |bytes: &[u8]| {
        assert_eq!(npy::decode::<f32>(bytes), array![2.0, 3.0, 4.0].into_dyn());
    };
    for name in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let output = desk.output(&add_one(&[name]));
        assert!(output.status.success());
        sum(&output.stdout);
        let line = String::from_utf8_lossy(&output.stderr);
        assert!(line.starts_with(&format!("{name}: f32[3]; 1 kernel")), "{line}");
    }
    // A file behind it gets the array where it stands.
    desk.write("log", "before\n");
    let log = File::options().append(true).open(desk.path("log")).unwrap();
    let status =
        desk.command(&add_one(&["/dev/stdout"])).stdout(log).stderr(Stdio::null()).status();
    assert!(status.unwrap().success());
    let log = fs::read(desk.path("log")).unwrap();
    sum(log.strip_prefix(b"before\n").unwrap());
    // Even where both streams are one.
    let both = File::create(desk.path("log")).unwrap();
    let mut command = desk.command(&add_one(&["/dev/stderr"]));
    let status = command.stdout(both.try_clone().unwrap()).stderr(both).status();
    assert!(status.unwrap().success());
    sum(&fs::read(desk.path("log")).unwrap());
    // And with another output beside it.
    let output = desk.output(&add_one(&["y.npy", "/dev/stdout"]));
    sum(&output.stdout);
    assert_sum(&desk, "y.npy");
    // Results go through pipes from run to run.
    let args = ["run", "x * 2", "-i", "x=/dev/stdin", "-o", "z.npy"];
    let mut second =
        desk.command(&args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    second.stdin.take().unwrap().write_all(&expected).unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!(desk.load::<f32>("z.npy"), array![4.0, 6.0, 8.0].into_dyn());
}

#[test]
fn a_device_that_is_full_and_a_pipe_that_is_closed() {
    let desk = desk();
    desk.write("y.npy", "old");
    let message = refused(&desk, &add_one(&["y.npy", "/dev/full"]), 1);
    assert!(message.starts_with("error: cannot write /dev/full: No space left"), "{message}");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = desk.command(&add_one(&["/dev/stdout"])).stdout(full).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.starts_with("error: cannot write /dev/stdout: No space left"), "{message}");
    assert_eq!(output.status.code(), Some(1));
    // More than a pipe holds.
    desk.save("x.npy", &ndarray::Array1::<f64>::zeros(1 << 16));
    let mut command = desk.command(&add_one(&["y.npy", "/dev/stdout"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.starts_with("error: cannot write /dev/stdout: Broken pipe"), "{message}");
    // All or none.
    assert_eq!(fs::read(desk.path("y.npy")).unwrap(), b"old");
    assert_eq!(desk.names(), ["x.npy", "y.npy"]);
}

/// A limit on the size of files, as `ulimit -f` sets it, is an error and not the end.
#[test]
fn a_file_over_the_limit() {
    let desk = desk();
    desk.save("x.npy", &ndarray::Array1::<f64>::zeros(1 << 16));
    let script = format!("ulimit -f 8; exec {} \"$@\"", env!("CARGO_BIN_EXE_kiln"));
    let args = add_one(&["y.npy"]);
    let mut command = Command::new("sh");
    command.args(["-c", &script, "kiln"]).args(&args).current_dir(desk.path("."));
    let output = command.output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.starts_with("error: cannot write y.npy: File too large"), "{message}");
    assert_eq!(desk.names(), ["x.npy"]);
}

/// Waits for a file whose name begins so; its whole name.
fn wait_for(desk: &Desk, beginning: &str) -> String {
    let start = Instant::now();
    loop {
        if let Some(name) = desk.names().into_iter().find(|name| name.starts_with(beginning)) {
            return name;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no {beginning} in {:?}", desk.names());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A run that has written one file beside its place and waits for a reader of its second output.
fn waiting(desk: &Desk) -> Child {
    let made = Command::new("mkfifo").arg(desk.path("pipe")).status().unwrap();
    assert!(made.success());
    let child = desk.command(&add_one(&["y.npy", "pipe"])).stderr(Stdio::null()).spawn().unwrap();
    wait_for(desk, ".kiln-");
    child
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

#[test]
fn signals_leave_nothing_behind() {
    for (name, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1), ("-QUIT", 3)] {
        let desk = desk();
        desk.write("y.npy", "old");
        let mut child = waiting(&desk);
        signal(&child, name);
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(number), "{name}: {status}");
        assert_eq!(fs::read(desk.path("y.npy")).unwrap(), b"old");
        assert_eq!(desk.names(), ["pipe", "x.npy", "y.npy"], "{name}");
    }
}

/// What nothing can be done about does no harm to later runs.
#[test]
fn a_killed_run_is_in_no_later_run_s_way() {
    let desk = desk();
    let mut child = waiting(&desk);
    signal(&child, "-KILL");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    desk.ok(&add_one(&["y.npy"]));
    assert_sum(&desk, "y.npy");
    let left = wait_for(&desk, ".kiln-");
    assert_eq!(desk.names(), [&left[..], "pipe", "x.npy", "y.npy"]);
}

/// `nohup` and shells' background jobs have runs ignore signals.
#[cfg(target_os = "linux")]
#[test]
fn ignored_signals_stay_ignored() {
    let desk = desk();
    let made = Command::new("mkfifo").arg(desk.path("pipe")).status().unwrap();
    assert!(made.success());
    let script = format!("trap '' HUP INT; exec {} \"$@\"", env!("CARGO_BIN_EXE_kiln"));
    let mut command = Command::new("sh");
    command.args(["-c", &script, "kiln"]).args(add_one(&["y.npy", "pipe"]));
    let mut child = command.current_dir(desk.path(".")).stdout(Stdio::null()).spawn().unwrap();
    wait_for(&desk, ".kiln-");
    signal(&child, "-HUP");
    signal(&child, "-INT");
    let mut sent = Vec::new();
    File::open(desk.path("pipe")).unwrap().read_to_end(&mut sent).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(npy::decode::<f32>(&sent), array![2.0, 3.0, 4.0].into_dyn());
    assert_sum(&desk, "y.npy");
}

#[test]
fn an_input_may_be_an_output_by_any_name() {
    let desk = desk();
    symlink("x.npy", desk.path("link.npy")).unwrap();
    desk.ok(&add_one(&["link.npy"]));
    assert_sum(&desk, "x.npy");
    assert_eq!(desk.names(), ["link.npy", "x.npy"]);
}
