//! Tells the library how far it is optimised, which is part of where a result was measured. Debug assertions do
//! not tell: this workspace keeps them on in its optimised builds.

fn main() {
    let level = std::env::var("OPT_LEVEL").expect("Cargo sets it for build scripts");
    println!("cargo:rustc-env=OPT_LEVEL={level}");
    println!("cargo:rerun-if-changed=build.rs");
}
