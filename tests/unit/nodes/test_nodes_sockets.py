"""Listening sockets that processes share."""

import socket

import pytest

from simulator.nodes.sockets import SocketGroup


def accepted(group: SocketGroup) -> list[int]:
    """How many connections wait at each socket."""
    counts = []
    for each in group.sockets:
        count = 0
        while True:
            try:
                each.accept()[0].close()
            except BlockingIOError:
                break
            count += 1
        counts.append(count)
    return counts


def test_connections_are_spread_over_sockets_of_one_port():
    group = SocketGroup("127.0.0.1", 0, 3)
    assert {each.getsockname() for each in group.sockets} == {("127.0.0.1", group.port)}
    clients = [socket.create_connection(("127.0.0.1", group.port)) for _ in range(60)]
    counts = accepted(group)
    assert sum(counts) == 60
    assert all(counts)
    for client in clients:
        client.close()
    group.close()
    group.close()


def test_a_port_that_others_share_is_taken():
    group = SocketGroup("127.0.0.1", 0, 2)
    with pytest.raises(OSError, match="in use"):
        SocketGroup("127.0.0.1", group.port, 2)
    group.close()
    SocketGroup("127.0.0.1", group.port, 2).close()


def test_a_port_that_somebody_has_alone_is_taken():
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(OSError, match="in use"),
    ):
        SocketGroup("127.0.0.1", other.getsockname()[1], 2)


def test_a_name_is_bound_where_it_leads():
    group = SocketGroup("localhost", 0, 2)
    assert group.host == "127.0.0.1"
    group.close()
