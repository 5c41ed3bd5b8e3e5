//! Every target on random bytes and on nearly valid input, with fixed seeds.

use percept_fuzz::{TARGETS, Target};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Targets that write files are slower.
fn rounds(target: &Target) -> usize {
    match target.name {
        "math_answer" | "boxes" | "choice" => 25_000,
        "chat_template" | "model_config" | "recipe" => 2_000,
        _ => 500,
    }
}

/// Runs a target many times and says how long that took.
fn repeat(target: &Target, rounds: usize, mut input: impl FnMut() -> Vec<u8>) {
    let clock = std::time::Instant::now();
    for _ in 0..rounds {
        (target.fuzz)(&input());
    }
    println!("{}: {rounds} inputs, {:.1?}", target.name, clock.elapsed());
}

#[test]
fn random_bytes() {
    for (seed, target) in TARGETS.iter().enumerate() {
        let mut random = Random(seed as u64);
        repeat(target, rounds(target), || {
            let length = random.below(40);
            (0..length).map(|_| random.next() as u8).collect()
        });
    }
}

#[test]
fn nearly_valid_input() {
    for (seed, target) in TARGETS.iter().enumerate() {
        let mut random = Random(1000 + seed as u64);
        repeat(target, 2 * rounds(target), || {
            let pieces = random.below(16);
            let mut data: Vec<u8> = (0..pieces)
                .flat_map(|_| target.pieces[random.below(target.pieces.len())].bytes())
                .collect();
            // One byte in ten inputs is damaged.
            if !data.is_empty() && random.below(10) == 0 {
                let at = random.below(data.len());
                data[at] = random.next() as u8;
            }
            data
        });
    }
}
