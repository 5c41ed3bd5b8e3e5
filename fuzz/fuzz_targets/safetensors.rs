#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| percept_fuzz::safetensors::fuzz(data));
