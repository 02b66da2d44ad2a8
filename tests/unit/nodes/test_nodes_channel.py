"""Messages over a socket pair."""

import asyncio
import os
import socket

import pytest

from simulator.nodes.channel import Channel, FrameReader, encode_frame


def test_frames_are_found_however_the_bytes_were_cut():
    data = b"".join(encode_frame(message) for message in ("one", ["two"], {"three": 3}))
    for size in (1, 2, 3, 7, len(data)):
        reader = FrameReader()
        found = []
        for start in range(0, len(data), size):
            found += [message for message, _ in reader.feed(data[start : start + size], [])]
        assert found == ["one", ["two"], {"three": 3}]


def test_descriptors_go_with_their_message():
    reader = FrameReader()
    data = encode_frame("none") + encode_frame("two", 2) + encode_frame("one", 1)
    found = list(reader.feed(data[:-1], [7, 8, 9])) + list(reader.feed(data[-1:], []))
    assert found == [("none", []), ("two", [7, 8]), ("one", [9])]


class Ends:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.received: list[object] = []
        self.descriptors: list[int] = []
        self.closed = asyncio.Event()
        self.arrived = asyncio.Condition()
        self.one = Channel(ours, on_message=self._take, on_closed=self.closed.set)
        self.other = Channel(theirs, on_message=self._take, on_closed=self.closed.set)

    def _take(self, message: object, descriptors: list[int]) -> None:
        self.received.append(message)
        self.descriptors += descriptors


@pytest.fixture
async def ends():
    found = Ends()
    yield found
    found.one.close()
    found.other.close()


async def test_more_than_the_kernel_takes_arrives_in_order(ends: Ends):
    messages = [bytes([index]) * 300_000 for index in range(10)]
    for message in messages:
        ends.one.send(message)
    while len(ends.received) < len(messages):  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert ends.received == messages


async def test_what_was_sent_before_the_end_arrives_before_it(ends: Ends):
    for index in range(100):
        ends.one.send(index)
    ends.one.close()
    await ends.closed.wait()
    assert ends.received == list(range(100))


async def test_a_descriptor_is_another_s_to_keep(ends: Ends):
    reading, writing = os.pipe()
    ends.one.send("filler" * 100_000)
    ends.one.send("pipe", [writing])
    os.close(writing)
    while "pipe" not in ends.received:  # noqa: ASYNC110
        await asyncio.sleep(0)
    [passed] = ends.descriptors
    os.write(passed, b"x")
    os.close(passed)
    assert os.read(reading, 2) == b"x"
    assert os.read(reading, 2) == b""
    os.close(reading)


async def test_sending_to_a_closed_end_is_no_error(ends: Ends):
    ends.other.close()
    ends.one.send("nobody")
    await ends.closed.wait()
    ends.one.send("nobody")
    ends.one.close()
