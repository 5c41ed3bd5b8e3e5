//! What a product is, with every kernel that this processor has.

use std::mem::MaybeUninit;

use super::is_available;
use super::kind::Kind;
use super::pack::{Lines, Strided, Tile, rounded};
use super::right::Right;
use crate::gemm::Mat;
use crate::threads::Threads;

/// Every kernel of this processor; says so when there is none.
fn kinds() -> &'static [Kind] {
    for kind in [Kind::Amx, Kind::Avx512] {
        if !Kind::all().contains(&kind) {
            println!("skipped: {kind:?}, which this machine does not have");
        }
    }
    Kind::all()
}

fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

fn bf16(x: f32) -> f64 {
    f64::from(f32::from_bits(rounded(x) << 16))
}

/// Ragged shapes, every order of factors, scale and keep, against sums of rounded factors in f64.
#[test]
fn a_product_is_that_of_the_rounded_factors() {
    let kinds = kinds();
    let shapes = [
        [1, 1, 1],
        [3, 5, 7],
        [32, 32, 32],
        [33, 31, 65],
        [64, 100, 40],
        [300, 70, 96],
        [16, 257, 530],
        [5, 1030, 3],
    ];
    for shape @ [m, k, n] in shapes {
        for (turned, &kind) in
            (0..8u32).flat_map(|turned| kinds.iter().map(move |kind| (turned, kind)))
        {
            let (a, b) = (values(m * k, turned), values(k * n, 9 + turned));
            let left = match turned & 1 {
                0 => Mat::rows(&a, k),
                _ => Mat::rows(&a, m).t(),
            };
            let right = match turned & 2 {
                0 => Mat::rows(&b, n),
                _ => Mat::rows(&b, k).t(),
            };
            let (scale, keep) = if turned & 4 == 0 {
                (1.0, 0.0)
            } else {
                (0.5, 2.0)
            };
            let row = n + 3;
            let before = values(m * row, 77);
            let mut out = before.clone();
            // SAFETY: matrices of `shape`; available.
            unsafe {
                let right = Right::pack_for(kind, right, [k, n]);
                let out = out.as_mut_ptr();
                right.product(m, scale, left, keep, out, row, Threads::Pool, |_, _| {});
            }
            for i in 0..m {
                for j in 0..row {
                    let at = i * row + j;
                    let mut want = f64::from(before[at]);
                    if j < n {
                        let sum: f64 = (0..k)
                            .map(|l| {
                                bf16(
                                    a[i * left.row * usize::from(turned & 1 == 0)
                                        + i * usize::from(turned & 1 == 1)
                                        + l * left.column],
                                ) * bf16(b[l * right.row + j * right.column])
                            })
                            .sum();
                        want = f64::from(keep) * want + f64::from(scale) * sum;
                    }
                    let error = (f64::from(out[at]) - want).abs();
                    assert!(
                        error < 1e-5 * (k as f64).sqrt(),
                        "{kind:?} {shape:?} {turned} {i} {j}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_packed_factor_gives_its_columns_back_and_rows_the_same_bits_alone_and_together() {
    for &kind in kinds() {
        check_rows(kind);
    }
}

fn check_rows(kind: Kind) {
    let (m, k, n) = (70, 45, 83);
    let (a, b) = (values(m * k, 1), values(n * k, 2));
    // SAFETY: matrices over live slices; available.
    let right = unsafe { Right::pack_for(kind, Mat::rows(&b, k).t(), [k, n]) };
    let mut column = vec![0.0; k];
    right.column(82, &mut column);
    let rounded: Vec<f32> = b[82 * k..].iter().map(|&x| bf16(x) as f32).collect();
    assert_eq!(column, rounded);
    let run = |rows: std::ops::Range<usize>, threads| {
        let a = &a[rows.start * k..rows.end * k];
        let mut out = vec![0.0; rows.len() * n];
        let left = Mat::rows(a, k);
        // SAFETY: as above.
        unsafe {
            right.product(
                rows.len(),
                1.0,
                left,
                0.0,
                out.as_mut_ptr(),
                n,
                threads,
                |_, _| {},
            );
        }
        out
    };
    let together = run(0..m, Threads::Pool);
    assert_eq!(run(0..m, Threads::One), together);
    for row in [0, 5, 31, 69] {
        for count in 1..=(m - row).min(9) {
            let alone = run(row..row + count, Threads::Pool);
            assert_eq!(alone, together[row * n..(row + count) * n], "{kind:?}");
        }
    }
}

#[test]
fn strides_of_any_kind_give_the_same_tiles() {
    if !is_available() {
        println!("skipped: this machine does not multiply bfloat16");
        return;
    }
    let (m, k) = (21, 37);
    let a = values(m * k, 5);
    let wide: Vec<f32> = a.iter().flat_map(|&x| [x, 0.0]).collect();
    let plain = Strided::rows_of(Mat::rows(&a, k), [m, k]);
    let scattered = Strided::rows_of(
        Mat {
            data: &wide,
            row: 2 * k,
            column: 2,
        },
        [m, k],
    );
    for lines in [Lines::Rows, Lines::Depth] {
        for first in [0, 16] {
            let [mut one, mut other] = [[MaybeUninit::<Tile>::uninit(); 2]; 2];
            // SAFETY: the matrices are in memory; available.
            unsafe {
                plain.pack(first, &mut one, lines);
                scattered.pack(first, &mut other, lines);
                assert!(
                    (one.iter().zip(&other))
                        .all(|(a, b)| a.assume_init_ref().0 == b.assume_init_ref().0)
                );
            }
        }
    }
}
