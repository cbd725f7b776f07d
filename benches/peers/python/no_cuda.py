"""Stands in for the CUDA libraries that PyTorch's wheel is linked to.

PyPI has PyTorch for Linux only as a build for CUDA, and its loader wants some 3 GB of NVIDIA's
libraries even where there is no GPU. This writes a library of each missing name whose functions all
return an error, so that PyTorch starts and finds no device. What runs on the CPU is PyTorch's own
code, unchanged.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ERROR = 999  # cudaErrorUnknown


def output(*command):
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def wanted(libraries):
    """The libraries that these need, and the functions that they import: `{name: versions}`."""
    needed, imports, exports = set(), {}, set()
    versions = {}  # the library that a version belongs to
    for library in libraries:
        headers = output("objdump", "-p", library)
        needed |= set(re.findall(r"NEEDED\s+(\S+)", headers))
        for owner, listed in re.findall(r"required from (\S+):\n((?:\s+0x.*\n)+)", headers):
            versions |= {line.split()[-1]: owner for line in listed.splitlines()}
        for line in output("nm", "-D", library).splitlines():
            name, _, version = line.split()[-1].partition("@")
            if line.split()[-2] == "U":
                imports.setdefault(name, set()).add(version.strip("@"))
            else:
                exports.add(name)
    return needed, versions, {name: imports[name] for name in imports.keys() - exports}


def write(path, functions):
    """Compiles a library of `functions`, a list of `(name, version)` in which "" is no version."""
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder, "stub.c"), pathlib.Path(folder, "versions")
        names = sorted({name for name, _ in functions})
        source.write_text("".join(f"long {name}(void) {{ return {ERROR}; }}\n" for name in names))
        link = [f"-Wl,-soname,{path.name}"]
        nodes = {}
        for name, version in sorted(functions):
            nodes.setdefault(version, []).append(name)
        if "" not in nodes:
            script.write_text(
                "".join(f"{node} {{ {'; '.join(names)}; }};\n" for node, names in nodes.items())
            )
            link.append(f"-Wl,--version-script={script}")
        command = ["gcc", "-shared", "-fPIC", "-w", "-fno-builtin", *link, source, "-o", path]
        subprocess.run(command, check=True)


def main(torch):
    """Writes into the folder `torch` what its libraries lack."""
    needed, versions, imports = wanted(sorted(torch.glob("*.so*")))
    missing = {name for name in needed if re.match(r"lib(cu|nccl|nv)", name)} - {"libcuda.so.1"}
    # A function without a version is looked for in every library: any that has no versions will do.
    plain = [name for name in imports if "" in imports[name]]
    plain = [(name, "") for name in plain if re.match(r"_*(cu|nccl|pnccl|nv)[A-Za-z]", name)]
    versioned = [(name, version) for name in imports for version in imports[name] if version]
    for name in sorted(name for name in missing if not (torch / name).exists()):
        functions = [(f, version) for f, version in versioned if versions.get(version) == name]
        write(torch / name, functions or plain)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
