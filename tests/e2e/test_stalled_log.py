"""A log reader that stalls: mail goes on, lines wait or are counted, and a stop does not hang."""

import os
import subprocess

from serving import GATEPOST, PATIENCE, serving, until


def test_mail_goes_on_while_nobody_reads_the_log(tmp_path):
    with serving(tmp_path, workers=1, drain_seconds=3.0) as it:
        it.write()
        read, write = os.pipe()
        os.set_blocking(write, False)
        with open(read, "rb", buffering=0) as reader:  # noqa: PTH123 - a descriptor
            it.process = subprocess.Popen(
                [*GATEPOST, "serve", "--config", str(it.config)], stderr=write, stdout=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            seen = b""
            while b'"event":"ready"' not in seen:
                seen += reader.read(65536)
            try:
                while True:
                    os.write(write, b"x" * 4095 + b"\n")  # now it is full, and stays so
            except BlockingIOError:
                os.set_blocking(write, True)
            os.close(write)
            for _ in range(5):
                it.send()
            assert it.sink.count == 5
            counted = 'gatepost_messages_total{listener="in",reply="2xx"} 5.0'
            until(lambda: counted in it.get("/metrics")[1], "not counted")
            assert it.stop() == 0
            assert it.process.wait(PATIENCE) == 0


def test_the_lines_come_when_the_log_is_read_again(tmp_path):
    with serving(tmp_path, workers=1) as it:
        it.write()
        read, write = os.pipe()
        with open(read, "rb", buffering=0) as reader:  # noqa: PTH123 - a descriptor
            it.process = subprocess.Popen(
                [*GATEPOST, "serve", "--config", str(it.config)], stderr=write, stdout=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            seen = b""
            while b'"event":"ready"' not in seen:
                seen += reader.read(65536)
            os.set_blocking(write, False)
            try:
                while True:
                    os.write(write, b"x" * 4095 + b"\n")
            except BlockingIOError:
                os.set_blocking(write, True)
            os.close(write)
            it.send()
            it.send()
            seen = b""
            while seen.count(b'"event":"message"') < 2:
                piece = reader.read(65536)
                assert piece
                seen += piece
            assert it.stop() == 0
