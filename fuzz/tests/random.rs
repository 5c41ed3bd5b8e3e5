//! Every target on random bytes and on nearly valid input, with fixed seeds.

use percept_fuzz::TARGETS;

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

#[test]
fn random_bytes() {
    for (seed, target) in TARGETS.iter().enumerate() {
        let mut random = Random(seed as u64);
        for _ in 0..20_000 {
            let length = random.below(40);
            let data: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            (target.fuzz)(&data);
        }
    }
}

#[test]
fn nearly_valid_input() {
    for (seed, target) in TARGETS.iter().enumerate() {
        let mut random = Random(1000 + seed as u64);
        for _ in 0..50_000 {
            let pieces = random.below(16);
            let mut data: Vec<u8> = (0..pieces)
                .flat_map(|_| target.pieces[random.below(target.pieces.len())].bytes())
                .collect();
            // One byte in ten inputs is damaged.
            if !data.is_empty() && random.below(10) == 0 {
                let at = random.below(data.len());
                data[at] = random.next() as u8;
            }
            (target.fuzz)(&data);
        }
    }
}
