"""`msfp data get`: licence and size first, then a folder that `--root` takes."""

import json
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

INI = "[Sequence]\nname={}\nimDir=img1\nframeRate=30\nseqLength=1\nimWidth=64\nimHeight=48\nimExt=.jpg\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    with zipfile.ZipFile(folder / "MOT20Labels.zip", "w") as opened:
        opened.writestr("MOT20Labels/train/MOT20-01/seqinfo.ini", INI.format("MOT20-01"))
        opened.writestr("MOT20Labels/train/MOT20-01/gt/gt.txt", "1,1,5,5,10,20,1,1,1\n")
        opened.writestr("MOT20Labels/train/MOT20-01/det/det.txt", "1,-1,5,5,10,20,.9\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_is_fetched_before_the_licence_is_accepted(msfp, mirror, tmp_path):
    result = msfp("data", "get", "mot20", "--labels-only", "--mirror", mirror)
    assert result.code == 2
    assert "licence: CC BY-NC-SA 3.0" in result.err
    assert "call again with --accept-licence" in result.err
    assert not (tmp_path / "data").exists()


def test_what_came_is_counted_and_missing_sequences_are_named(msfp, mirror, tmp_path):
    words = ("data", "get", "mot20", "--labels-only", "--accept-licence", "--mirror", mirror, "--json")
    result = msfp(*words)
    found = json.loads(result.out)
    assert found["root"] == "data/mot20"
    assert result.code == 1, "three of four training sequences are missing"
    missing = [f["message"] for f in found["findings"] if f["state"] == "missing"]
    assert any("MOT20-02" in message for message in missing)
    assert (tmp_path / "data" / "mot20" / "train" / "MOT20-01" / "gt" / "gt.txt").is_file()
    assert msfp(*words).out == result.out, "called again, nothing is fetched and the same is told"


def test_other_data_sets_are_refused(msfp):
    result = msfp("data", "get", "synth17")
    assert result.code == 2
    assert "there are: dancetrack, mot17, mot20, personpath22" in result.err
