//! `--timings`.

use super::Desk;

/// The stages of a table, with how often each was entered.
#[track_caller]
fn stages(desk: &Desk, args: &[&str]) -> Vec<(String, u64)> {
    let output = desk.output(&[args, &["--timings"]].concat());
    let table = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success(), "{table}");
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["stage", "count", "total", "ms", "self", "ms"]);
    let mut found = Vec::new();
    for line in lines {
        if let [name, count, total, itself] = line[..] {
            let [total, itself] = [total, itself].map(|time| time.parse::<f64>().unwrap());
            assert!(0.0 <= itself && itself <= total, "{table}");
            found.push((name.to_string(), count.parse().unwrap()));
        } else {
            assert_eq!(line[..2], ["in", "all"], "{table}");
        }
    }
    found
}

#[test]
fn stages_are_timed() {
    let desk = Desk::new();
    desk.save("x.npy", &ndarray::array![1f32, 2.0]);
    let names = |found: &[(String, u64)]| {
        found.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(" ")
    };
    let run = ["run", "x + 1", "x.npy", "-o", "y.npy"];
    // Threads of a pool are timed, too.
    for args in [&run[..], &[&run[..], &["--threads", "1"]].concat()] {
        let found = stages(&desk, args);
        let compiling = "parse compile saturate rule parse extract merge lower emit";
        assert_eq!(names(&found), format!("{compiling} run"));
        // What rules parse is theirs, and not among what was written.
        let often: Vec<_> = found.into_iter().filter(|(_, count)| *count > 1).collect();
        assert_eq!(names(&often), "rule parse");
    }
    let explained = stages(&desk, &["explain", "exp(x)", "--stage", "ir,vir"]);
    assert_eq!(names(&explained), "parse saturate rule parse extract merge lower");
    assert_eq!(stages(&desk, &["ops", "exp"]), []);
}

#[test]
fn it_is_told_of_failures_and_never_among_results() {
    let desk = Desk::new();
    assert_eq!(
        desk.output(&["explain", "x", "--timings"]).stdout,
        desk.output(&["explain", "x"]).stdout
    );
    let output = desk.output(&["explain", "x +", "--timings"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        told.starts_with("stage ") && told.contains("\nparse ") && told.contains("\nerror: "),
        "{told}"
    );
    let both = desk.output(&["explain", "x", "--timings", "--quiet"]);
    assert_eq!(both.status.code(), Some(2));
}
