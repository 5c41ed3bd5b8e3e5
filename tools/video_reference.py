"""Videos of many kinds, what PyAV reads in them, and how percept compares.

    apt install ffmpeg; pip install av pillow numpy
    python tools/video_reference.py make DIR                 # 50 files, by ffmpeg
    python tools/video_reference.py compare DIR CLIP         # CLIP: target/release/examples/clip of percept-data
    python tools/video_reference.py fixtures DIR             # crates/data/tests/fixtures/video, small ones and golden.json
    python tools/video_reference.py speed DIR CLIP           # frames a second beside PyAV, memory of ten minutes

The reference turns PyAV's frames as the file says (PyAV itself leaves that to its user) and keeps pixels as they are stored.
"""

import hashlib
import json
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).parent.parent / "crates/data/tests/fixtures/video"
SOURCE = "testsrc2=size={size}:rate={rate}:duration={seconds}"

# name, seconds, size, rate, options of ffmpeg, what is done with the file afterwards
X264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p"]
B = ["-bf", "3", "-x264-params", "keyint=12:b-pyramid=none"]


def turn(matrix):
    """Writes a matrix into the track header."""

    def change(data):
        at = data.index(b"tkhd") + 4
        version = data[at]
        place = at + 4 + (32 if version else 20) + 16
        return data[:place] + struct.pack(">9i", *matrix) + data[place + 36 :]

    return change


ONE, DOWN = 1 << 16, 1 << 30
ROTATIONS = {
    "rot90": [0, ONE, 0, -ONE, 0, 0, 0, 0, DOWN],
    "rot180": [-ONE, 0, 0, 0, -ONE, 0, 0, 0, DOWN],
    "rot270": [0, -ONE, 0, ONE, 0, 0, 0, 0, DOWN],
    "mirrored": [-ONE, 0, 0, 0, ONE, 0, 0, 0, DOWN],
}


def cut(share):
    return lambda data: data[: int(len(data) * share)]


def damage(data):
    """Ruins bytes in the middle of the coded pictures."""
    at = data.index(b"mdat") + (len(data) - data.index(b"mdat")) * 6 // 10
    return data[:at] + bytes(byte ^ 0x5A for byte in data[at : at + 60]) + data[at + 60 :]


def files():
    plain = ("96x64", 12, 1)
    yield "h264_baseline.mp4", plain, X264 + ["-profile:v", "baseline"], None
    yield "h264_bframes.mp4", plain, X264 + ["-profile:v", "main"] + B, None
    yield "h264_pyramid.mp4", ("96x64", 24, 1), X264 + ["-bf", "8", "-refs", "6", "-x264-params", "b-pyramid=normal:b-adapt=2"], None
    yield "h264_intra.mp4", plain, X264 + ["-g", "1"], None
    yield "h264_longgop.mp4", ("96x64", 30, 5), X264 + ["-g", "250"], None
    yield "h264_opengop.mp4", ("96x64", 24, 1), X264 + ["-x264-params", "open-gop=1:keyint=8:min-keyint=8:bframes=3:scenecut=0"], None
    yield "h264_groups.mp4", ("96x64", 24, 2), X264 + ["-bf", "2", "-refs", "4", "-x264-params", "keyint=6:min-keyint=6:scenecut=0"], None
    yield "h264_slices.mp4", plain, X264 + ["-x264-params", "slices=4:cabac=0"], None
    yield "h264_lossless_tune.mp4", plain, X264 + ["-crf", "8", "-tune", "grain"], None
    yield "h264_crop.mp4", ("102x70", 12, 1), X264, None
    yield "h264_tall.mp4", ("34x130", 12, 1), X264 + B, None
    yield "h264_vfr.mp4", ("96x64", 30, 2), ["-vf", "select='eq(n,0)+gt(mod(n*7,11),6)'", "-fps_mode", "vfr"] + X264 + B, None
    yield "h264_29_97.mp4", ("96x64", "30000/1001", 1), X264, None
    for name, matrix in ROTATIONS.items():
        yield f"h264_{name}.mp4", plain, X264, turn(matrix)
    yield "h264_sar.mp4", ("96x64", 12, 1), ["-vf", "setsar=128/117"] + X264, None
    yield "h264_fullrange.mp4", plain, ["-vf", "scale=out_range=pc"] + X264 + ["-color_range", "pc"], None
    yield "h264_bt709.mp4", plain, ["-vf", "scale=out_color_matrix=bt709"] + X264 + ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"], None
    yield "h264_trimmed.mp4", ("96x64", 12, 3), X264 + B + ["TRIM", "1.4"], None
    yield "h264_late.mp4", plain, X264 + B + ["LATE", "0.7"], None
    yield "h264_fragmented.mp4", ("96x64", 12, 2), X264 + B + ["-movflags", "frag_keyframe+empty_moov+default_base_moof"], None
    yield "h264_fragments.mp4", plain, X264 + ["-movflags", "frag_every_frame+empty_moov"], None
    yield "h264_audio.mp4", plain, X264 + ["AUDIO"], None
    yield "h264_one.mp4", plain, X264 + ["-frames:v", "1"], None
    yield "h264.mov", plain, X264 + B, None
    yield "h264_wide.mp4", ("1280x720", 24, 1), X264, None
    yield "cut_end.mp4", ("96x64", 12, 2), X264 + B + ["-movflags", "+faststart"], cut(0.6)
    yield "cut_index.mp4", plain, X264, cut(0.5)
    yield "damaged.mp4", ("96x64", 12, 2), X264 + B + ["-movflags", "+faststart"], damage
    yield "zero.mp4", plain, X264, cut(0)
    yield "no_frames.mp4", plain, X264 + ["-frames:v", "0"], None
    yield "sound.mp4", plain, ["SOUND"], None
    yield "h264_10bit.mp4", plain, ["-c:v", "libx264", "-pix_fmt", "yuv420p10le"], None
    yield "h264_444.mp4", plain, ["-c:v", "libx264", "-pix_fmt", "yuv444p"], None
    yield "h264_interlaced.mp4", plain, X264 + ["-flags", "+ildct+ilme"], None
    yield "h264.mkv", plain, X264 + B, None
    yield "h264.ts", plain, X264 + B, None
    yield "h264.flv", plain, X264 + B, None
    yield "hevc.mp4", plain, ["-c:v", "libx265", "-pix_fmt", "yuv420p", "-tag:v", "hvc1", "-x265-params", "log-level=error"], None
    yield "vp9.webm", plain, ["-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-b:v", "200k"], None
    yield "vp9_odd.webm", plain, ["-vf", "scale=97:65", "-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-b:v", "200k"], None
    yield "vp8.webm", plain, ["-c:v", "libvpx", "-pix_fmt", "yuv420p", "-b:v", "200k"], None
    yield "av1.mp4", plain, ["-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p"], None
    yield "mpeg4.avi", plain, ["-c:v", "mpeg4", "-bf", "2"], None
    yield "mpeg4_odd.mp4", plain, ["-vf", "scale=97:65", "-c:v", "mpeg4"], None
    yield "mjpeg.mov", plain, ["-c:v", "mjpeg", "-q:v", "4"], None
    yield "plain.gif", plain, [], None
    yield "vfr.gif", ("96x64", 25, 1), ["-vf", "select='not(mod(n,5))+eq(n,6)'", "-fps_mode", "vfr"], None


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    run = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
    for name, (size, rate, seconds), options, change in files():
        path = folder / name
        source = ["-f", "lavfi", "-i", SOURCE.format(size=size, rate=rate, seconds=seconds)]
        options, after, before = list(options), None, []
        if "AUDIO" in options:
            options.remove("AUDIO")
            source += ["-f", "lavfi", "-i", f"sine=duration={seconds}"]
            options += ["-c:a", "aac", "-b:a", "16k"]
        if "SOUND" in options:
            source = ["-f", "lavfi", "-i", f"sine=duration={seconds}"]
            options = ["-c:a", "aac", "-b:a", "16k"]
        for mark in ("TRIM", "LATE"):
            if mark in options:
                at = options.index(mark)
                after = (mark, options[at + 1])
                del options[at : at + 2]
        subprocess.run(run + before + source + options + ["-map_metadata", "-1", "-fflags", "+bitexact", str(path)], check=True)
        if after:
            first = path.rename(folder / f"first_{name}")
            if after[0] == "TRIM":
                # From a time inside a group of pictures, without coding again: an edit list hides what comes before.
                again = ["-ss", after[1], "-i", str(first), "-c", "copy"]
            else:
                again = ["-itsoffset", after[1], "-i", str(first), "-c", "copy", "-copyts"]
            subprocess.run(run + again + [str(path)], check=True)
            first.unlink()
        if change:
            path.write_bytes(change(path.read_bytes()))
    print(f"{len(list(folder.iterdir()))} files in {folder}")


def upright(frame, name):
    """The frame as it is to be shown."""
    kind = name.split("_")[-1].split(".")[0]
    if kind == "mirrored":
        return np.ascontiguousarray(frame[:, ::-1])
    quarters = {"rot90": -1, "rot180": 2, "rot270": 1}.get(kind, 0)
    return np.ascontiguousarray(np.rot90(frame, quarters))


def pyav(path):
    """Times, frames, and what ended them."""
    import av

    times, frames = [], []
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            for frame in container.decode(stream):
                times.append(frame.time)
                frames.append(upright(frame.to_ndarray(format="rgb24"), path.name))
    except Exception as error:  # noqa: BLE001: whatever PyAV says is the answer
        return times, frames, f"{type(error).__name__}: {error}"
    return times, frames, None


def percept(clip, path, folder):
    raw = folder / "percept.raw"
    said = subprocess.run([clip, str(path), "--raw", str(raw)], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    end = lines.pop()
    info = lines.pop(0) if lines and "codec" in lines[0] else None
    data, times, frames, at = raw.read_bytes(), [], [], 0
    for line in lines:
        width, height = line["size"]
        size = 3 * width * height
        frames.append(np.frombuffer(data[at : at + size], np.uint8).reshape(height, width, 3))
        times.append(line["time_s"])
        at += size
    raw.unlink()
    return info, times, frames, end["error"]


def by_program(path):
    run = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    shape = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0", str(path)], capture_output=True, text=True, check=True)
    width, height = map(int, shape.stdout.strip().strip(",").split(",")[:2])
    raw = subprocess.run(run + ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def compare(folder, clip):
    print("| file | by | frames | PyAV | times | largest difference, mean of the worst frame | end |")
    print("|---|---|---|---|---|---|---|")
    bad = 0
    for name, *_ in files():
        path = folder / name
        info, times, frames, error = percept(clip, path, folder)
        expected_times, expected, expected_error = pyav(path)
        both = min(len(times), len(expected_times))
        apart = max((abs(a - b) for a, b in zip(times, expected_times)), default=0.0)
        worst, mean = 0, 0.0
        for got, wanted in zip(frames, expected):
            if got.shape != wanted.shape:
                worst = mean = 999
                break
            difference = np.abs(got.astype(int) - wanted.astype(int))
            worst, mean = max(worst, int(difference.max())), max(mean, float(difference.mean()))
        # Behind damage each does as it likes; before it they agree.
        same = (len(times) == len(expected_times) or name in ("cut_end.mp4", "damaged.mp4")) and apart < 1e-5
        good = same and mean <= 2
        note = ""
        if same and not good and info["decoder"] == "ffmpeg":
            # Chroma of these is interpolated, by each version of swscale in its way: the program's own frames count.
            own = by_program(path)
            good = all(np.array_equal(a, b) for a, b in zip(frames, own)) and len(own) == len(frames)
            note = "equal to the program ffmpeg's"
        bad += not good
        end = error.splitlines()[0].replace(str(folder) + "/", "") if error else note
        by = info["decoder"] if info else "–"
        print(
            f"| {name} | {by} | {len(times)} | {len(expected_times)} | {'equal' if apart < 1e-5 else f'{apart:.6f} s apart'} | "
            f"{worst}, {mean:.2f} | {end}{' | BAD' if not good else ''} |"
        )
    print(f"\n{bad} of {len(list(files()))} differ")
    return bad


# Small ones for the tests of the crate, which run without ffmpeg and without Python.
SMALL = [
    "h264_baseline.mp4", "h264_bframes.mp4", "h264_pyramid.mp4", "h264_opengop.mp4", "h264_crop.mp4", "h264_vfr.mp4",
    "h264_groups.mp4", "h264_rot90.mp4", "h264_sar.mp4", "h264_fullrange.mp4",
    "h264_bt709.mp4", "h264_trimmed.mp4", "h264_late.mp4", "h264_fragmented.mp4", "h264_fragments.mp4", "h264_audio.mp4",
    "h264_one.mp4", "cut_end.mp4", "cut_index.mp4", "damaged.mp4", "zero.mp4", "no_frames.mp4", "sound.mp4",
    "h264_10bit.mp4", "vp9_odd.webm", "plain.gif", "vfr.gif",
]  # fmt: skip


def grid(frame):
    """Mean levels of red, green and blue in six fields: enough to know a frame, its turn and its colours."""
    height, width, _ = frame.shape
    rows, columns = (2, 3) if width >= height else (3, 2)
    fields = [
        frame[height * y // rows : height * (y + 1) // rows, width * x // columns : width * (x + 1) // columns]
        for y in range(rows)
        for x in range(columns)
    ]
    return [round(float(level)) for field in fields for level in field.mean(axis=(0, 1))]


def fixtures(folder):
    import av

    FIXTURES.mkdir(parents=True, exist_ok=True)
    golden = {}
    for name in SMALL:
        shutil.copyfile(folder / name, FIXTURES / name)
        times, frames, error = pyav(folder / name)
        golden[name] = {
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()[:16],
            "size": [frames[0].shape[1], frames[0].shape[0]] if frames else None,
            "times": [round(t, 6) for t in times],
            # Every frame's would be as large as the films; neighbours differ more than by what is allowed.
            "grids": [grid(frame) for frame in frames[:: max(1, len(frames) // 8)]],
            "error": error is not None,
        }
    versions = {key: ".".join(map(str, value)) for key, value in av.library_versions.items() if key in ("libavcodec", "libswscale")}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in golden.items())
    by = f"tools/video_reference.py, PyAV {av.__version__} ({versions})"
    (FIXTURES / "golden.json").write_text(f'{{"by": {json.dumps(by)}, "files": {{\n{lines}\n}}}}\n')
    size = sum(file.stat().st_size for file in FIXTURES.iterdir())
    print(f"{len(SMALL)} files, {size} bytes in {FIXTURES}")


def speed(folder, clip):
    import av

    films = [("640x360, 20 s", "640x360", 20), ("1280x720, 8 s", "1280x720", 8), ("1920x1080, 4 s", "1920x1080", 4), ("640x360, 10 minutes", "640x360", 600)]
    print("| clip | percept, frames/s | PyAV, frames/s | ratio | percept, most memory |")
    print("|---|---|---|---|---|")
    for label, size, seconds in films:
        path = folder / f"speed_{size}_{seconds}.mp4"
        run = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
        if not path.exists() and seconds == 600:
            # The 20 seconds thirty times.
            short = folder / f"speed_{size}_20.mp4"
            subprocess.run(run + ["-stream_loop", "29", "-i", str(short), "-c", "copy", str(path)], check=True)
        elif not path.exists():
            # Noise: as many bits as a filmed picture has.
            source = SOURCE.format(size=size, rate=25, seconds=seconds) + ",noise=alls=6:allf=t"
            subprocess.run(run + ["-f", "lavfi", "-i", source, *X264, str(path)], check=True)
        ours, theirs = [], []
        for _ in range(1 if seconds > 100 else 3):
            said = subprocess.run([clip, str(path)], capture_output=True, text=True, check=True)
            end = json.loads(said.stdout.splitlines()[-1])
            assert end["error"] is None, end
            ours.append(end["decoded"] / end["seconds"])
            start, count = time.perf_counter(), 0
            with av.open(str(path)) as container:
                for frame in container.decode(video=0):
                    frame.to_ndarray(format="rgb24")
                    count += 1
            theirs.append(count / (time.perf_counter() - start))
            assert count == end["decoded"], (count, end)
        ours, theirs = max(ours), max(theirs)
        print(f"| {label} | {ours:.0f} | {theirs:.0f} | {ours / theirs:.2f} | {end['peak_mib']} MiB |", flush=True)


def main():
    what, folder, *rest = sys.argv[1:]
    folder = Path(folder).absolute()
    if what == "make":
        make(folder)
    elif what == "compare":
        sys.exit(1 if compare(folder, rest[0]) else 0)
    elif what == "fixtures":
        fixtures(folder)
    elif what == "speed":
        speed(folder, rest[0])


main()
