//! Colours, and how much is said.

use super::Desk;
use ndarray::array;
use std::process::Output;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.save("x.npy", &array![1.0f32, 2.0]);
    desk
}

/// A command with these variables, and no others that matter here.
fn output(desk: &Desk, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = desk.command(args);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn colours_are_for_terminals_and_who_asks() {
    let desk = desk();
    let is_coloured = |bytes: &[u8]| bytes.contains(&0x1b);
    for (more, variables, expected) in [
        (&[][..], &[][..], false),
        (&["--color", "always"], &[], true),
        (&["--color=always"], &[("NO_COLOR", "1")], true),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")], false),
        (&[], &[("CLICOLOR_FORCE", "1")], true),
        (&[], &[("NO_COLOR", "1")], false),
    ] {
        let with = |args: &[&str]| output(&desk, &[args, more].concat(), variables);
        // A result, a note, an error of ours, one of the parser of arguments, and help.
        assert_eq!(is_coloured(&with(&["ops", "exp"]).stdout), expected, "{more:?} {variables:?}");
        let note = with(&["run", "x + 1e-60*x", "x.npy", "-o", "y.npy"]);
        assert_eq!(is_coloured(&note.stderr), expected, "{more:?} {variables:?}");
        for args in [&["ops", "gleu"][..], &["ops", "--what"]] {
            assert_eq!(
                is_coloured(&with(args).stderr),
                expected,
                "{args:?} {more:?} {variables:?}"
            );
        }
        assert_eq!(is_coloured(&with(&["run", "--help"]).stdout), expected);
    }
}

#[test]
fn more_and_less_is_said() {
    let desk = desk();
    let run = ["run", "x + 1e-60*x", "x.npy", "-o", "y.npy"];
    let said = |more: &[&str]| {
        let output = output(&desk, &[&run[..], more].concat(), &[]);
        assert!(output.status.success());
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let [result, remarks] = said(&[]);
    assert!(result.starts_with("y.npy: f32[2]; ") && remarks.starts_with("note: "), "{remarks}");
    assert_eq!(said(&["-q"]), ["", ""]);
    let [result, remarks] = said(&["-v"]);
    assert!(result.starts_with("y.npy: f32[2]; "), "{result}");
    for part in ["note: ", "read 1 input in ", "compiled in ", "the usual plan", "wrote 1 file in "]
    {
        assert!(remarks.contains(part), "{part} is missing:\n{remarks}");
    }
    let [json, remarks] = said(&["-q", "--json"]);
    assert!(json.starts_with('{') && remarks.is_empty(), "{json}");
    let both = desk.transcript(&[&[&run[..], &["-q", "-v"]].concat()]);
    assert!(both.contains("cannot be used with"), "{both}");
}
