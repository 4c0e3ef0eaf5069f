"""Weights are read without executing anything, and refused in one clear line."""

import copy
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from msfp.errors import InputError
from msfp.features import weights
from msfp.features.weights import architecture_of, build, class_count, load_detector, read_checkpoint, read_state

IMAGE = torch.linspace(0, 1, 3 * 64 * 96).reshape(1, 3, 64, 96)


@pytest.fixture(scope="module")
def unfused() -> nn.Module:
    """A detector with batch normalisation apart, its statistics as after training."""
    model = build("yolov8n", classes=1, seed=3, fused=False).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.1)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model


@pytest.fixture(scope="module")
def fused_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "fused.safetensors"
    state = build("yolov8n", classes=1, seed=5).state_dict()
    save_file({key: value.half().contiguous() for key, value in state.items()}, path)
    return path


def outputs(model: nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return model(IMAGE)[0]


def test_random_init_is_seeded_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again = load_detector("yolov8n", "random-init", seed=7), load_detector("yolov8n", "random-init", seed=7)
    other = load_detector("yolov8n", "random-init", seed=8)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(outputs(first), outputs(again))
    assert not torch.equal(outputs(first), outputs(other))
    assert not any(p.requires_grad for p in first.parameters())
    assert not first.training


def test_safetensors_round_trip_in_half_precision(fused_file: Path) -> None:
    model = load_detector("yolov8n", fused_file)
    for key, value in build("yolov8n", classes=1, seed=5).state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value.half().float())


def test_pickled_ultralytics_checkpoint_equals_the_model_it_came_from(unfused: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    torch.save({"epoch": 3, "model": unfused, "ema": None, "train_args": {"lr0": 0.01}, "date": "today"}, path)
    assert read_checkpoint(path).keys() == unfused.state_dict().keys()
    torch.testing.assert_close(outputs(load_detector("yolov8n", path)), outputs(unfused), rtol=1e-4, atol=1e-3)


def test_averaged_weights_win_over_the_last_ones(unfused: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "last.pt"
    torch.save({"model": build("yolov8n", classes=1, seed=9, fused=False), "ema": unfused.half()}, path)
    key = "model.0.conv.weight"
    torch.testing.assert_close(read_state(path)[key], unfused.half().state_dict()[key].float())
    unfused.float()


def test_plain_state_dict_in_a_pt_file(unfused: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    torch.save(unfused.state_dict(), path)
    torch.testing.assert_close(outputs(load_detector("yolov8n", path)), outputs(unfused), rtol=1e-4, atol=1e-3)


def test_shared_storage_and_strides_survive(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    path = tmp_path / "views.pt"
    torch.save({"whole": base, "turned": base.T, "row": base[1], "half": base.bfloat16(), "none": base[:0]}, path)
    state = read_checkpoint(path)
    assert torch.equal(state["whole"], base)
    assert torch.equal(state["turned"], base.T)
    assert torch.equal(state["row"], base[1])
    assert torch.equal(state["half"], base.bfloat16())
    assert state["none"].shape == (0, 4)


class Malicious:
    """What an attacker would put into a weights file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("place", ["model", "extra"])
def test_a_malicious_pickle_is_refused_and_executes_nothing(place: str, tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pt", tmp_path / "executed"
    torch.save({"model": {"w": torch.zeros(1)}, place: Malicious(marker)}, path)
    with pytest.raises(InputError, match=r"evil\.pt: this checkpoint names posix\.system.*nothing was executed"):
        read_state(path)
    assert not marker.exists()


def repacked(source: Path, target: Path, pickled: bytes | None = None, compression: int = zipfile.ZIP_STORED) -> Path:
    """The same checkpoint with another pickle, or compressed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.namelist():
            data = old.read(entry)
            new.writestr(entry, pickled if pickled is not None and entry.endswith("data.pkl") else data)
    return target


def test_a_small_file_that_would_cost_much_is_refused_before_it_does(tmp_path: Path) -> None:
    plain, bad = tmp_path / "plain.pt", tmp_path / "bad.pt"
    torch.save({"a": torch.zeros(1 << 20)}, plain)
    assert read_checkpoint(plain)["a"].shape == (1 << 20,)

    def refused(reason: str) -> None:
        with pytest.raises(InputError, match=rf"bad\.pt: {reason}.*which no weights need") as caught:
            read_checkpoint(bad)
        assert "\n" not in str(caught.value)

    repacked(plain, bad, compression=zipfile.ZIP_DEFLATED)
    refused("its entry 'plain/data.pkl' is compressed")
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, bad)
    refused("a tensor of 1,099,511,627,776 elements over a storage of 1")
    torch.save({"a": torch.zeros(8).as_strided((5, 5), (1, 0))}, bad)
    refused("a tensor of 25 elements over a storage of 8")
    same = torch.zeros(1 << 10)
    torch.save({f"a{number}": same for number in range(100)}, bad)
    refused("its tensors show the same numbers again and again")
    nothing = pickle.MARK + pickle.POP
    repacked(plain, bad, b"\x80\x02" + nothing * 1_000_100 + b"}.")
    refused("its pickle has more than 2,000,000 steps")
    repacked(plain, bad, b"\x80\x02" + nothing * 9_000_000 + b"}.")
    refused("its pickle has 18,000,00")
    repacked(plain, bad, b"\x80\x02}r\xff\xff\xff\x7f.")
    refused("its pickle fills place 2,147,483,647")


def test_entries_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """Entries of an archive's list may name one place again and again."""
    plain, bad = tmp_path / "plain.pt", tmp_path / "bad.pt"
    torch.save({"a": torch.zeros(1 << 10)}, plain)
    with zipfile.ZipFile(plain) as source:
        names = {entry.filename: source.read(entry) for entry in source.infolist()}
    with zipfile.ZipFile(bad, "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
        shared = archive.getinfo("plain/data/0")
        for number in range(1, 9):
            again = copy.copy(shared)
            again.filename = f"plain/data/{number}"
            archive.filelist.append(again)
    with pytest.raises(InputError, match="its entries hold more bytes than the file's"):
        read_checkpoint(bad)


def test_a_checkpoint_that_contains_itself_is_refused(tmp_path: Path) -> None:
    plain, bad = tmp_path / "plain.pt", tmp_path / "bad.pt"
    torch.save({"a": torch.zeros(3)}, plain)
    itself: dict[str, object] = {}
    itself["model"] = itself
    repacked(plain, bad, pickle.dumps(itself, 2))
    with pytest.raises(InputError, match=r"bad\.pt: it contains itself"):
        read_checkpoint(bad)
    module = nn.Sequential()
    module._modules["0"] = module
    torch.save({"model": module}, bad)
    with pytest.raises(InputError, match=r"bad\.pt: it has modules within modules without end"):
        read_checkpoint(bad)
    many = nn.Linear(1, 1)
    for _ in range(40):
        many = nn.Sequential(many, many)
    torch.save({"model": many}, bad)
    with pytest.raises(InputError, match=r"bad\.pt: it has modules within modules without end"):
        read_checkpoint(bad)


def test_names_on_the_list_are_not_called_either(tmp_path: Path) -> None:
    class Called:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            from ultralytics.utils.downloads import safe_download

            return safe_download, ("http://127.0.0.1:9/never",)

    path = tmp_path / "listed.pt"
    build("yolov8n")
    torch.save({"model": {"w": torch.zeros(1)}, "extra": Called()}, path)
    assert list(read_checkpoint(path)) == ["w"]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 broken"])
def test_corrupt_files_are_named(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"broken\{suffix}: not a readable"):
        read_state(path)


def test_truncated_files_are_named(fused_file: Path, unfused: nn.Module, tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(fused_file.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"cut\.safetensors: not a readable safetensors file"):
        read_state(cut)
    whole, short = tmp_path / "whole.pt", tmp_path / "short.pt"
    torch.save(unfused.state_dict(), whole)
    short.write_bytes(whole.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"short\.pt: not a readable PyTorch checkpoint"):
        read_state(short)


def test_wrong_architecture_says_what_the_file_is(fused_file: Path) -> None:
    with pytest.raises(InputError, match=r"do not fit yolov8s: these are yolov8n weights; choose the preset"):
        load_detector("yolov8s", fused_file)


def test_missing_tensor_is_named(fused_file: Path, tmp_path: Path) -> None:
    state = read_state(fused_file)
    del state["model.4.cv1.conv.weight"]
    path = tmp_path / "less.safetensors"
    save_file(state, path)
    with pytest.raises(InputError, match=r"1 tensors missing \(model\.4\.cv1\.conv\.weight"):
        load_detector("yolov8n", path)


def test_values_that_are_not_finite_are_refused(fused_file: Path, tmp_path: Path) -> None:
    state = read_state(fused_file)
    state["model.0.conv.bias"][3] = float("nan")
    path = tmp_path / "nan.safetensors"
    save_file(state, path)
    with pytest.raises(InputError, match=r"model\.0\.conv\.bias holds values that are not finite"):
        read_state(path)


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights named: use 'embedded'"):
        weights.find("")
    with pytest.raises(InputError, match=r"nowhere\.safetensors: file not found"):
        weights.find(tmp_path / "nowhere.safetensors")
    with pytest.raises(InputError, match=r"\.safetensors or \.pt files, not '\.onnx'"):
        read_state(tmp_path / "model.onnx")
    with pytest.raises(InputError, match="no embedded weights for this preset"):
        weights.find("embedded")


def test_bare_names_are_downloaded_and_a_missing_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    build("yolov8n")
    import ultralytics.utils.downloads as downloads

    asked = []

    def refuse(file: Path) -> str:
        asked.append(Path(file).name)
        raise ConnectionError("no route to host\nand a long story")

    monkeypatch.setattr(downloads, "attempt_download_asset", refuse)
    with pytest.raises(InputError, match=r"weights yolov8m\.pt: not here and could not be downloaded") as caught:
        weights.find("yolov8m.pt")
    assert asked == ["yolov8m.pt"]
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"weights mine\.pt: file not found"):
        weights.find("mine.pt")
    assert asked == ["yolov8m.pt"]


def test_architecture_and_classes_come_from_the_tensors(fused_file: Path) -> None:
    state = read_state(fused_file)
    assert architecture_of(state) == "yolov8n"
    assert class_count(state) == 1
    assert class_count(build("yolov8n").state_dict()) == 80
    assert architecture_of({"conv1.weight": torch.zeros(16, 3, 7, 7)}) is None


def test_unknown_architecture_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"'yolov9z' is not known; there are: yolov8\[nsmlx\]"):
        build("yolov9z")


@pytest.mark.real
def test_real_weights_load_strictly(shared: Path) -> None:
    model = load_detector("yolov8n", shared / "weights" / "yolov8n-coco-dequant.safetensors")
    assert len(model.state_dict()) == 127
