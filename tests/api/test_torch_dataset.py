"""`heqcodec.torch`: the tensors of a dataset are the pixels of `decode`."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import heqcodec
import numpy as np
import pytest
import torch
from heqcodec.base.errors import HeqError
from heqcodec.file.reduced import decode_reduced
from heqcodec.purenet.torch_network import TorchNetwork
from heqcodec.torch import HeqDataset, TensorDecoder, padded_collate
from small_models import photograph
from torch.utils.data import DataLoader

SIZES = {"cat/a.heq": (70, 90), "cat/b.heq": (130, 64), "dog/c.heq": (40, 200)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("heq")
    for name, (height, width) in SIZES.items():
        (made / name).parent.mkdir(exist_ok=True)
        pixels = photograph()[100 : 100 + height, 50 : 50 + width]
        (made / name).write_bytes(heqcodec.encode(pixels, quality=40))
    return made


def pixels_of(tensor: torch.Tensor) -> np.ndarray:
    return tensor.permute(1, 2, 0).numpy()


def test_tensors_are_the_pixels_of_decode(folder: Path) -> None:
    data = HeqDataset(folder)
    assert len(data) == 3 and data.classes == ["cat", "dog"]
    for index, name in enumerate(SIZES):
        assert data[index].dtype == torch.uint8
        assert np.array_equal(
            pixels_of(data[index]), heqcodec.decode(folder / name, decoder="plain")
        )


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_reduced_sizes(folder: Path, scale: int) -> None:
    data = HeqDataset(folder, TensorDecoder(scale))
    assert np.array_equal(pixels_of(data[1]), decode_reduced(folder / "cat" / "b.heq", scale))


def test_crops_are_parts_of_the_image_and_follow_torchs_generator(folder: Path) -> None:
    whole = HeqDataset(folder)[2].numpy()
    data = HeqDataset(folder, crop=(24, 33))
    places = set()
    for seed in range(4):
        torch.manual_seed(seed)
        crop = data[2].numpy()
        assert crop.shape == (3, 24, 33)
        parts = np.lib.stride_tricks.sliding_window_view(whole, (3, 24, 33))[0]
        (place,) = np.argwhere((parts == crop).all((2, 3, 4)))
        places.add(tuple(place))
        torch.manual_seed(seed)
        assert np.array_equal(data[2], crop)
    assert len(places) > 1
    assert HeqDataset(folder, crop=(500, 20))[0].shape == (3, 70, 20)
    assert HeqDataset(folder, TensorDecoder(2), crop=(10, 12))[0].shape == (3, 10, 12)


def test_batches_of_a_loader_are_padded(folder: Path) -> None:
    data = HeqDataset(folder, classes=True)
    ((batch, sizes, classes),) = DataLoader(data, batch_size=3, collate_fn=padded_collate)
    assert batch.shape == (3, 3, 130, 200) and classes.tolist() == [0, 0, 1]
    assert sizes.tolist() == [list(size) for size in SIZES.values()]
    for image, (height, width), (alone, _) in zip(batch, SIZES.values(), data, strict=True):
        assert torch.equal(image[:, :height, :width], alone)
        assert int(image.sum()) == int(alone.sum())


@pytest.mark.slow
def test_workers_of_a_loader(folder: Path) -> None:
    data = HeqDataset(folder)
    loader = DataLoader(data, num_workers=2, multiprocessing_context="spawn")
    for (image,), alone in zip(loader, data, strict=True):
        assert torch.equal(image, alone)


@pytest.mark.parametrize(("channels", "found"), [(1, 1), (3, 3), (4, 4), (None, 3)])
def test_channels(folder: Path, channels: int | None, found: int) -> None:
    image = TensorDecoder(channels=channels).decode(folder / "cat" / "a.heq").numpy()
    colours = TensorDecoder().decode(folder / "cat" / "a.heq").numpy().astype(float)
    assert image.shape == (found, 70, 90)
    if channels == 1:
        luma = 0.299 * colours[0] + 0.587 * colours[1] + 0.114 * colours[2]
        assert np.abs(image[0] - luma).max() <= 0.5 + 1e-3
    else:
        assert np.array_equal(image[:3], colours)
        assert channels != 4 or (image[3] == 255).all()


def test_gray_becomes_three_channels() -> None:
    gray = photograph()[:40, :40, :1]
    image = TensorDecoder().decode(heqcodec.encode(gray)).numpy()
    assert image.shape == (3, 40, 40) and (image == image[:1]).all()


def test_decodes_members_of_webdataset_shards(folder: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as archive:
        for name in SIZES:
            archive.add(folder / name, f"{Path(name).stem}.heq")
            member = tarfile.TarInfo(f"{Path(name).stem}.cls")
            member.size = 1
            archive.addfile(member, io.BytesIO(b"7"))
    pipeline = webdataset.WebDataset(str(shard), shardshuffle=False).decode(TensorDecoder(8))
    found = list(pipeline.to_tuple("heq", "cls"))
    assert len(found) == 3
    for (image, label), name in zip(found, SIZES, strict=True):
        assert np.array_equal(pixels_of(image), decode_reduced(folder / name, 8)) and label == 7


@pytest.mark.parametrize("device", ["cpu", *["cuda"] * torch.cuda.is_available()])
def test_a_batch_on_a_device(
    folder: Path, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels within 1/255 of single calls, and one call of the network for images of one size."""
    calls = []
    run = TorchNetwork.frames
    monkeypatch.setattr(
        TorchNetwork, "frames", lambda *given: calls.append(len(given[1])) or run(*given)
    )
    other = tmp_path / "other.heq"
    other.write_bytes(heqcodec.encode(photograph()[:96, 60:156], quality=25))
    files = [folder / name for name in SIZES]
    decoder = TensorDecoder(decoder="fast", channels=None, device=device)
    loader = DataLoader(
        HeqDataset([*files, other], decoder), batch_size=4, collate_fn=lambda images: images
    )
    (images,) = loader
    assert sorted(calls) == [1, 1, 2]  # cat/a.heq and the other have 3 x 3 patches
    monkeypatch.undo()
    for image, path in zip(images, [*files, other], strict=True):
        assert image.dtype == torch.uint8 and image.device.type == device
        alone = heqcodec.decode(path, decoder="fast").astype(int)
        assert np.abs(pixels_of(image.cpu()) - alone).max() <= 1
        image.zero_()  # as a transform may


def test_rectangles_on_a_device(folder: Path) -> None:
    decoder = TensorDecoder(decoder="fast", device="cpu")
    path = folder / "dog" / "c.heq"
    boxes = (90, 3, 60, 30), (70, 10, 50, 20)
    made = decoder.decode_batch([(path, box) for box in boxes])
    whole = heqcodec.decode(path, decoder="fast").astype(int)
    for image, (x, y, width, height) in zip(made, boxes, strict=True):
        assert np.abs(pixels_of(image) - whole[y : y + height, x : x + width]).max() <= 1


def test_what_a_device_gives_of_unusual_files() -> None:
    """Alpha, gray, gray with alpha, and what comes over the CPU: patch mode, strips not sent."""
    pixels = photograph()[:64, :64]
    alpha = np.arange(4096, dtype=np.uint8).reshape(64, 64, 1)
    gray = pixels[..., :1].repeat(3, 2)
    files = [
        heqcodec.encode(np.concatenate((pixels, alpha), 2)),
        heqcodec.encode(pixels[..., :1]),
        heqcodec.encode(gray),
        heqcodec.encode(np.concatenate((gray, alpha), 2)),
        heqcodec.encode(pixels, mode="patch"),
        heqcodec.encode(photograph()[:256, :64], budget=250),
    ]
    assert heqcodec.decode_partial(files[-1], decoder="plain").unsent_strips
    for decoder in ("strong", "best-2"):
        wanted = TensorDecoder(decoder=decoder, channels=None, device="cpu")
        for data in files[:4] if decoder == "best-2" else files:
            alone = heqcodec.decode(data, decoder=decoder).astype(int)
            made = pixels_of(wanted.decode(data))
            assert made.shape == alone.shape and np.abs(made - alone).max() <= 1


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HeqError, match=r"no \.heq file"):
        HeqDataset(tmp_path)
    with pytest.raises(HeqError, match="choose 1, 2, 4 or 8"):
        TensorDecoder(scale=3)
    with pytest.raises(HeqError, match="choose 1, 3, 4 or None"):
        TensorDecoder(channels=2)
