"""Golden pictures for crate `data`: transparency on white ground and EXIF orientation.

Proves: `Media::decode` equals Pillow's `ImageOps.exif_transpose` (transformers' `load_image`, `datasets`) followed by
`qwen_vl_utils.to_rgb` (white under RGBA), where every kind of transparency counts as RGBA. Lossless files are compared
by hash, JPEG by the colours in the middle of its quarters.

Made with Pillow, numpy. Run: python tools/picture_goldens.py [--out crates/data/tests/golden/pictures.json]
"""

import argparse
import base64
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageOps


def white(image):
    """qwen_vl_utils.vision_process.to_rgb, for every kind of transparency."""
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, (255, 255, 255))
        ground.paste(image, mask=image.split()[3])
        return ground
    return image.convert("RGB")


def quarters():
    """Four colours, so that each of the eight orientations looks different; 24 by 16."""
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :12], pixels[:8, 12:] = (220, 40, 40), (40, 200, 60)
    pixels[8:, :12], pixels[8:, 12:] = (50, 60, 210), (230, 220, 90)
    return Image.fromarray(pixels)


def waves(channels):
    y, x, c = np.meshgrid(np.arange(9), np.arange(11), np.arange(channels), indexing="ij")
    return ((x * 23 + y * 31 + c * 57 + x * y * (c + 1)) % 256).astype(np.uint8)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gif(screen, frame, at, transparent):
    """A GIF whose one frame is smaller than its screen, written by hand: palette red, green, blue, white."""
    palette = bytes([200, 30, 30, 20, 180, 40, 30, 40, 190, 250, 250, 250])
    indices = np.array(frame)
    # Uncompressed LZW: a clear code before every second pixel keeps codes at three bits.
    bits, count, out = 0, 0, bytearray()
    codes = []
    for i, value in enumerate(indices.reshape(-1)):
        if i % 2 == 0:
            codes.append(4)
        codes.append(int(value))
    codes.append(5)
    for code in codes:
        bits |= code << count
        count += 3
        while count >= 8:
            out.append(bits & 255)
            bits >>= 8
            count -= 8
    out.append(bits & 255)
    half = lambda n: n.to_bytes(2, "little")
    parts = [b"GIF89a", half(screen[0]), half(screen[1]), bytes([0x81, 0, 0]), palette]
    if transparent is not None:
        parts.append(bytes([0x21, 0xF9, 4, 1, 0, 0, transparent, 0]))
    parts += [b",", half(at[0]), half(at[1]), half(frame.width), half(frame.height), b"\0", bytes([2])]
    for i in range(0, len(out), 255):
        piece = bytes(out[i : i + 255])
        parts += [bytes([len(piece)]), piece]
    parts += [b"\0", b";"]
    return b"".join(parts)


def cases():
    rgb, rgba = Image.fromarray(waves(3)), Image.fromarray(waves(4))
    palette = rgb.quantize(16)
    yield "PNG RGBA", encoded(rgba, "PNG")
    yield "PNG LA", encoded(Image.fromarray(waves(2), "LA"), "PNG")
    yield "PNG palette, one colour transparent", encoded(palette, "PNG", transparency=3)
    yield "PNG palette, alpha of each colour", encoded(palette, "PNG", transparency=bytes(range(0, 256, 16)))
    yield "PNG gray, one level transparent", encoded(rgb.convert("L"), "PNG", transparency=int(np.array(rgb.convert("L"))[2, 3]))
    yield "PNG RGB, one colour transparent", encoded(rgb, "PNG", transparency=tuple(int(v) for v in np.array(rgb)[2, 3]))
    yield "WebP RGBA", encoded(rgba, "WEBP", lossless=True, exact=True)
    yield "WebP RGB", encoded(rgb, "WEBP", lossless=True)
    yield "TIFF RGBA", encoded(rgba, "TIFF")
    yield "TIFF RGB, LZW", encoded(rgb, "TIFF", compression="tiff_lzw")
    yield "TIFF L", encoded(rgb.convert("L"), "TIFF", compression="tiff_deflate")
    frame = Image.fromarray((np.arange(12).reshape(3, 4) % 4).astype(np.uint8))
    yield "GIF with a transparent colour", gif((4, 3), frame, (0, 0), 2)
    yield "GIF, first frame smaller than its screen", gif((7, 6), frame, (2, 1), None)
    yield "GIF, first frame smaller, with a transparent colour", gif((7, 6), frame, (2, 1), 2)
    for turn in range(0, 10):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield f"PNG orientation {turn}", encoded(quarters(), "PNG", exif=exif)
        yield f"WebP orientation {turn}", encoded(quarters(), "WEBP", lossless=True, exif=exif)
        yield f"JPEG orientation {turn}", encoded(quarters(), "JPEG", quality=95, subsampling=0, exif=exif)
        if 1 <= turn <= 8:
            yield f"TIFF orientation {turn}", encoded(quarters(), "TIFF", tiffinfo={274: turn})
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "PNG RGBA, orientation 6", encoded(rgba, "PNG", exif=exif)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("crates/data/tests/golden/pictures.json"))
    out = parser.parse_args().out
    lines = []
    for name, data in cases():
        image = white(Image.open(io.BytesIO(data)))
        pixels = np.array(image)
        height, width = pixels.shape[:2]
        case = {"name": name, "file": base64.b64encode(data).decode(), "size": [width, height]}
        if name.startswith("JPEG"):
            case["quarters"] = [pixels[y * height // 4, x * width // 4].tolist() for y in (1, 3) for x in (1, 3)]
        else:
            case["rgb"] = hashlib.sha256(pixels.tobytes()).hexdigest()
        lines.append(json.dumps(case))
    made = json.dumps(f"tools/picture_goldens.py (Pillow {PIL.__version__}, numpy {np.__version__})")
    out.write_text(f'{{"made_by": {made}, "pictures": [\n' + ",\n".join(lines) + "\n]}\n")
    print(out, out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
