fn main() {
    let args: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    kiln_differential::dump::dump(args[0], args[1]);
}
