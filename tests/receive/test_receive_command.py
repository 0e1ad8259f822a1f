"""`heqcodec receive` as a process: crashes, access, restarts."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import heqcodec
import numpy as np
import pytest
from command_runner import run
from heqcodec.packets.framing import LENGTH
from heqcodec.packets.resend import read_resend
from PIL import Image
from receiving import PATIENCE, UdpSender, image_file, packets, receiver, wait_for

pytest.importorskip("uvicorn")
PLAIN = ("--decoder", "plain")


def status(address: str, headers: dict[str, str] | None = None, method: str = "GET") -> int:
    request = urllib.request.Request(address, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_files_of_an_image(tmp_path: Path) -> None:
    with receiver(tmp_path, "--udp", 0) as running:
        camera = UdpSender(running.port)
        sent = packets(sender=7, image=9)
        camera.send(sent[:20])
        (image,) = running.images()
        assert (image["sender"], image["image"], image["state"]) == (7, 9, "receiving")
        with pytest.raises(urllib.error.HTTPError):
            running.get(f"images/{image['key']}.heq")
        camera.send(sent[22:])
        asked = running.json(f"api/images/{image['key']}/resend")
        assert asked["numbers"] == [20, 21]
        assert read_resend(bytes.fromhex(asked["bytes"])) == (7, 9, [20, 21])
        # Sent to the camera, which sends them again.
        resend = f"{running.address}api/images/{image['key']}/resend"
        assert status(resend, method="POST") == 403
        assert status(resend, {"X-Heqcodec": "page"}, "POST") == 200
        wanted = read_resend(camera.socket.recv(64))[2]
        camera.send([sent[number] for number in wanted])
        wait_for(lambda: running.images()[0]["state"] == "whole")
        assert running.get(f"images/{image['key']}.heq") == image_file()
        running.get(f"images/{image['key']}.png")
        assert status(resend, {"X-Heqcodec": "page"}, "POST") == 409
        assert status(f"{running.address}images/99.png") == 404
    (written,) = tmp_path.glob("*/*.png")
    with Image.open(written) as picture:
        assert np.abs(np.asarray(picture).astype(int) - heqcodec.decode(image_file())).max() <= 1


@pytest.mark.slow
def test_a_killed_receiver_has_lost_nothing(tmp_path: Path) -> None:
    """Killed in the middle of a stream, four times: what was acknowledged is there."""
    sent = [packet for image in range(12) for packet in packets(sender=image)]
    acknowledged: set[bytes] = set()
    for place in range(0, 400, 100):
        with receiver(tmp_path, "--udp", 0, *PLAIN) as running:
            camera, some = UdpSender(running.port), sent[place : place + 120]

            def stream(camera: UdpSender = camera, some: list[bytes] = some) -> None:
                for packet in some:
                    with contextlib.suppress(OSError):  # The port is closed.
                        camera.socket.send(packet)
                    time.sleep(0.001)

            sender = threading.Thread(target=stream)
            sender.start()
            for _ in range(60):
                acknowledged.add(camera.socket.recv(64))
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
            sender.join()
            with contextlib.suppress(OSError):
                camera.socket.settimeout(0)
                while True:
                    acknowledged.add(camera.socket.recv(64))
    assert len(acknowledged) >= 200
    with receiver(tmp_path, "--udp", 0, *PLAIN) as running:
        camera = UdpSender(running.port)
        camera.send([packet for packet in sent if packet[-4:] in acknowledged])
        counts = running.json()["totals"]["counts"]
        assert counts["duplicates"] >= len(acknowledged)
        stored = counts["stored"]
        camera.send(sent)  # Images that were decoded by half are finished now.
        wait_for(lambda: sum(image["state"] == "whole" for image in running.images()) == 12)
        assert running.json()["totals"]["counts"]["stored"] == len(sent) >= stored
    assert {path.read_bytes() for path in tmp_path.glob("*/*.heq")} == {image_file()}


@pytest.mark.slow
def test_a_watched_folder_over_a_crash(tmp_path: Path) -> None:
    """What was read of a growing file is stored with its packets: none is lost, none read twice."""
    radio, out, sent = tmp_path / "radio", tmp_path / "out", packets()
    radio.mkdir()
    growing = b"".join(LENGTH.pack(len(packet)) + packet for packet in sent)
    half = len(growing) // 2
    (radio / "pass.pkt").write_bytes(growing[:half])
    with receiver(out, "--watch", radio, *PLAIN) as running:
        wait_for(lambda: running.images() and running.images()[0]["came"] > len(sent) // 3)
        running.process.kill()
        running.process.wait()
    with (radio / "pass.pkt").open("ab") as stream:
        stream.write(growing[half:])
    with receiver(out, "--watch", radio, *PLAIN) as running:
        wait_for(lambda: running.images()[0]["state"] == "whole")
        counts = running.json()["totals"]["counts"]
    assert counts["stored"] == len(sent) and "duplicates" not in counts
    assert [path.read_bytes() for path in out.glob("*/*.heq")] == [image_file()]


@pytest.mark.slow
def test_access(tmp_path: Path) -> None:
    with receiver(tmp_path, "--udp", 0, *PLAIN) as running:
        assert running.token == ""
        assert status(running.address) == 200
        assert status(running.address, {"Host": "evil.example"}) == 403
        with urllib.request.urlopen(running.address) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert status(f"{running.address}api/images?before=x") == 404
        assert status(f"{running.address}api/images?sender=1&before=5") == 200
        second = run("receive", "--out", tmp_path, "--udp", "0")
        assert second.exit_code == 1 and b"Another receiver" in second.stderr.encode()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 0
    with receiver(tmp_path, "--udp", 0, "--host", "0.0.0.0", *PLAIN) as running:
        address = running.address.replace("0.0.0.0", "127.0.0.1")
        assert len(running.token) > 20
        assert status(address) == status(f"{address}api/images?token=wrong") == 401
        assert status(address, {"Cookie": "heqcodec_token=wrong"}) == 401
        assert status(address, {"Authorization": f"Bearer {running.token}"}) == 200
        assert status(address, {"Cookie": f"heqcodec_token={running.token}"}) == 200
        with socket.create_connection(("127.0.0.1", int(address.split(":")[2][:-1]))) as page:
            page.sendall(f"GET /?token={running.token} HTTP/1.0\r\n\r\n".encode())
            answer = page.recv(4096).decode()
        assert " 303 " in answer.splitlines()[0] and "location: /\r\n" in answer
        assert "HttpOnly" in answer and "samesite=strict" in answer.lower()


def test_other_commands_import_nothing_of_it() -> None:
    code = (
        "import sys, heqcodec.cli.application, heqcodec.packets; "
        "print(*(n for n in ('starlette', 'uvicorn', 'paho', 'serial', 'sqlite3', 'asyncio') "
        "if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_wrong_commands(tmp_path: Path) -> None:
    assert run("receive", "--out", tmp_path).exit_code == 2
    found = run("receive", "--out", tmp_path, "--udp", "x")
    assert found.exit_code == 2 and "no port" in found.stderr
    found = run("receive", "--out", tmp_path, "--udp", "0", "--decoder", "ssimulacra2")
    assert found.exit_code == 2 and "--decoder" in found.stderr
    found = run("receive", "--out", tmp_path, "--watch", tmp_path / "none", "--port", "0")
    assert found.exit_code == 1 and "no folder" in found.stderr


def test_a_store_of_another_version(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "packets.sqlite") as database:
        database.execute("PRAGMA user_version = 7")
    found = run("receive", "--out", tmp_path, "--udp", "0", "--port", "0")
    assert found.exit_code == 1 and "version 7" in found.stderr
    assert json.dumps(found.stderr)
