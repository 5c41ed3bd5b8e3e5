//! 32 × 32 sums on the tile registers of AMX (Intel processors, Linux).
//!
//! `TDPBF16PS` multiplies two tiles into 16 × 16 sums. The kernel keeps 32 × 32 sums in four tiles and
//! walks along `k`; each of the four others is loaded for two products. The compiler never uses tile
//! registers, so the inline assembly owns them from `LDTILECFG` to `TILERELEASE`.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::marker::PhantomData;

use super::block::{BLOCK, Block};
use super::pack::{SIDE, Tile};

/// Whether this processor has the instructions and the system lets us use them, which it is asked to.
pub(super) fn is_available() -> bool {
    super::avx512::is_available() && has_instructions() && request_tiles()
}

fn has_instructions() -> bool {
    const TILES: u32 = 1 << 24;
    const BF16: u32 = 1 << 22;
    const SAVED: u64 = 3 << 17;
    if !is_x86_feature_detected!("xsave") || __cpuid(0).eax < 7 {
        return false;
    }
    let leaf = __cpuid_count(7, 0);
    // SAFETY: the processor has `xsave`.
    let saved = unsafe { xgetbv() };
    leaf.edx & TILES != 0 && leaf.edx & BF16 != 0 && saved & SAVED == SAVED
}

#[target_feature(enable = "xsave")]
fn xgetbv() -> u64 {
    // SAFETY: register 0 exists wherever `xsave` does.
    unsafe { _xgetbv(0) }
}

/// Linux gives a process the memory for tile registers when it asks for it.
#[cfg(target_os = "linux")]
fn request_tiles() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: the call changes which registers the system saves, and no memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn request_tiles() -> bool {
    false
}

/// Computes blocks one after the other.
///
/// # Safety
/// [`is_available`]; the results are in memory and nobody else uses them.
pub(super) unsafe fn run<'a>(blocks: impl Iterator<Item = Block<'a>>) {
    // SAFETY: `Right::product` makes blocks inside the result, on processors with the instructions.
    let tiles = unsafe { Configured::new() };
    for block in blocks {
        let whole = block.rows == BLOCK && block.columns == BLOCK;
        if whole && block.keep == 0.0 && block.scale == 1.0 {
            // SAFETY: a whole block of the result.
            unsafe { tiles.multiply(block.left, block.right, block.out, block.out_row) };
            continue;
        }
        #[repr(align(64))]
        struct Buffer([f32; BLOCK * BLOCK]);
        let mut buffer = Buffer([0.0; BLOCK * BLOCK]);
        // SAFETY: the buffer has the size of a block.
        unsafe { tiles.multiply(block.left, block.right, buffer.0.as_mut_ptr(), BLOCK) };
        for (i, sums) in buffer.0.chunks_exact(BLOCK).take(block.rows).enumerate() {
            let (keep, scale) = (block.keep, block.scale);
            for (j, sum) in sums.iter().enumerate().take(block.columns) {
                // SAFETY: row `i` and column `j` of the result; read only where something is kept, since the result may be
                // memory that was never written.
                unsafe {
                    let out = block.out.add(i * block.out_row + j);
                    out.write(match keep == 0.0 {
                        true => scale * sum,
                        false => keep * out.read() + scale * sum,
                    });
                }
            }
        }
    }
}

/// A thread whose tile registers are ours, until it is dropped there.
struct Configured(PhantomData<*const ()>);

impl Configured {
    /// Eight tiles of sixteen lines of 64 bytes.
    ///
    /// # Safety
    /// [`is_available`].
    unsafe fn new() -> Self {
        #[repr(C, align(64))]
        struct Config {
            palette: u8,
            start: u8,
            reserved: [u8; 14],
            line_bytes: [u16; 16],
            lines: [u8; 16],
        }
        let mut config = Config {
            palette: 1,
            start: 0,
            reserved: [0; 14],
            line_bytes: [0; 16],
            lines: [0; 16],
        };
        config.line_bytes[..8].fill(64);
        config.lines[..8].fill(16);
        // SAFETY: the configuration is 64 bytes of palette 1, which every processor with AMX has.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
        Self(PhantomData)
    }

    /// 32 × 32 sums over two lines of tiles of each factor, to `out` with rows `out_row` apart.
    ///
    /// # Safety
    /// `out` has 32 rows of 32 values.
    unsafe fn multiply(&self, left: &[Tile], right: &[Tile], out: *mut f32, out_row: usize) {
        let depth = left.len() / 2;
        assert_eq!(right.len(), left.len());
        // SAFETY: reads the tiles of both slices, writes 32 × 32 values.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm4, [{a0} + {line}]",
                "tileloadd tmm6, [{b0} + {line}]",
                "tileloadd tmm7, [{b1} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{a1} + {line}]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a0}, 1024",
                "add {a1}, 1024",
                "add {b0}, 1024",
                "add {b1}, 1024",
                "dec {depth}",
                "jnz 2b",
                "tilestored [{out} + {row}], tmm0",
                "tilestored [{out} + {row} + 64], tmm1",
                "tilestored [{below} + {row}], tmm2",
                "tilestored [{below} + {row} + 64], tmm3",
                a0 = inout(reg) left.as_ptr() => _,
                a1 = inout(reg) left.as_ptr().add(depth) => _,
                b0 = inout(reg) right.as_ptr() => _,
                b1 = inout(reg) right.as_ptr().add(depth) => _,
                depth = inout(reg) depth => _,
                line = in(reg) 64usize,
                row = in(reg) out_row * size_of::<f32>(),
                out = in(reg) out,
                below = in(reg) out.add(SIDE * out_row),
                options(nostack),
            );
        }
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: gives up tile registers, which only this file uses.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
